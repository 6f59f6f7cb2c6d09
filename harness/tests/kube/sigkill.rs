//! `kill -9` of the harness in the middle of each fault: the janitor heals. Within two leases and 15 s nothing is left.
//! The next run is killed while the janitor waits for the lease of the last one to end.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::{
    cluster::{here, until_nothing_is_left_of},
    own::{Own, PORTS},
    stage::{Stage, root},
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

/// Two leases of 30 s and 15 s.
const WITHIN: Duration = Duration::from_secs(75);

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn after_sigkill_in_set_up_in_a_fault_in_a_drill_or_in_a_rollout_the_janitor_leaves_nothing() {
    // Probes stand in other namespaces too.
    let probed = fs::read_to_string(root().join("scenarios/kube/network-policies.yml")).unwrap();
    let probed = probed.replace("../../deploy/system.yml", "SYSTEM");
    let moments = [
        (probed.as_str(), "\"entered\",\"step\":\"set-up/12\""),
        // In the middle of the restore.
        (DRILL, "\"entering\",\"step\":\"point-in-time-1/7."),
        (PAUSED, "\"entered\",\"step\":\"pause-1/1\""),
        (CHANGES, "\"entered\",\"step\":\"scale-in-1/1\""),
        (CHANGES, "\"applied\",\"step\":\"update-1/1\""),
    ];
    thread::scope(|scope| {
        for ((scenario, at), port) in moments.into_iter().zip(PORTS.into_iter().cycle()) {
            let own = Own::new(port, &[], "");
            let stage = Stage::new();
            let mut run = stage.start(&scenario.replace("SYSTEM", own.system().to_str().unwrap()), &here());
            stage.await_event(at);
            run.kill().unwrap();
            run.wait().unwrap();
            scope.spawn(move || is_healed(&stage, at));
        }
    });
}

fn is_healed(stage: &Stage, at: &str) {
    let killed = Instant::now();
    until_nothing_is_left_of(stage, WITHIN);
    println!("killed at {at:<40} gone after {:.1} s", killed.elapsed().as_secs_f64());
    // What this machine remembers of it is settled from the same ledger.
    assert_eq!(stage.gauntlet(&["heal"]).code, 0);
    assert_eq!(stage.gauntlet(&["status"]).text.trim(), "nothing is in force");
}
