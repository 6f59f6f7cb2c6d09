//! `kill -9` of the harness in the middle of each fault: the janitor heals. Within two leases and 15 s nothing is left.
//! Several runs at once: one is killed while the janitor waits for the lease of another one to end.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    attach::{Deployed, attached},
    cluster::{
        differs, everything, frozen, here, kubectl, until_empty, until_nothing_is_left,
        until_nothing_is_left_of,
    },
    own::{Own, PORTS},
    stage::{Stage, in_lanes, root},
};

const PAUSED: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: mixed
    arrivals: { constant: 50/s }
phases: { warm-up: 1s, baseline: 2s, fault: 15s }
faults:
  - pause: service
    pick: [2]
    at: fault
    for: 10s
tolerates: { service: 1 of 3 }
objectives:
  - p95 < 1s
";

const CHANGES: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: mixed
    arrivals: { constant: 50/s }
phases: { warm-up: 1s, baseline: 2s, fault: 14s, update: 30s }
faults:
  - scale-in: service
    at: fault
    for: 8s
rollouts:
  - update: service
    to: v2
    at: update
tolerates: { service: 1 of 3 }
objectives:
  - p95 < 1s
";

const DRILL: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: record
    arrivals: { constant: 50/s }
phases: { warm-up: 1s, drill: 60s }
drills:
  - point-in-time: database
    at: drill
    lose: 20
may-lose: [database]
objectives:
  - rto < 50s
";

const KILLED: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: mixed
    arrivals: { constant: 50/s }
phases: { warm-up: 1s, baseline: 2s, fault: 15s }
faults:
  - kill: service
    at: fault
tolerates: { service: 1 of 3 }
objectives:
  - p95 < 1s
";

const GREEN: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: mixed
    arrivals: { constant: 50/s }
phases: { warm-up: 1s, baseline: 31s, release: 100s }
rollouts:
  - blue-green: service
    to: v2
    at: release
    each: 30s
    keeps: { errors: 2% }
objectives:
  - p95 < 1s
";

const CANARY: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: mixed
    arrivals: { constant: 50/s }
phases: { warm-up: 1s, baseline: 31s, release: 140s }
rollouts:
  - canary: service
    to: v2
    at: release
    shares: [30%]
    each: 45s
    harm: { errors: 2% }
objectives:
  - p95 < 1s
";

/// A pause of a replica and an update of the database, whose password is replaced and the janitor may not read, at once.
const IN_PLACE: &str = "
hypothesis: a killed run leaves a system that stays as it was
system: SYSTEM
seed: 9
load:
  - behaviour: ask-again
    arrivals: { constant: 20/s }
phases: { warm-up: 1s, baseline: 2s, fault: 45s }
faults:
  - pause: service
    pick: [2]
    at: fault
    for: 40s
rollouts:
  - update: database
    to: tuned
    at: fault + 2s
tolerates: { service: 1 of 3 }
objectives:
  - p95 < 30s
";

/// Two leases of 30 s and 15 s.
const WITHIN: Duration = Duration::from_secs(75);

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn after_sigkill_in_set_up_in_a_fault_in_a_drill_or_in_a_rollout_the_janitor_leaves_nothing() {
    until_nothing_is_left(WITHIN);
    let before = everything();
    // Probes stand in other namespaces too.
    let probed = fs::read_to_string(root().join("scenarios/kube/network-policies.yml")).unwrap();
    let probed = probed.replace("../../deploy/system.yml", "SYSTEM");
    // The longest first.
    let moments = [
        (GREEN, "\"entered\",\"step\":\"blue-green-1/2\""),
        (CANARY, "\"entered\",\"step\":\"canary-1/2\""),
        (probed.as_str(), "\"entered\",\"step\":\"set-up/12\""),
        // In the middle of the restore.
        (DRILL, "\"entering\",\"step\":\"point-in-time-1/7."),
        (KILLED, "\"applied\",\"step\":\"kill-1/1\""),
        (PAUSED, "\"entered\",\"step\":\"pause-1/1\""),
        (CHANGES, "\"entered\",\"step\":\"scale-in-1/1\""),
        (CHANGES, "\"applied\",\"step\":\"update-1/1\""),
    ];
    // Each port has one system at a time.
    in_lanes(PORTS, moments, |port, (scenario, at)| {
        let own = Own::new(*port, &[], "");
        let stage = Stage::new();
        let mut run = stage.start(&scenario.replace("SYSTEM", own.system().to_str().unwrap()), &here());
        stage.await_event(at);
        run.kill().unwrap();
        run.wait().unwrap();
        is_healed(&stage, at);
    });
    // By a way that shares nothing with the harness: every object of the cluster, every process of its nodes.
    until_empty(Duration::from_secs(30), || differs(&before));
}

/// What stays in a namespace, and what its workloads make.
fn stands(namespace: &str) -> Vec<String> {
    let kinds = "deployments,statefulsets,services,secrets,persistentvolumeclaims";
    let list: Value = serde_json::from_str(&kubectl(&["get", kinds, "-n", namespace, "-o", "json"])).unwrap();
    let items = list["items"].as_array().unwrap();
    let mut stands: Vec<String> = items
        .iter()
        .map(|item| {
            let (about, spec) = (&item["metadata"], &item["spec"]);
            let mut notes = about["annotations"].clone();
            // The controller counts its rollouts.
            notes.as_object_mut().map(|notes| notes.remove("deployment.kubernetes.io/revision"));
            let makes = [&spec["replicas"], &spec["template"], &notes].map(Value::to_string).join(" ");
            format!("{} {} {}: {makes}", item["kind"], about["name"], about["uid"])
        })
        .collect();
    stands.sort();
    stands
}

/// What becomes of the janitor when the harness dies.
enum Janitor {
    Lives,
    /// What is started in its place heals.
    Dies,
    /// `gauntlet heal` has to do it alone.
    Away,
}

impl Janitor {
    const POD: [&str; 4] = ["-n", "gauntlet-system", "-l", "app.kubernetes.io/name=janitor"];

    fn meets(&self) -> Option<Again> {
        match self {
            Self::Lives => None,
            Self::Dies => {
                kubectl(&[&["delete", "pod", "--wait=false"][..], &Self::POD].concat());
                None
            }
            Self::Away => {
                scale_janitor("0");
                kubectl(&[&["wait", "pod", "--for=delete", "--timeout=60s"][..], &Self::POD].concat());
                Some(Again)
            }
        }
    }
}

/// Whatever happens, the next test finds a janitor.
struct Again;

fn scale_janitor(replicas: &str) {
    let replicas = format!("--replicas={replicas}");
    kubectl(&["scale", "deployment", "janitor", "-n", "gauntlet-system", &replicas]);
}

impl Drop for Again {
    fn drop(&mut self) {
        scale_janitor("1");
        kubectl(&["rollout", "status", "deployment/janitor", "-n", "gauntlet-system", "--timeout=60s"]);
    }
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn after_sigkill_of_an_attached_run_the_janitor_puts_the_system_back() {
    const NAMESPACE: &str = "causal";
    let own = Own::new(PORTS[0], &[], "")
        .insert("      PGDATA: ", "    revisions:\n      tuned: { image: docker.io/gauntlet/postgres:0.1.0, settings: { TUNED: \"yes\", PGPASSWORD: none } }");
    let system = own.system();
    let _there = Deployed::new(NAMESPACE, &system);
    let before = stands(NAMESPACE);
    for (scenario, at, janitor) in [
        (IN_PLACE, "\"applied\",\"step\":\"update-1/1\"", Janitor::Lives),
        (CHANGES, "\"entered\",\"step\":\"scale-in-1/1\"", Janitor::Dies),
        (CHANGES, "\"entered\",\"step\":\"scale-in-1/1\"", Janitor::Away),
    ] {
        let stage = Stage::new();
        let mut run =
            stage.start(&scenario.replace("SYSTEM", system.to_str().unwrap()), &attached(NAMESPACE, &[]));
        stage.await_event(at);
        assert_ne!(stands(NAMESPACE), before, "nothing is in force at {at}");
        let _again = janitor.meets();
        run.kill().unwrap();
        run.wait().unwrap();
        if matches!(janitor, Janitor::Away) {
            let healed = stage.gauntlet(&["heal"]);
            assert_eq!(healed.code, 0, "{}", healed.text);
        }
        is_healed(&stage, at);
        assert_eq!(stands(NAMESPACE), before, "{at}");
        assert_eq!(frozen(), Vec::<String>::new(), "{at}");
    }
}

fn is_healed(stage: &Stage, at: &str) {
    let killed = Instant::now();
    until_nothing_is_left_of(stage, WITHIN);
    println!("killed at {at:<40} gone after {:.1} s", killed.elapsed().as_secs_f64());
    // What this machine remembers of it is settled from the same ledger.
    assert_eq!(stage.gauntlet(&["heal"]).code, 0);
    assert_eq!(stage.gauntlet(&["status"]).text.trim(), "nothing is in force");
}
