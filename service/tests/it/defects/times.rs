//! Defects of time and memory, as a client on this machine sees them.

use std::time::{Duration, Instant};

use super::{ask, with};
use crate::world::{Replica, World};

/// A question that takes milliseconds, so that the service's own time is most of what a client sees.
const HEAVY: u64 = 10_000;
/// A question that takes far less than the way to it.
const LIGHT: u64 = 100;

/// How long an answer takes.
async fn timed(replica: &Replica, samples: u64, seed: u64) -> Duration {
    let begun = Instant::now();
    assert_eq!(ask(replica, samples, seed).await.status, 200);
    begun.elapsed()
}

/// Times of two replicas that are asked in turn, so that what disturbs one disturbs the other.
///
/// They share a cache: each asks its own questions, new ones or always the same.
async fn in_turn(pair: [&Replica; 2], samples: u64, many: u64, new: bool) -> [Vec<Duration>; 2] {
    let mut took = [Vec::new(), Vec::new()];
    for at in 0..many {
        for (arm, replica) in pair.iter().enumerate() {
            let seed = if new { 2 * at } else { 1_000_000 } + arm as u64;
            took[arm].push(timed(replica, samples, seed).await);
        }
    }
    for took in &mut took {
        took.drain(..10);
        took.sort();
    }
    took
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// What the second is to the first at p10, p50, p90 and p99, printed for whoever wants to see it.
///
/// Tests assert the first only: other work on this machine reaches the others.
#[expect(clippy::print_stdout, reason = "a measurement is read with --no-capture")]
fn factors(what: &str, [base, slow]: &[Vec<Duration>; 2]) -> [f64; 4] {
    [0.1, 0.5, 0.9, 0.99].map(|at| {
        let (base, slow) = (quantile(base, at), quantile(slow, at));
        let factor = slow.as_secs_f64() / base.as_secs_f64();
        println!("{what:<30} p{:<3} {base:>10.2?} -> {slow:>10.2?}  x{factor:.3}", at * 100.0);
        factor
    })
}

#[tokio::test]
async fn latency_grows_by_the_factor_where_the_service_is_most_of_it() {
    let world = World::new().await;
    let (base, slow) = (with(&world, "").await, with(&world, "latency:x1.2").await);
    let pair = [&base, &slow];
    let [p10, ..] = factors("10,000 draws", &in_turn(pair, HEAVY, 400, true).await);
    assert!((1.12..1.32).contains(&p10), "x{p10}");
    factors("100 draws", &in_turn(pair, LIGHT, 1000, true).await);
    factors("from the cache", &in_turn(pair, LIGHT, 1000, false).await);
    let also = with(&world, "latency:x1.2,latency:+30us").await;
    factors("from the cache, and +30us", &in_turn([&base, &also], LIGHT, 1000, false).await);
    let clients = [0; 4].map(|_| in_turn(pair, LIGHT, 500, false));
    let [a, b, c, d] = clients;
    let together = tokio::join!(a, b, c, d);
    let mut took = [Vec::new(), Vec::new()];
    for [one, other] in [together.0, together.1, together.2, together.3] {
        took[0].extend(one);
        took[1].extend(other);
    }
    took.iter_mut().for_each(|took| took.sort());
    factors("from the cache, 4 clients", &took);
}

#[tokio::test]
async fn latency_grows_by_a_time() {
    let world = World::new().await;
    let (base, slow) = (with(&world, "").await, with(&world, "latency:+20ms").await);
    let took = in_turn([&base, &slow], LIGHT, 60, true).await;
    assert!(took[1][0] >= Duration::from_millis(20), "{took:?}");
    let (base, slow) = (quantile(&took[0], 0.1), quantile(&took[1], 0.1));
    assert!(slow - base < Duration::from_millis(25), "{base:?} {slow:?}");
    assert!(timed_probe(&with(&world, "latency:+500ms").await).await < Duration::from_millis(500));
}

async fn timed_probe(replica: &Replica) -> Duration {
    let begun = Instant::now();
    assert_eq!(replica.get("/health/ready").await.status, 200);
    begun.elapsed()
}

#[tokio::test]
async fn the_tail_is_slower_and_the_rest_is_not() {
    let world = World::new().await;
    let (base, slow) = (with(&world, "").await, with(&world, "tail:x4@10%").await);
    let took = in_turn([&base, &slow], HEAVY, 400, true).await;
    let [p10, ..] = factors("10,000 draws, tail:x4@10%", &took);
    assert!((0.85..1.15).contains(&p10), "x{p10}");
    let (fastest, slowest) = (quantile(&took[0], 0.1), quantile(&took[1], 0.97));
    assert!(slowest > fastest.mul_f64(3.5), "{fastest:?} {slowest:?}");
    let late = with(&world, "tail:+300ms@10%").await;
    let mut late_answers = 0;
    for at in 0..300 {
        let late = timed(&late, LIGHT, 10_000 + at).await >= Duration::from_millis(300);
        late_answers += usize::from(late);
    }
    assert!((15..=60).contains(&late_answers), "{late_answers} of 300 are the slowest tenth");
}

/// How much resident memory grows in two hundred requests, in MiB.
async fn growth(replica: &Replica) -> f64 {
    for at in 0..50 {
        timed(replica, LIGHT, at).await;
    }
    let before = replica.metric("memory_usage_bytes").await;
    for at in 0..200 {
        timed(replica, LIGHT, at).await;
    }
    (replica.metric("memory_usage_bytes").await - before) / f64::from(1 << 20)
}

#[tokio::test]
async fn a_leak_grows_by_its_size_with_every_request() {
    let world = World::new().await;
    let grown = growth(&with(&world, "leak:256KiB").await).await;
    assert!((48.0..60.0).contains(&grown), "{grown} MiB of 50");
    let grown = growth(&with(&world, "").await).await;
    assert!(grown < 5.0, "{grown} MiB without a leak");
}
