//! Rollouts that are sabotaged: the harness fails each of them, by the objective that it breaks.

use std::fs;

use serde_json::Value;

use crate::{
    cluster::{here, left_of},
    own::{Own, PORTS},
    stage::{Ended, Stage, root},
};

/// The load goes on until the rollout is given up and taken back.
const STALLED: &str = "
hypothesis: users do not notice that the service is updated
system: SYSTEM
seed: 21
load:
  - behaviour: mixed
    arrivals: { constant: 60/s }
phases: { warm-up: 2s, baseline: 3s, update: 40s }
rollouts:
  - update: service
    to: sabotaged
    at: update
    within: 5s
generator: { lag: 2s, sent: 50% }
objectives:
  - errors < 0.1% in update
";

fn run(stage: &Stage, own: &Own, scenario: &str) -> Ended {
    let ended = stage.run(&scenario.replace("SYSTEM", own.system().to_str().unwrap()), &here());
    assert_eq!(left_of(stage), Vec::<String>::new(), "{}", ended.text);
    ended
}

/// Such a revision never comes up: its rollout is missed and taken back while users notice nothing.
fn stalls(port: u16, revision: &str) {
    let sabotaged = format!("      sabotaged: {revision}");
    let own = Own::new(port, &[], "").insert("    revisions:", &sabotaged);
    let stage = Stage::new();
    let ended = run(&stage, &own, STALLED);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert_eq!(stage.findings("missed"), ["rollout completes"], "{}", ended.text);
    let met = stage.findings("met");
    assert!(met.contains(&"errors < 0.1% in update".to_owned()), "{met:?}: {}", ended.text);
    let report = stage.report("report.json");
    assert!(report.contains("it was taken back"), "{}", ended.text);
    let events = stage.report("events.jsonl");
    let at = |what: &str| events.find(what).unwrap_or_else(|| panic!("{what}: {}", ended.text));
    // Healed is what the witness saw: every replica runs the original again, and is ready.
    assert!(at("\"event\":\"healed\",\"step\":\"update-1/1\"") < at("\"event\":\"load-ended\""));
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn an_image_that_is_not_there_is_a_rollout_that_does_not_complete() {
    stalls(PORTS[1], "{ image: \"gauntlet/causal-service:nowhere\" }");
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_probe_of_another_port_is_a_rollout_that_does_not_complete() {
    stalls(PORTS[1], "{ settings: { PORT: \"9000\" } }");
}

/// Writes without an idempotency key, which the ingress never sends twice, while every replica is replaced three times.
const REPLACED: &str = "
hypothesis: users do not notice that the service is updated, nor that it is rolled back
system: SYSTEM
seed: 21
load:
  - behaviour: register
    arrivals: { constant: 200/s }
phases: { warm-up: 3s, rollouts: 60s }
rollouts:
  - { update: service, to: v2, at: rollouts, within: 20s }
  - { rollback: service, at: rollouts + 20s, within: 20s }
  - { update: service, to: v2, at: rollouts + 40s }
generator: { lag: 2s, sent: 90% }
objectives:
  - errors < 0.01% in rollouts # one of 12,000 at the most
";

const REGISTER: &str = r#"
  register:
    steps:
      - method: POST
        path: /api/v1/experiments
        draw: { question: questions }
        body:
          name: "{{uuid}}"
          query:
            model: "{{question/model}}"
            treatment: "{{question/treatment}}"
            outcome: "{{question/outcome}}"
            samples: 1000
            seed: "{{fresh}}"
        expect:
          status: 201
          json:
            - { at: /name, is: "{{uuid}}" }
"#;

/// A replica that is told to end at the moment when its removal begins, and then accepts nothing. Whether the ingress has
/// heard of it by then is chance, so there are nine of them. (Either of `preStop` and DRAIN_DELAY is enough: it has.)
const NO_DRAIN: &str = "
patches:
  - patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: service }
      spec:
        template:
          spec:
            containers:
              - name: service
                lifecycle: null
                env: [{ name: DRAIN_DELAY, value: 0s }]
";

fn replaced(port: u16, overlay: &str) -> (Stage, Ended) {
    let own = Own::new(port, &[], overlay).insert("behaviours:", REGISTER);
    let stage = Stage::new();
    let ended = run(&stage, &own, REPLACED);
    assert!(stage.findings("met").contains(&"rollout completes".to_owned()), "{}", ended.text);
    (stage, ended)
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn without_a_drain_users_see_errors() {
    let (stage, ended) = replaced(PORTS[2], NO_DRAIN);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert_eq!(stage.findings("missed"), ["errors < 0.01% in rollouts"], "{}", ended.text);
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn as_it_is_deployed_users_see_none() {
    let (stage, ended) = replaced(PORTS[0], "");
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!(stage.findings("missed"), Vec::<String>::new(), "{}", ended.text);
    none_failed(&stage, &["rollouts"]);
}

/// As users have it: the scenario of the repository, whose objective is an upper bound that can be told from so few requests.
/// How fast the machine is no test asks for.
#[test]
#[ignore = "needs a cluster: make test-kube"]
fn as_shipped_nobody_notices_an_update_and_its_rollback() {
    let shipped = fs::read_to_string(root().join("scenarios/rollout/rollback.yml")).unwrap();
    let shipped = shipped.replace("  - p95 < 200ms\n", "") + "generator: { lag: 2s, sent: 90% }\n";
    let own = Own::new(PORTS[1], &[], "");
    let stage = Stage::new();
    let ended = run(&stage, &own, &shipped.replace("../../deploy/system.yml", "SYSTEM"));
    assert_eq!(ended.code, 0, "{}", ended.text);
    none_failed(&stage, &["update", "rollback"]);
}

fn none_failed(stage: &Stage, phases: &[&str]) {
    let report: Value = serde_json::from_str(&stage.report("report.json")).unwrap();
    for name in phases {
        let mut all = report["phases"].as_array().unwrap().iter();
        let phase = all.find(|phase| phase["name"] == *name).unwrap();
        let (requests, classes) =
            (phase["requests"].as_u64().unwrap(), phase["classes"].as_object().unwrap());
        assert!(requests > 3_000, "{phase:#}");
        assert_eq!(classes.keys().collect::<Vec<_>>(), ["ok"], "{phase:#}");
    }
}
