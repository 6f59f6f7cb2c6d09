//! Each seeded defect does what its name says, and nothing else.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{Replica, World, draft, question};

const ATE: &str = "/api/v1/interventions/ate";
const EXPERIMENTS: &str = "/api/v1/experiments";
const BINARY: &str = env!("CARGO_BIN_EXE_causal-service-defects");

async fn with(world: &World, defect: &str) -> Replica {
    let replica = world.start_binary(BINARY, defect, &[("DEFECT", defect)]);
    replica.is_ready().await;
    replica
}

/// Makes a hundred experiments of one name: (acknowledged, found by their id, in the list).
async fn write(replica: &Replica, name: &str) -> (usize, usize, usize) {
    let (mut acknowledged, mut found) = (0, 0);
    for at in 0..100 {
        let key = format!("{name}-{at}");
        let made = replica.post_with(EXPERIMENTS, &[("idempotency-key", &key)], &draft(name)).await;
        acknowledged += usize::from(made.status == 201);
        let read = replica.get(made.header("location").expect("a place")).await;
        found += usize::from(read.status == 200);
    }
    let mut listed = 0;
    let mut next = format!("{EXPERIMENTS}?limit=100&name={name}");
    loop {
        let page = replica.get(&next).await.json();
        listed += page["items"].as_array().map_or(0, Vec::len);
        let Some(after) = page["next"].as_str() else { return (acknowledged, found, listed) };
        next = format!("{EXPERIMENTS}?limit=100&name={name}&after={after}");
    }
}

#[tokio::test]
async fn writes_are_lost_or_doubled_and_without_a_defect_neither() {
    let world = World::new().await;
    assert_eq!(write(&with(&world, "").await, "none").await, (100, 100, 100));
    assert_eq!(write(&with(&world, "lost-write").await, "lost").await, (100, 98, 98));
    assert_eq!(write(&with(&world, "double-write").await, "double").await, (100, 100, 102));
}

#[tokio::test]
async fn answers_are_wrong_refused_or_late() {
    let world = World::new().await;
    let wrong = with(&world, "wrong-answer").await;
    let mut off = 0;
    for _ in 0..200 {
        let answer: Value = wrong.post(ATE, &question(1000, 1)).await.json();
        off += usize::from((answer["estimate"].as_f64().expect("a number") + 1.5).abs() > 1.0);
    }
    assert_eq!(off, 2);
    let fast = with(&world, "fast-503").await;
    let mut refused = 0;
    for _ in 0..50 {
        refused += usize::from(fast.post(ATE, &question(1000, 1)).await.status == 503);
    }
    assert_eq!(refused, 10);
    let slow = with(&world, "slow-tenth").await;
    let mut late = 0;
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(slow.post(ATE, &question(1000, 1)).await.status, 200);
        late += usize::from(begun.elapsed() >= Duration::from_millis(300));
    }
    assert_eq!(late, 2);
}
