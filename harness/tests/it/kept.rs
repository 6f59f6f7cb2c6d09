//! A kept journal of an earlier build: every build must read it, and judge it as it was judged then.

use gauntlet::journal::Recorded;
use serde_json::{Value, json};

use crate::stage::root;

#[test]
fn a_kept_journal_is_judged_as_it_was() {
    let dir = root().join("reports/sample");
    let kept: Value = serde_json::from_slice(&std::fs::read(dir.join("report.json")).unwrap()).unwrap();
    let recorded = Recorded::open(&dir).unwrap();
    assert!(recorded.requests().len() > 1_000, "there is something to judge");
    let verdict = recorded.judge();
    assert_eq!(json!(verdict.outcome), kept["outcome"]);
    let brief = |finding: &Value| json!([finding["judge"], finding["what"], finding["at"], finding["state"]]);
    let then: Vec<Value> = kept["findings"].as_array().unwrap().iter().map(brief).collect();
    let now: Vec<Value> = verdict.findings.iter().map(|finding| brief(&json!(finding))).collect();
    assert_eq!(now, then);
}
