//! Settings: every mistake at once, exit code 2, nothing started, no secret told.

use std::process::Command;

fn run(settings: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causal-service"));
    let done = command.env_clear().envs(settings.iter().copied()).args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[test]
fn every_mistake_is_told_at_once() {
    let settings = [("CACHE_TTL", "3600"), ("PORT", "99999"), ("DATABASE_URL", "mysql://u:hunter2@h/d")];
    let (code, out, err) = run(&settings, &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    for name in ["CACHE_TTL", "PORT", "DATABASE_URL", "REDIS_URL"] {
        assert!(err.contains(&format!("causal-service: {name}: ")), "{name} is not in\n{err}");
    }
    assert!(err.contains("units: ms, s, m, h") && !err.contains("hunter2"), "{err}");
}

#[test]
fn a_port_that_is_taken_is_told_with_its_address() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let urls = [("DATABASE_URL", "postgres://127.0.0.1:1/x"), ("REDIS_URL", "redis://127.0.0.1:1")];
    let settings = [&urls[..], &[("HOST", "127.0.0.1"), ("PORT", &port), ("METRICS_PORT", "0")]].concat();
    let (code, _, err) = run(&settings, &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{err}");
}

#[test]
fn the_oracle_needs_no_settings_and_counts_its_questions() {
    let (code, out, _) = run(&[], &["oracle", "--questions", "3", "--seed", "9", "--samples", "50"]);
    let questions: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, questions.as_array().map(Vec::len)), (Some(0), Some(3)));
    assert_eq!(questions[0]["samples"], 50);
    assert!(questions[0]["truth"].is_f64() && questions[0]["tolerance"].is_f64());
}

#[test]
fn defects_are_in_no_build_that_was_not_asked_for_them() {
    if cfg!(feature = "defects") {
        return;
    }
    let binary = std::fs::read(env!("CARGO_BIN_EXE_causal-service")).expect("the binary");
    let holds = |text: &str| binary.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("DATABASE_TIMEOUT") && !holds("DEFECT_SEED") && !holds("lying-readiness"));
}
