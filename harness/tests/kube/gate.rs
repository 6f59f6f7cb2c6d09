//! The gate on a cluster: the same file as on this machine, and the same verdict.

use std::time::Duration;

use crate::{
    cluster::{here, left, until_nothing_is_left},
    stage::Stage,
};

/// What no test asks for: how fast a machine is that others use as well, and how soon it is as fast as before.
/// `scripts/gates 10 kube` measures it.
const SPEED: [&str; 2] = ["p95 < 200ms", "recovery < 5s"];

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn the_gate_passes_and_leaves_nothing() {
    let stage = Stage::new();
    let reports = stage.dir().join("reports").display().to_string();
    let mut args = vec!["gate".to_owned(), "--reports".to_owned(), reports];
    args.extend(here());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // The gate repeats itself where it is inconclusive. A machine that others load may starve the generator for longer than that.
    for last in [false, true] {
        let ended = stage.gauntlet(&args);
        until_nothing_is_left(Duration::from_secs(30));
        if ended.code == 3 && !last {
            println!("inconclusive: {}", ended.text);
            continue;
        }
        let missed: Vec<&str> = ended.text.lines().filter(|line| line.starts_with("missed  ")).collect();
        // A recovery is one of speed alone only where no request failed.
        let errors =
            ended.text.lines().filter(|line| line.starts_with("met ") && line.contains("errors < 0.5%"));
        let errors: Vec<&str> = errors.collect();
        let slow = ended.code == 1
            && !missed.is_empty()
            && missed.iter().all(|line| SPEED.iter().any(|what| line.contains(what)))
            && !errors.is_empty()
            && errors.iter().all(|line| line.contains(" 0.000 % "));
        assert!(ended.code == 0 || slow, "exit code {}: {}", ended.code, ended.text);
        break;
    }
    assert_eq!(left(), Vec::<String>::new());
}
