//! Drills on a cluster, one after the other in one run: a dropped database, a wrong transaction, spoilt backups, all objects
//! but the data, and the whole namespace with its volumes. One drill a scenario, with more load: `gauntlet drill --all`.

use serde_json::Value;

use crate::{
    cluster::{here, left},
    stage::Stage,
};

const DRILLS: &str = "
hypothesis: what is lost on a cluster is restored
system: SYSTEM
seed: 8
load:
  - behaviour: record
    arrivals: { poisson: 100/s }
  - behaviour: look-up
    arrivals: { poisson: 50/s }
  - behaviour: ask-again
    arrivals: { poisson: 20/s }
phases: { warm-up: 2s, baseline: 3s, drill: 206s, after: 5s }
drills:
  - logical: database
    at: drill
    within: 18s
    lose: 200
  - refusals: database
    at: drill + 18s
    within: 30s
  - point-in-time: database
    at: drill + 48s
    within: 46s
    lose: 200
  - configuration: [service, ingress]
    at: drill + 94s
    within: 30s
    lose: 200
  - total-loss: [database, cache, service, ingress]
    at: drill + 124s
    within: 80s
    lose: 200
may-lose: [database, cache, service, ingress]
objectives:
  - rto < 70s
  - errors < 2% in baseline
# Seconds are measured here: a whole system that starts again on the same cores may hold the generator up.
generator: { lag: 200ms }
";

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn what_is_lost_is_restored_from_backups_alone() {
    let stage = Stage::new();
    let ended = stage.drill(DRILLS, &here());
    assert_eq!(ended.code, 0, "{}", ended.text);
    let report: Value = serde_json::from_str(&stage.report("report.json")).unwrap();
    let drills = report["drills"].as_array().unwrap();
    assert_eq!(drills.len(), 5, "{report:#}");
    let of = |kind: &str| drills.iter().find(|drill| drill["kind"] == kind).unwrap();
    let lost = |kind: &str| of(kind)["lost"].as_u64().unwrap();
    assert!(lost("logical") >= 200 && lost("total-loss") >= 200, "{drills:#?}");
    assert_eq!(lost("configuration"), 0, "{drills:#?}");
    assert_eq!(of("point-in-time")["rpo_s"], 0.0, "{drills:#?}");
    assert_eq!((&of("refusals")["refused"], &of("refusals")["offered"]), (&14.into(), &14.into()));
    assert_eq!(left(), Vec::<String>::new());
}
