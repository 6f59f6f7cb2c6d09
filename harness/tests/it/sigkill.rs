//! `kill -9` of the harness at every stage of a run: its watchdog heals. Within two leases and 15 s nothing is left.
//! `GAUNTLET_SIGKILLS=28` kills twenty-eight times, spread over the stages. Three runs go on at once.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use crate::stage::{Stage, in_lanes};

const SHORT: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: mixed
    arrivals: { constant: 100/s }
phases: { warm-up: 1s, baseline: 2s, fault: 11s, update: 8s, recovery: 2s }
faults:
  - kill: service
    at: fault + 500ms
  - pause: service
    at: fault + 7s
    for: 3s
rollouts:
  - update: service
    to: v2
    at: update
tolerates: { service: 1 of 3 }
objectives:
  - p95 < 1s
checks: [no-lost-write]
";

const DRILL: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: record
    arrivals: { constant: 100/s }
phases: { warm-up: 1s, drill: 30s }
drills:
  - point-in-time: database
    at: drill
    lose: 20
may-lose: [database]
objectives:
  - rto < 30s
";

const GREEN: &str = "
hypothesis: nothing of a killed run is left
system: SYSTEM
seed: 9
load:
  - behaviour: mixed
    arrivals: { constant: 100/s }
phases: { warm-up: 1s, baseline: 30s, release: 90s }
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
    arrivals: { constant: 100/s }
phases: { warm-up: 1s, baseline: 30s, release: 90s }
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

/// Two leases of 5 s and 15 s.
const WITHIN: Duration = Duration::from_secs(25);

/// Every stage of a run, by the event that begins it: a drill's in the middle of its restore, too. The longest first.
const STAGES: [(&str, &str); 14] = [
    (GREEN, "\"entered\",\"step\":\"blue-green-1/2\""),
    (CANARY, "\"entered\",\"step\":\"canary-1/1\""),
    (CANARY, "\"entered\",\"step\":\"canary-1/2\""),
    (SHORT, "\"load-ended\""),
    (SHORT, "\"event\":\"phase\",\"name\":\"recovery\""),
    (SHORT, "\"entering\",\"step\":\"update-1/1\""),
    (DRILL, "\"entering\",\"step\":\"point-in-time-1/7.6\""),
    (DRILL, "\"entered\",\"step\":\"point-in-time-1/2.8\""),
    (SHORT, "\"entered\",\"step\":\"pause-2/1\""),
    (SHORT, "\"entering\",\"step\":\"kill-1/1\""),
    (SHORT, "\"event\":\"phase\",\"name\":\"baseline\""),
    (SHORT, "\"event\":\"phase\",\"name\":\"warm-up\""),
    (SHORT, "\"entering\",\"step\":\"set-up/2\""),
    (SHORT, "\"began\""),
];

/// So many runs at once: each waits most of the time.
const LANES: usize = 3;

fn kills() -> usize {
    std::env::var("GAUNTLET_SIGKILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(STAGES.len())
}

#[test]
fn after_sigkill_at_any_stage_nothing_is_left() {
    let states = Mutex::new(vec![]);
    in_lanes(0..LANES, 0..kills(), |_, number| kill(number, &states));
}

fn kill(number: usize, states: &Mutex<Vec<PathBuf>>) {
    let stage = Stage::new();
    let state = stage.dir().join("state/gauntlet");
    states.lock().unwrap().push(state.clone());
    let (scenario, at) = STAGES[number % STAGES.len()];
    let mut run = stage.start(scenario, &[]);
    stage.await_event(at);
    let private = stage.private();
    // Later rounds strike later within the stage.
    thread::park_timeout(Duration::from_millis(150) * u32::try_from(number / STAGES.len()).unwrap());
    let ports = ports(&state);
    run.kill().unwrap();
    run.wait().unwrap();
    let killed = Instant::now();
    while !stage.left().is_empty() || private.exists() {
        assert!(killed.elapsed() < WITHIN, "kill {number} at {at}: {:?}", stage.left());
        thread::park_timeout(Duration::from_millis(50));
    }
    println!("kill {number:2} at {at:<45} gone after {:.1} s", killed.elapsed().as_secs_f64());
    for port in ports {
        // A port that is free again may be drawn by the other run.
        let drawn = || states.lock().unwrap().iter().any(|state| self::ports(state).contains(&port));
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok() || drawn(), "port {port} is held");
    }
}

/// Those of the run on record, if there is one.
fn ports(state: &Path) -> Vec<u16> {
    let runs = fs::read_dir(state).into_iter().flatten();
    let Some(text) = runs.filter_map(|run| fs::read_to_string(run.ok()?.path().join("run.json")).ok()).next()
    else {
        return vec![];
    };
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let replicas = record["ground"]["local"]["replicas"].as_array().unwrap();
    let ports = replicas.iter().flat_map(|replica| replica["ports"].as_object().unwrap().values());
    ports.map(|port| u16::try_from(port.as_u64().unwrap()).unwrap()).collect()
}
