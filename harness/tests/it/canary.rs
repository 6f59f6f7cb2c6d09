//! Canaries on real processes: one that is promoted although a replica of it dies meanwhile, and one that is rolled back; and
//! the same of whole sets that get all of the traffic at once; and one of each kind of harm, with short phases.
//! All handicaps, many times: `make canary-series`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::{
    machine::{defective, with_a_defective_v2, with_v2},
    stage::{Ended, Stage, in_lanes, root},
};

/// As short as a judge allows: it learns for 30 s, and a comparison takes four batches of 10 s.
const CANARY: &str = "
hypothesis: a canary is judged while users are served
system: SYSTEM
seed: 8
load:
  - behaviour: mixed
    arrivals: { poisson: 300/s }
phases: { warm-up: 2s, baseline: 31s, canary: CANARYs }
rollouts:
  - canary: service
    to: v2
    at: canary + 500ms
    shares: [45%]
    each: EACHs
    replicas: 2
    harm: { errors: 2% }
FAULTS
objectives:
  - errors < 6%
checks: [no-lost-write]
# Errors are judged here, not times: other work on the machine may hold the generator up.
generator: { lag: 200ms }
";

fn scenario(canary: &str, each: &str, faults: &str) -> String {
    CANARY.replace("CANARY", canary).replace("EACH", each).replace("FAULTS", faults)
}

/// A verdict must be reached again from the journal alone.
fn assert_replays(stage: &Stage, ended: &Ended) {
    let before = stage.report("report.json");
    let replayed = stage.gauntlet(&["replay", "--report", stage.run_dir().to_str().unwrap()]);
    assert_eq!(replayed.code, ended.code, "{}", replayed.text);
    assert_eq!(stage.report("report.json"), before);
}

#[test]
fn a_version_that_is_no_worse_is_promoted_although_a_replica_of_it_dies_meanwhile() {
    let stage = Stage::new();
    let kill = "faults:\n  - kill: service-canary\n    at: canary + 10s";
    let ended = stage.run(&scenario("66", "46", kill), &[]);
    assert_eq!(ended.code, 0, "{}", ended.text);
    let met = stage.findings("met");
    for what in ["canary is no worse", "rollout completes", "fault took effect and is gone"] {
        assert!(met.contains(&what.to_owned()), "{what}: {}", ended.text);
    }
    stage.assert_nothing_left();
    assert_replays(&stage, &ended);
}

#[test]
fn a_version_that_is_worse_is_rolled_back_together_with_a_fault_on_it() {
    let stage = Stage::new();
    // It would last until after the decision.
    let pause = "faults:\n  - pause: service-canary\n    at: canary + 30s\n    for: 20s";
    let file = with_a_defective_v2(&stage, "errors:8%");
    let ended = stage.run(&scenario("52", "46", pause).replace("SYSTEM", &file), &[]);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert_eq!(
        stage.findings("missed"),
        ["canary is no worse", "canary errors is no worse"],
        "{}",
        ended.text
    );
    let met = stage.findings("met");
    assert!(met.contains(&"rollout is taken back".to_owned()), "{}", ended.text);
    assert!(met.contains(&"fault took effect and is gone".to_owned()), "{}", ended.text);
    assert!(
        ended.text.contains("“canary is no worse” (canary service to v2) is missed: rolled back"),
        "{}",
        ended.text
    );
    stage.assert_nothing_left();
    assert_replays(&stage, &ended);
}

/// A defect, what is judged, the metric by which its version is rolled back, and the defect that the stable version has.
type Harm = (&'static str, &'static str, &'static str, &'static str);

const SLOW: [Harm; 2] =
    [("latency:x4", "harm: { p50: 50% }", "p50", ""), ("tail:x20@20%", "harm: { p95: 100% }", "p95", "")];
const WRONG: [Harm; 5] = [
    ("wrong-answers:6%", "harm: { wrong-answers: 1% }", "wrong-answers", ""),
    ("lost-writes:30%", "harm: { lost-writes: 3% }", "lost-writes", ""),
    ("leak:128KiB", "keeps: { memory: 75MiB }", "memory <= 78.6 MB", ""),
    ("lying-readiness:500", "harm: { errors: 2% }", "errors", ""),
    // Twice as many, where there are some already.
    ("errors:8%", "harm: { errors: 2% }", "errors", "errors:4%"),
];

/// Time for more batches: on a busy machine one may not show it.
#[test]
fn each_harm_that_is_slow_is_rolled_back_by_its_metric() {
    rolled_back(SLOW, "94", "86");
}

#[test]
fn each_harm_that_is_wrong_is_rolled_back_by_its_metric() {
    rolled_back(WRONG, "66", "60");
}

/// All at once, each with half of the load.
fn rolled_back<const N: usize>(harms: [Harm; N], canary: &str, each: &str) {
    in_lanes(0..N, harms, |_, (defect, harm, by, stable)| {
        let stage = Stage::new();
        let file = with_a_defective_v2(&stage, defect);
        let text = scenario(canary, each, "").replace("harm: { errors: 2% }", harm).replace("300/s", "150/s");
        let more = if stable.is_empty() { vec![] } else { defective(stable) };
        let ended = stage.run(&text.replace("SYSTEM", &file), &more);
        assert_eq!(ended.code, 1, "{defect}: {}", ended.text);
        let (missed, met) = (stage.findings("missed"), stage.findings("met"));
        for what in ["canary is no worse".to_owned(), format!("canary {by} is no worse")] {
            assert!(missed.contains(&what), "{defect}: {what}: {}", ended.text);
        }
        assert!(met.contains(&"rollout is taken back".to_owned()), "{defect}: {}", ended.text);
        // What was lost is missed by users afterwards, too.
        let found = if by == "lost-writes" { missed } else { met };
        assert!(found.contains(&"users fare as before it".to_owned()), "{defect}: {}", ended.text);
        reported(&stage, by);
        stage.assert_nothing_left();
    });
}

/// The report's account of a canary says the same as its findings, of the same readings.
fn reported(stage: &Stage, by: &str) {
    let report: Value = serde_json::from_str(&stage.report("report.json")).unwrap();
    let metrics = report["canaries"][0]["metrics"].as_array().unwrap();
    let metric =
        metrics.iter().find(|metric| metric["metric"] == by).unwrap_or_else(|| panic!("{by}: {metrics:#?}"));
    assert_eq!(metric["standing"], "worse", "{metric:#}");
}

const GREEN: &str = "
hypothesis: a release that is switched over at once keeps its bounds
system: SYSTEM
seed: 8
load:
  - behaviour: mixed
    arrivals: { poisson: 150/s }
phases: { warm-up: 2s, baseline: 31s, release: 50s }
rollouts:
  - blue-green: service
    to: v2
    at: release + 500ms
    each: 22s
    keeps: { errors: 3%, p95: 1s }
objectives:
  - errors < 20%
checks: [no-lost-write]
generator: { lag: 200ms }
";

/// What v2 is, how many ask a second, and what must become of it.
type Release = (&'static str, &'static str, fn(&Stage, &Ended));

/// All at once, each with half of the load or less.
#[test]
fn a_whole_set_is_promoted_by_its_bounds_taken_back_by_them_or_gets_no_user() {
    let releases: [Release; 6] = [
        ("none", "150/s", |stage, ended| {
            assert_eq!(ended.code, 0, "{}", ended.text);
            assert!(stage.findings("met").contains(&"rollout completes".to_owned()), "{}", ended.text);
            assert_replays(stage, ended);
        }),
        ("errors:12%", "150/s", |stage, ended| {
            assert_eq!(ended.code, 1, "{}", ended.text);
            assert!(stage.findings("met").contains(&"rollout is taken back".to_owned()), "{}", ended.text);
            assert!(ended.text.contains("is missed: rolled back"), "{}", ended.text);
        }),
        ("failing-migration", "50/s", never_came_up),
        ("slow-start:120s", "50/s", never_came_up),
        ("wrong-secret", "50/s", never_came_up),
        ("no-program", "50/s", never_came_up),
    ];
    in_lanes(0..releases.len(), releases, |_, (what, rate, check)| {
        let stage = Stage::new();
        let file = match what {
            "none" => "SYSTEM".to_owned(),
            "wrong-secret" => with_v2(&stage, &format!("{{ program: {} }}", with_a_wrong_secret(&stage))),
            "no-program" => with_v2(&stage, "{ program: /bin/false }"),
            defect => with_a_defective_v2(&stage, defect),
        };
        let ended = stage.run(&GREEN.replace("SYSTEM", &file).replace("150/s", rate), &[]);
        println!("{what}: exit code {}", ended.code);
        check(&stage, &ended);
        stage.assert_nothing_left();
    });
}

/// The service, told another password than the database knows.
fn with_a_wrong_secret(stage: &Stage) -> String {
    let program = stage.dir().join("wrong-secret");
    let service = root().join("target/release/causal-service");
    let text = format!(
        "#!/bin/sh\nDATABASE_URL=$(echo \"$DATABASE_URL\" | sed 's|:[^:@]*@|:wrong@|')\nexport DATABASE_URL\nexec {}\n",
        service.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

/// Its health check gates: no user reaches what never was ready.
fn never_came_up(stage: &Stage, ended: &Ended) {
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert_eq!(stage.findings("missed"), ["rollout completes"], "{}", ended.text);
    assert!(stage.findings("met").contains(&"errors < 20%".to_owned()), "{}", ended.text);
}
