//! Draining: readiness turns first, what is in flight finishes, connections are closed, and it ends in bounded time.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::client::Half;
use crate::process::eventually;
use crate::world::{World, question};

const ATE: &str = "/api/v1/interventions/ate";

#[tokio::test]
async fn a_request_in_flight_finishes_after_the_listener_is_gone() {
    let world = World::new().await;
    let mut replica = world.ready("one", &[("DRAIN_DELAY", "500ms")]).await;
    let half = Half::send(replica.port, ATE, &question(10, 1).to_string()).await;
    eventually("the request is in flight", || async {
        (replica.metric("http_requests_in_flight").await >= 1.0).then_some(())
    })
    .await;
    replica.process.signal(Signal::TERM);
    eventually("readiness turns", || async {
        let ready = replica.get("/health/ready").await;
        (ready.status == 503 && ready.text.contains("draining")).then_some(())
    })
    .await;
    let still = replica.post(ATE, &question(10, 2)).await;
    assert_eq!(
        (still.status, still.header("connection")),
        (200, Some("close")),
        "served, and asked to leave"
    );
    eventually("connections are refused", || async {
        TcpStream::connect(("127.0.0.1", replica.port)).await.is_err().then_some(())
    })
    .await;
    let answer = half.finish().await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ok") && answer.contains("connection: close"), "{answer}");
    assert_eq!(replica.process.ended(Duration::from_secs(5)).await, Some(0));
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off_when_time_is_up() {
    let world = World::without_postgres().await;
    let mut replica = world.start("one", &[("DRAIN_DELAY", "0s"), ("DRAIN_TIMEOUT", "300ms")]);
    let mut half = Half::send(replica.port, ATE, &question(10, 1).to_string()).await;
    eventually("the request is in flight", || async {
        (replica.metric("http_requests_in_flight").await >= 1.0).then_some(())
    })
    .await;
    let begun = Instant::now();
    replica.process.signal(Signal::INT);
    assert_eq!(replica.process.ended(Duration::from_secs(5)).await, Some(0));
    assert!(begun.elapsed() > Duration::from_millis(250), "{:?}", begun.elapsed());
    assert_eq!(half.read_to_end().await, "");
}
