//! Whole runs of the `gauntlet` command against real processes: what makes a gate fail, what makes it inconclusive, and
//! that nothing is left, whatever happens. Each test has the machine for itself (see `.config/nextest.toml`).

use std::time::Duration;

use crate::stage::{Stage, root};

/// The reference system under little load, quickly.
const SHORT: &str = "
hypothesis: a quiet system answers rightly
system: SYSTEM
seed: 5
load:
  - behaviour: mixed
    arrivals: { constant: 300/s }
phases: { warm-up: 2s, baseline: 5s }
objectives:
  - p95 < 200ms
  - throughput > 250/s
  - errors < 2%
checks: [no-lost-write, no-duplicate, right-answers]
";

pub(crate) fn defective(defect: &str) -> Vec<String> {
    let program = root().join("target/release/causal-service-defects");
    let defect = format!("service.settings.DEFECT={defect}");
    vec!["--set".into(), format!("service.program={}", program.display()), "--set".into(), defect]
}

/// Runs the short scenario against a defect and answers the findings that are missed.
fn missed(defect: &str) -> Vec<String> {
    let stage = Stage::new();
    let ended = stage.run(SHORT, &defective(defect));
    assert_eq!(ended.code, 1, "{defect}: {}", ended.text);
    stage.assert_nothing_left();
    stage.findings("missed")
}

#[test]
fn a_service_without_defects_passes_and_a_replay_says_the_same() {
    let stage = Stage::new();
    let ended = stage.run(SHORT, &[]);
    assert_eq!(ended.code, 0, "{}", ended.text);
    stage.assert_nothing_left();
    let before = stage.report("report.json");
    let replayed = stage.gauntlet(&["replay", "--report", stage.run_dir().to_str().unwrap()]);
    assert_eq!(replayed.code, 0, "{}", replayed.text);
    assert_eq!(stage.report("report.json"), before);
    for name in [
        "report.html",
        "junit.xml",
        "events.jsonl",
        "metrics.jsonl",
        "requests/00001.parquet",
        "logs/service-1.log",
    ] {
        assert!(stage.run_dir().join(name).exists(), "{name}");
    }
}

#[test]
fn three_hundred_milliseconds_on_the_slowest_tenth_miss_the_latency_objective() {
    let missed = missed("tail:+300ms@10%");
    assert!(missed.iter().any(|what| what.starts_with("p95")), "{missed:?}");
    assert!(!missed.iter().any(|what| what.contains("lost")), "{missed:?}");
}

#[test]
fn a_lost_write_is_found_after_the_run() {
    assert_eq!(missed("lost-writes:4%"), ["no-lost-write"]);
}

#[test]
fn fast_refusals_are_errors_and_no_throughput() {
    let missed = missed("refusals:20%");
    assert!(missed.iter().any(|what| what.starts_with("errors")), "{missed:?}");
}

#[test]
fn a_wrong_answer_is_found() {
    let missed = missed("wrong-answers:1%");
    assert!(missed.contains(&"right-answers".to_owned()), "{missed:?}");
}

#[test]
fn a_write_that_is_stored_twice_is_found() {
    assert_eq!(missed("double-writes:4%"), ["no-duplicate"]);
}

#[test]
fn a_starved_generator_makes_a_run_inconclusive() {
    let stage = Stage::new();
    let mut run = stage.start(SHORT, &[]);
    stage.await_event("\"phase\",\"name\":\"baseline\"");
    let load = stage.child_named(run.id(), "__load");
    stage.signal(load, "STOP");
    std::thread::park_timeout(Duration::from_millis(1_500));
    stage.signal(load, "CONT");
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 3, "{}", ended.text);
    assert!(
        stage.findings("invalid").iter().any(|what| what.contains("in time")),
        "{:?}",
        stage.findings("invalid")
    );
    stage.assert_nothing_left();
}

#[test]
fn without_samples_a_run_is_inconclusive() {
    let stage = Stage::new();
    let scenario =
        SHORT.replace("constant: 300/s", "constant: 0.01/s").replace("  - throughput > 250/s\n", "");
    let ended = stage.run(&scenario, &[]);
    assert_eq!(ended.code, 3, "{}", ended.text);
    stage.assert_nothing_left();
}

#[test]
fn ctrl_c_heals_and_leaves_a_partial_report_and_a_second_one_does_so_too() {
    for times in [1, 2] {
        let stage = Stage::new();
        let mut run = stage.start(SHORT, &[]);
        stage.await_event("\"phase\",\"name\":\"baseline\"");
        for _ in 0..times {
            stage.signal(run.id(), "INT");
            std::thread::park_timeout(Duration::from_millis(100));
        }
        let ended = stage.end(&mut run);
        assert_eq!(ended.code, 130, "{}", ended.text);
        assert!(stage.run_dir().join("report.html").exists());
        stage.assert_nothing_left();
    }
}

#[test]
fn a_journal_that_cannot_be_written_is_the_harness_that_broke() {
    let stage = Stage::new();
    let mut run = stage.start(SHORT, &[]);
    stage.await_event("\"phase\",\"name\":\"warm-up\"");
    let requests = stage.run_dir().join("requests");
    std::fs::remove_dir_all(&requests).unwrap();
    std::fs::write(&requests, "in the way").unwrap();
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 6, "{}", ended.text);
    stage.assert_nothing_left();
}

#[test]
fn no_secret_is_in_anything_that_a_run_leaves() {
    let stage = Stage::new();
    let mut run = stage.start(SHORT, &[]);
    stage.await_event("\"phase\",\"name\":\"baseline\"");
    let secrets = stage.secrets();
    assert!(!secrets.is_empty());
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 0, "{}", ended.text);
    for secret in &secrets {
        assert!(secret.len() >= 16);
        assert!(!ended.text.contains(secret.as_str()));
        for file in stage.files() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(!contains(&bytes, secret.as_bytes()), "{} holds a secret", file.display());
        }
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[test]
fn two_runs_at_once_do_not_meet() {
    let (one, other) = (Stage::new(), Stage::new());
    let (mut first, mut second) = (one.start(SHORT, &[]), other.start(SHORT, &[]));
    let (first, second) = (one.end(&mut first), other.end(&mut second));
    // Two of them may be too much for a small machine, but neither may see the other.
    for (stage, ended) in [(&one, &first), (&other, &second)] {
        assert!([0, 1, 3].contains(&ended.code), "{}", ended.text);
        assert!(
            !stage.findings("missed").iter().any(|what| what.starts_with("no-") || what.starts_with("right"))
        );
        stage.assert_nothing_left();
    }
}

#[test]
fn a_dead_dependency_is_a_set_up_that_failed_with_the_reason() {
    let stage = Stage::new();
    let ended = stage.run(SHORT, &["--set".into(), "cache.program=/bin/false".into()]);
    assert_eq!(ended.code, 4, "{}", ended.text);
    assert!(ended.text.contains("cache-1"), "{}", ended.text);
    stage.assert_nothing_left();
}

#[test]
fn a_program_that_is_missing_is_named_with_its_package_before_anything_starts() {
    let stage = Stage::new();
    let ended = stage.run(SHORT, &["--set".into(), "cache.program=no-such-program".into()]);
    assert_eq!(ended.code, 4, "{}", ended.text);
    assert!(ended.text.contains("no-such-program") && ended.text.contains("redis-server"), "{}", ended.text);
    assert!(!stage.has_run());
}

#[test]
fn a_watchdog_that_dies_ends_the_run_healed() {
    let stage = Stage::new();
    let mut run = stage.start(SHORT, &[]);
    stage.await_event("\"phase\",\"name\":\"baseline\"");
    stage.signal(stage.child_named(run.id(), "__watch"), "KILL");
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 6, "{}", ended.text);
    stage.assert_nothing_left();
}

#[test]
fn a_load_process_that_dies_ends_the_run_at_once_without_a_verdict_on_the_service() {
    let stage = Stage::new();
    let mut run = stage.start(SHORT, &[]);
    stage.await_event("\"phase\",\"name\":\"warm-up\"");
    stage.signal(stage.child_named(run.id(), "__load"), "KILL");
    let killed = std::time::Instant::now();
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 3, "{}", ended.text);
    assert!(killed.elapsed() < Duration::from_secs(9), "{:?}", killed.elapsed());
    assert!(stage.report("events.jsonl").contains("the load process: it ended before its schedule did"));
    stage.assert_nothing_left();
}

#[test]
fn root_of_an_ordinary_container_can_run_and_leaves_nothing() {
    // Everybody else starts all components under one account, and may look at them.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    let ended = stage.run_contained(SHORT);
    assert_eq!(ended.code, 0, "{}", ended.text);
    stage.assert_nothing_left();
}

#[test]
fn a_component_that_never_comes_up_is_named_with_what_it_logged_last() {
    let stage = Stage::new();
    let ended = stage.run(SHORT, &["--set".into(), "service.settings.DATABASE_URL=nonsense".into()]);
    assert_eq!(ended.code, 4, "{}", ended.text);
    assert!(stage.report("events.jsonl").contains("service-1 logged last:"), "{}", ended.text);
    stage.assert_nothing_left();
}

#[test]
fn load_leaves_this_machine_only_when_the_host_is_allowed() {
    let stage = Stage::new();
    let ended = stage.run(SHORT, &["--endpoint".into(), "192.0.2.1:80".into()]);
    assert_eq!(ended.code, 2, "{}", ended.text);
    assert!(ended.text.contains("--allow-host 192.0.2.1"), "{}", ended.text);
    assert!(!stage.has_run());
}

#[test]
fn bad_input_is_told_with_its_place_and_starts_nothing() {
    let cases: [(&str, String); 4] = [
        ("unknown field", SHORT.replace("seed: 5", "sead: 5")),
        ("objectives", SHORT.replace("p95 < 200ms", "p95 < 200 parsecs")),
        ("negative", SHORT.replace("constant: 300/s", "constant: -150/s")),
        ("mixd", SHORT.replace("behaviour: mixed", "behaviour: mixd")),
    ];
    for (what, scenario) in cases {
        let stage = Stage::new();
        let ended = stage.run(&scenario, &[]);
        assert_eq!(ended.code, 2, "{what}: {}", ended.text);
        assert!(ended.text.contains("scenario.yml:"), "{what}: {}", ended.text);
        assert!(!stage.has_run(), "{what}");
    }
}

#[test]
fn a_journal_of_another_format_is_refused() {
    let stage = Stage::new();
    let dir = stage.dir().join("old");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("events.jsonl"), "{\"at_us\":0,\"event\":\"began\",\"format\":99}\n").unwrap();
    let ended = stage.gauntlet(&["replay", dir.to_str().unwrap()]);
    assert_eq!(ended.code, 2, "{}", ended.text);
    assert!(ended.text.contains("99"), "{}", ended.text);
}

/// The reference system is rolled out under little load.
const ROLLED: &str = "
hypothesis: users do not notice a rollout
system: SYSTEM
seed: 6
load:
  - behaviour: mixed
    arrivals: { constant: 200/s }
phases: { warm-up: 2s, baseline: 3s, update: 12s, after: 3s }
rollouts:
  - update: service
    to: REVISION
    at: update
    within: 8s
objectives:
  - errors < 1%
";

#[test]
fn a_rollout_that_never_comes_up_fails_the_run_is_taken_back_and_users_go_on() {
    let stage = Stage::new();
    let ended = stage.run(&ROLLED.replace("REVISION", "broken"), &[]);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert_eq!(stage.findings("missed"), ["rollout completes"]);
    let report = stage.report("report.json");
    assert!(report.contains("original at 2 of 3") && report.contains("it was taken back"), "{}", ended.text);
    let events = stage.report("events.jsonl");
    let at = |what: &str| events.find(what).unwrap_or_else(|| panic!("{what}: {}", ended.text));
    assert!(at("\"event\":\"healed\",\"step\":\"update-1/1\"") < at("\"event\":\"load-ended\""));
    stage.assert_nothing_left();
}

/// The reference system with a `v2` that has a defect, as a file of the stage.
pub(crate) fn with_a_defective_v2(stage: &Stage, defect: &str) -> String {
    let program = root().join("target/release/causal-service-defects");
    with_v2(stage, &format!("{{ program: {}, settings: {{ DEFECT: \"{defect}\" }} }}", program.display()))
}

/// The reference system with another `v2`.
pub(crate) fn with_v2(stage: &Stage, revision: &str) -> String {
    let system = std::fs::read_to_string(root().join("deploy/system.yml")).unwrap();
    let bad = format!("v2: {revision}");
    let good = "v2: { settings: { VERSION: v2 } }";
    assert!(system.contains(good), "{good}");
    // The file stands elsewhere: what it names beside itself is named from the root.
    let at = root();
    let at = at.to_str().unwrap();
    let system =
        system.replace(good, &bad).replace("from: haproxy.cfg", &format!("from: {at}/deploy/haproxy.cfg"));
    let system = system.replace(" ../", &format!(" {at}/"));
    let file = stage.dir().join("system.yml");
    std::fs::write(&file, system).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_rollout_that_completes_to_a_bad_version_is_missed_by_its_users() {
    let stage = Stage::new();
    let file = with_a_defective_v2(&stage, "refusals:20%");
    let scenario = ROLLED.replace("SYSTEM", &file).replace("REVISION", "v2");
    let ended = stage.run(&scenario, &[]);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert_eq!(stage.findings("missed"), ["errors < 1%"], "{}", ended.text);
    assert!(stage.findings("met").contains(&"rollout completes".to_owned()), "{}", ended.text);
    stage.assert_nothing_left();
}

#[test]
fn ctrl_c_in_the_middle_of_a_rollout_leaves_nothing() {
    let stage = Stage::new();
    let mut run = stage.start(&ROLLED.replace("REVISION", "v2"), &[]);
    stage.await_event("\"event\":\"entering\",\"step\":\"update-1/1\"");
    std::thread::park_timeout(Duration::from_millis(1_500));
    stage.signal(run.id(), "INT");
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 130, "{}", ended.text);
    stage.assert_nothing_left();
}
