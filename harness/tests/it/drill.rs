//! Drills on real processes, one after the other in one run: what each destroys is restored, and what it may not lose is there.
//! One drill a scenario, with longer phases: `gauntlet drill --all`.

use std::{fs, process::Command};

use serde_json::Value;

use crate::stage::Stage;

/// How often a finding of that name is met.
fn met(stage: &Stage, what: &str) -> usize {
    let report: Value = serde_json::from_str(&stage.report("report.json")).unwrap();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().filter(|found| found["state"] == "met" && found["what"] == what).count()
}

const DRILLS: &str = "
hypothesis: what is lost is restored
system: SYSTEM
seed: 8
load:
  - behaviour: record
    arrivals: { poisson: 150/s }
  - behaviour: look-up
    arrivals: { poisson: 100/s }
  - behaviour: ask-again
    arrivals: { poisson: 50/s }
phases: { warm-up: 1s, baseline: 3s, drill: 70s, after: 3s }
drills:
  - redis-rdb: cache
    at: drill
    within: 7s
    lose: 200
  - redis-aof: cache
    at: drill + 7s
    within: 7s
    lose: 200
  - configuration: [service, ingress]
    at: drill + 14s
    within: 13s
    lose: 200
  - point-in-time: database
    at: drill + 27s
    within: 16s
    lose: 200
  - logical: database
    at: drill + 43s
    within: 8s
    lose: 200
  - total-loss: [database, cache, service, ingress]
    at: drill + 51s
    within: 19s
    lose: 200
may-lose: [database, cache, service, ingress]
# While the log is kept, and while the dump is restored.
faults:
  - { kill: service, at: drill + 29s }
  - { pause: service, at: drill + 44s, for: 3s }
tolerates: { service: 1 of 3 }
objectives:
  - rto < 20s
  - errors < 2% in baseline
checks: [right-answers]
";

#[test]
fn what_is_destroyed_is_restored_and_nothing_else_is_lost() {
    let stage = Stage::new();
    let ended = stage.drill(DRILLS, &[]);
    assert_eq!(ended.code, 0, "{}", ended.text);
    for (what, times) in [
        ("drill loses no write", 3),
        ("drill restores all that came before the destruction", 1),
        ("drill restores all but the newest writes", 2),
        ("rto < 20s", 6),
        ("fault took effect and is gone", 2),
        ("right-answers", 1),
    ] {
        assert_eq!(met(&stage, what), times, "{what}: {}", ended.text);
    }
    recorded(&stage);
    stage.assert_nothing_left();
}

/// The record names every drill, what was measured, and by digests what of.
fn recorded(stage: &Stage) {
    let mut records = fs::read_dir(stage.dir().join("reports/drills")).unwrap();
    let dir = records.next().unwrap().unwrap().path();
    let record: Value = serde_json::from_slice(&fs::read(dir.join("drills.json")).unwrap()).unwrap();
    assert!(record["outcome"] == "passed" && records.next().is_none(), "{record:#}");
    let scenario = &record["scenarios"][0];
    let drills = scenario["drills"].as_array().unwrap();
    assert_eq!(drills.len(), 6, "{record:#}");
    for drill in drills {
        assert!(drill["rto_s"].as_f64().is_some_and(|took| took > 0.0), "{drill:#}");
        assert!(drill["acknowledged"].as_u64() > drill["lost"].as_u64(), "{drill:#}");
    }
    assert!(drills[5]["rpo_s"].as_f64() > Some(0.0), "a total loss loses what came since the backup");
    let digests = scenario["sha256"].as_object().unwrap();
    assert!(digests.keys().filter(|file| file.ends_with("SHA256SUMS")).count() >= 6, "{digests:#?}");
    let run = dir.join(scenario["directory"].as_str().unwrap());
    for (file, digest) in digests {
        let told = Command::new("sha256sum").arg(run.join(file)).output().unwrap();
        assert!(told.stdout.starts_with(digest.as_str().unwrap().as_bytes()), "{file}");
    }
    let page = fs::read_to_string(dir.join("drills.html")).unwrap();
    assert!(page.contains("total-loss") && page.contains("report.html"), "{page}");
}

// The first waits a second for what was acknowledged, so a second is too little for it.
const OVERRUN: &str = "
hypothesis: a drill that takes longer than it was given is no other one's trouble
system: SYSTEM
seed: 8
load:
  - behaviour: record
    arrivals: { poisson: 150/s }
  - behaviour: ask-again
    arrivals: { poisson: 50/s }
phases: { warm-up: 1s, drill: 13s, after: 1s }
drills:
  - logical: database
    at: drill + 1s
    within: 12s
    lose: 200
  - logical: database
    at: drill
    within: 1s
    lose: 50
may-lose: [database]
objectives:
  - rto < 20s
";

#[test]
fn a_drill_that_overruns_is_told_and_the_next_one_succeeds() {
    let stage = Stage::new();
    let ended = stage.drill(OVERRUN, &[]);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert_eq!(met(&stage, "drill restores all but the newest writes"), 1, "{}", ended.text);
    assert!(ended.text.contains("not done within 1s"), "{}", ended.text);
    stage.assert_nothing_left();
}

const REFUSALS: &str = "
hypothesis: no spoilt backup is restored
system: SYSTEM
seed: 8
load:
  - behaviour: record
    arrivals: { poisson: 100/s }
  - behaviour: ask-again
    arrivals: { poisson: 50/s }
phases: { warm-up: 1s, drill: 20s }
drills:
  - refusals: cache
    at: drill + 1s
    within: 6s
  - refusals: database
    at: drill + 7s
    within: 12s
objectives:
  - errors < 2%
checks: [no-lost-write]
";

#[test]
fn every_spoilt_backup_is_refused_and_nothing_is_touched() {
    let stage = Stage::new();
    let ended = stage.run(REFUSALS, &[]);
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!(met(&stage, "drill refuses every spoilt backup"), 2, "{}", ended.text);
    assert!(ended.text.contains("14 of 14 spoilt backups"), "{}", ended.text);
    stage.assert_nothing_left();
}
