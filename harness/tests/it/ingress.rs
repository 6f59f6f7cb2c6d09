//! The ingress of the reference system (`deploy/haproxy.cfg`), in front of three small servers.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use gauntlet_core::{
    act::{Act, Place, Revision, Signal, Unit},
    port::Witness,
    proof::Query,
    system::{Shares, System},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::ground::{Run, replica, system};

// Logs every request that it read whole, then answers at once, after some milliseconds, or not at all.
const SERVER: &str = r#"
import http.server, os, socketserver, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.startswith("/health"):
            print(self.command, self.path, len(body), self.headers.get("X-Number", "-"), flush=True)
        if "wait" in self.path:
            time.sleep(0.3)
        if "never" in self.path:
            self.close_connection = True
            return
        answer = b"{}" 
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-replica", os.environ["REPLICA"])
        self.end_headers()
        self.wfile.write(answer)
    do_GET = do_POST = do_PUT = do_DELETE = handle_any

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn deploy() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")).canonicalize().unwrap()
}

fn components() -> Value {
    let text = std::fs::read_to_string(deploy().join("system.yml")).unwrap();
    let system: Value = serde_saphyr::from_str(&text).unwrap();
    system["components"].clone()
}

fn reference() -> System {
    let mut all = components();
    all["service"]["settings"] =
        json!({ "HOST": "{{ host }}", "PORT": "{{ port.http }}", "REPLICA": "{{ component }}-{{ index }}" });
    all["service"]["uses"] = json!([]);
    all["service"]["local"] =
        json!({ "program": "python3", "args": ["server.py"], "files": { "server.py": { "text": SERVER } } });
    let ingress = all["ingress"].take();
    let mut system = system(json!({ "service": all["service"].take(), "ingress": ingress }), json!([]));
    // The map above is in order of the names; the ingress starts last.
    system.components.reverse();
    system
}

async fn up() -> Run {
    let run = Run::up(reference(), &deploy()).await;
    for index in 1..=3 {
        await_status(&run, index, "UP").await;
    }
    run
}

struct Answer {
    status: u16,
    replica: Option<String>,
    took: Duration,
}

async fn ask(port: u16, method: &str, path: &str, headers: &str, body: usize) -> Answer {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {body}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; body]).await.unwrap();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text).to_lowercase();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let replica = text.lines().find_map(|line| Some(line.strip_prefix("x-replica: ")?.to_owned()));
    Answer { status, replica, took: begin.elapsed() }
}

async fn exported(run: &Run) -> BTreeMap<String, f64> {
    let port = run.port("ingress", 1, "metrics");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"GET /metrics?scope=backend&scope=server HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let series = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    });
    series.collect()
}

async fn retries(run: &Run, backend: &str) -> f64 {
    exported(run).await[&format!("haproxy_backend_retry_warnings_total{{proxy=\"{backend}\"}}")]
}

// Until the ingress counts the replica as up or down; looks every 20 ms.
async fn await_status(run: &Run, index: u16, status: &str) -> Duration {
    let series =
        format!("haproxy_server_status{{proxy=\"retried\",server=\"service-{index}\",state=\"{status}\"}}");
    let begin = Instant::now();
    while exported(run).await.get(&series) != Some(&1.0) {
        assert!(begin.elapsed() < Duration::from_secs(10), "{series}; {}", run.logs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begin.elapsed()
}

// Lines that servers wrote, by the number that the request carried.
fn seen(run: &Run) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    for line in run.logs().lines().filter(|line| line.starts_with("POST ") || line.starts_with("GET ")) {
        *seen.entry(line.rsplit(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    seen
}

#[tokio::test]
async fn a_frozen_and_a_killed_replica_leave_the_rotation_and_come_back() {
    let run = up().await;
    for (index, signal) in [(2, Signal::Pause), (3, Signal::Kill), (1, Signal::Pause), (1, Signal::Kill)] {
        let at = replica("service", index);
        let begin = Instant::now();
        let prepared = run.signal(&at, signal).await;
        await_status(&run, index, "DOWN").await;
        let left = begin.elapsed();
        let port = run.port("ingress", 1, "http");
        for _ in 0..20 {
            let answer = ask(port, "GET", "/x", "", 0).await;
            assert_eq!(answer.status, 200);
            assert_ne!(answer.replica, Some(format!("service-{index}")));
        }
        run.apply(&prepared.back()[0]).await;
        let back = await_status(&run, index, "UP").await;
        eprintln!("{signal} service-{index}: left the rotation after {left:?}, back after {back:?}");
        // The configuration adds up to 350 ms; the rest is for a busy machine.
        assert!(left < Duration::from_millis(1_500), "{left:?}");
    }
}

#[tokio::test]
async fn requests_in_flight_on_a_killed_replica_are_asked_again_if_that_is_safe() {
    let run = up().await;
    let port = run.port("ingress", 1, "http");
    let mut asked = JoinSet::new();
    for number in 0..60 {
        asked.spawn(async move {
            let header = format!("X-Number: {number}\r\nIdempotency-Key: {number}\r\n");
            let plain = format!("X-Number: {number}\r\n");
            match number % 3 {
                0 => ask(port, "GET", "/wait", &plain, 0).await,
                1 => ask(port, "POST", "/api/v1/interventions/ate?wait", &plain, 8_000).await,
                _ => ask(port, "POST", "/wait", &header, 30_000).await,
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    run.signal(&replica("service", 1), Signal::Kill).await;
    let answers = asked.join_all().await;
    let slowest = answers.iter().map(|answer| answer.took).max().unwrap();
    let counted = retries(&run, "retried").await;
    eprintln!("{counted} retries, slowest answer after {slowest:?}");
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(counted >= 1.0);
    assert!(seen(&run).values().any(|times| *times == 2));
}

#[tokio::test]
async fn a_request_to_a_frozen_replica_is_asked_again_elsewhere() {
    let run = up().await;
    let port = run.port("ingress", 1, "http");
    let mut asked = JoinSet::new();
    // Frozen while requests wait in it.
    for _ in 0..30 {
        asked.spawn(async move { ask(port, "GET", "/wait", "", 0).await });
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    run.signal(&replica("service", 2), Signal::Pause).await;
    let answers = asked.join_all().await;
    let slowest = answers.iter().map(|answer| answer.took).max().unwrap();
    eprintln!("{} retries, slowest answer after {slowest:?}", retries(&run, "retried").await);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(answers.iter().any(|answer| answer.took > Duration::from_secs(1)));
    assert!(retries(&run, "retried").await >= 1.0);
}

/// What a replica takes at a time, as the service is delivered; the next one it refuses.
const TAKEN: f64 = 100.0;

#[tokio::test]
async fn what_a_replica_would_refuse_waits_in_the_ingress() {
    for (backend, method) in [("retried", "GET"), ("once", "POST")] {
        let run = up().await;
        let port = run.port("ingress", 1, "http");
        let asked: JoinSet<_> = (0..400).map(|_| ask(port, method, "/wait", "", 0)).collect();
        assert!(asked.join_all().await.iter().all(|answer| answer.status == 200));
        let seen = exported(&run).await;
        for index in 1..=3 {
            let most =
                format!("haproxy_server_max_sessions{{proxy=\"{backend}\",server=\"service-{index}\"}}");
            assert!(seen[&most] > 0.0 && seen[&most] < TAKEN, "{most}: {}", seen[&most]);
        }
        let waited = format!("haproxy_backend_max_queue{{proxy=\"{backend}\"}}");
        assert!(seen[&waited] > 0.0, "{waited}: {}", seen[&waited]);
    }
}

#[tokio::test]
async fn a_request_that_is_not_safe_is_never_sent_twice() {
    let run = up().await;
    let port = run.port("ingress", 1, "http");
    let mut asked = JoinSet::new();
    for number in 0..60 {
        let path = if number % 2 == 0 { "/wait" } else { "/never" };
        asked.spawn(async move { ask(port, "POST", path, &format!("X-Number: {number}\r\n"), 2_000).await });
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    run.signal(&replica("service", 1), Signal::Kill).await;
    run.signal(&replica("service", 2), Signal::Pause).await;
    let mut failed = 0;
    while let Ok(Some(answer)) = tokio::time::timeout(Duration::from_secs(2), asked.join_next()).await {
        let answer = answer.unwrap();
        failed += u32::from(answer.status != 200);
        // What the ingress says itself names no replica.
        assert!(answer.status == 200 || answer.replica.is_none());
    }
    assert!(failed >= 30, "{failed}");
    let seen = seen(&run);
    assert!(seen.len() >= 30 && seen.values().all(|times| *times == 1), "{seen:?}");
    assert_eq!(retries(&run, "once").await, 0.0);
}

#[tokio::test]
async fn the_ingress_answers_for_nobody_when_no_replica_is_left() {
    let run = up().await;
    let port = run.port("ingress", 1, "http");
    assert_eq!(
        ask(port, "GET", "/x", "", 0).await.replica.as_deref().map(|name| &name[..8]),
        Some("service-")
    );
    for index in 1..=3 {
        run.signal(&replica("service", index), Signal::Kill).await;
        await_status(&run, index, "DOWN").await;
    }
    for method in ["GET", "POST"] {
        let answer = ask(port, method, "/x", "", 0).await;
        assert_eq!((answer.status, answer.replica), (503, None));
    }
}

const ASKED: u32 = 600;
const AT_ONCE: u32 = 20;

/// How many of many requests the canary answered, and the others.
async fn split(port: u16) -> (u32, u32) {
    let mut found = (0, 0);
    for _ in 0..ASKED / AT_ONCE {
        let asked: JoinSet<_> = (0..AT_ONCE).map(|_| ask(port, "GET", "/x", "", 0)).collect();
        for answer in asked.join_all().await {
            assert_eq!(answer.status, 200);
            match answer.replica.unwrap().as_str() {
                "service-canary-1" => found.0 += 1,
                other => found.1 += u32::from(other.starts_with("service-")),
            }
        }
    }
    found
}

/// Draws are independent: seven standard errors are not left by chance.
fn is_share(count: u32, share: f64) -> bool {
    let (n, count) = (f64::from(ASKED), f64::from(count));
    (count - n * share).abs() <= 7.0 * (n * share * (1.0 - share)).sqrt()
}

#[tokio::test]
async fn a_set_gets_its_share_and_keeps_it_when_the_ingress_restarts() {
    let (service, set) = (crate::ground::name("service"), crate::ground::name("service-canary"));
    let system = reference().with_set(&set, 1, &service, Revision::original());
    let run = Run::up(system, &deploy()).await;
    for index in 1..=3 {
        await_status(&run, index, "UP").await;
    }
    let port = run.port("ingress", 1, "http");
    let unit = Unit::Component { component: service.clone() };
    let asks = Query::Shares { at: Place::component(&service) };
    let weigh = |share: u16| Act::Weigh {
        unit: unit.clone(),
        shares: Shares([(set.clone(), share)].into_iter().filter(|(_, share)| *share > 0).collect()),
    };
    run.await_reading(&asks, "no set").await;
    assert_eq!(split(port).await, (0, ASKED));
    let prepared = run.prepare(&weigh(2_500)).await.unwrap();
    assert_eq!(prepared.back(), [weigh(0)]);
    run.await_reading(&asks, "no set").await;
    run.apply(&prepared.act).await;
    run.apply(&prepared.act).await;
    run.await_reading(&asks, "service-canary 25%").await;
    assert!(run.prepare(&weigh(2_500)).await.unwrap().idle);
    let (canary, own) = split(port).await;
    assert!(is_share(canary, 0.25) && canary + own == ASKED, "{canary} of {ASKED}");

    // A new process knows nothing but its files.
    let killed = run.signal(&replica("ingress", 1), Signal::Kill).await;
    run.await_reading(&Query::Process { at: replica("ingress", 1) }, "absent").await;
    assert_eq!(run.witness.look(&asks).await.unwrap().0, "absent");
    run.apply(&killed.back()[0]).await;
    run.await_reading(&asks, "service-canary 25%").await;
    for index in 1..=3 {
        await_status(&run, index, "UP").await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (canary, _) = split(port).await;
    assert!(is_share(canary, 0.25), "{canary} of {ASKED}");

    // Without a replica that is ready it gets nothing.
    run.signal(&replica("service-canary", 1), Signal::Kill).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(split(port).await, (0, ASKED));

    for undo in prepared.back().iter().chain(prepared.back()) {
        run.apply(undo).await;
    }
    run.await_reading(&asks, "no set").await;
}
