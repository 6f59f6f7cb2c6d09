//! Outages: Redis costs time only; PostgreSQL costs 503 where it is needed, and never an acknowledged write.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::eventually;
use crate::world::{Replica, World, draft, question};

const ATE: &str = "/api/v1/interventions/ate";
const EXPERIMENTS: &str = "/api/v1/experiments";

/// The answer's numbers, as text; fails when it was late.
async fn estimate(replica: &Replica, seed: u64, within: Duration) -> (String, Value) {
    let begun = Instant::now();
    let reply = replica.post(ATE, &question(1000, seed)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(begun.elapsed() < within, "late: {:?}", begun.elapsed());
    let body = reply.json();
    (format!("{} {}", body["estimate"], body["confidence_interval"]), body["cached"].clone())
}

#[tokio::test]
async fn without_redis_answers_are_slower_and_the_same_and_the_cache_comes_back_by_itself() {
    let mut world = World::without_postgres().await;
    let replica = world.start("one", &[]);
    let soon = Duration::from_millis(800);
    let (before, _) = estimate(&replica, 1, soon).await;
    assert_eq!(estimate(&replica, 1, soon).await, (before.clone(), json!(true)));
    // Frozen: every call would hang.
    world.redis().signal(Signal::STOP);
    for _ in 0..10 {
        assert_eq!(estimate(&replica, 1, soon).await, (before.clone(), json!(false)));
    }
    world.redis().signal(Signal::CONT);
    eventually("the frozen cache is used again", || async {
        (estimate(&replica, 1, soon).await.1 == json!(true)).then_some(())
    })
    .await;
    // Dead: every call is refused.
    world.redis().kill().await;
    for _ in 0..10 {
        assert_eq!(estimate(&replica, 1, soon).await, (before.clone(), json!(false)));
    }
    assert!(replica.metric("cache_lookups_total{result=\"error\"}").await >= 20.0);
    world.start_redis().await;
    let begun = Instant::now();
    eventually("the new cache is used", || async {
        (estimate(&replica, 1, soon).await.1 == json!(true)).then_some(())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(estimate(&replica, 1, soon).await.0, before);
}

#[tokio::test]
async fn no_acknowledged_write_is_lost_while_postgresql_crashes_and_comes_back() {
    let mut world = World::new().await;
    let replica = world.ready("one", &[]).await;
    let (client, url) = (replica.client(), replica.url(EXPERIMENTS));
    let writer = tokio::spawn(async move {
        let (mut acknowledged, mut refused, mut after) = (Vec::new(), 0, 0);
        for at in 0.. {
            let name = format!("w{at}");
            let reply = client.try_send("POST", url.clone(), &[], Some(draft(&name).to_string())).await;
            let reply = reply.expect("an answer, even without a database");
            match reply.status {
                201 => acknowledged.push(reply.header("location").unwrap().to_owned()),
                503 => assert_eq!(
                    (reply.header("retry-after"), reply.code().as_str()),
                    (Some("1"), "database_unavailable")
                ),
                other => panic!("{other}: {}", reply.text),
            }
            refused += usize::from(reply.status == 503);
            after += usize::from(refused > 0 && reply.status == 201);
            if after >= 20 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        (acknowledged, refused)
    });
    let made = "http_requests_total{method=\"POST\",route=\"/api/v1/experiments\",status=\"201\"}";
    let busy = "some experiments are made";
    eventually(busy, || async { (count(&replica, made).await >= 20.0).then_some(()) }).await;
    world.crash_postgres().await;
    let begun = Instant::now();
    assert_eq!(replica.get(EXPERIMENTS).await.status, 503);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(replica.post(ATE, &question(1000, 1)).await.status, 200, "effects need no database");
    assert_eq!(replica.get("/health").await.status, 200);
    assert_eq!(replica.get("/health/ready").await.status, 200, "a fleet must not turn unready together");
    world.start_postgres().await;
    let (acknowledged, refused) = writer.await.unwrap();
    assert!(acknowledged.len() >= 40 && refused >= 1);
    for path in &acknowledged {
        assert_eq!(replica.get(path).await.status, 200, "{path} was acknowledged");
    }
}

async fn count(replica: &Replica, series: &str) -> f64 {
    // The series appears with the first such answer.
    if replica.get(EXPERIMENTS).await.json()["items"].as_array().is_none_or(Vec::is_empty) {
        return 0.0;
    }
    replica.metric(series).await
}

#[tokio::test]
async fn a_frozen_postgresql_costs_bounded_time_and_is_used_again_when_it_thaws() {
    let mut world = World::new().await;
    let replica = world.ready("one", &[("DATABASE_TIMEOUT", "500ms")]).await;
    assert_eq!(replica.post(EXPERIMENTS, &draft("before")).await.status, 201);
    world.postgres().signal_tree(Signal::STOP);
    for _ in 0..6 {
        let begun = Instant::now();
        assert_eq!(replica.post(EXPERIMENTS, &draft("while")).await.status, 503);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    assert_eq!(replica.get(EXPERIMENTS).await.status, 503);
    assert!(
        begun.elapsed() < Duration::from_millis(300),
        "nobody waits for it any more: {:?}",
        begun.elapsed()
    );
    world.postgres().signal_tree(Signal::CONT);
    eventually("experiments are made again", || async {
        (replica.post(EXPERIMENTS, &draft("after")).await.status == 201).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_starts_before_its_database_becomes_ready_when_it_comes() {
    let mut world = World::new().await;
    world.crash_postgres().await;
    let replica = world.start("one", &[]);
    let unready = replica.get("/ready").await;
    assert_eq!(unready.status, 503);
    assert!(unready.text.contains("not migrated"), "{}", unready.text);
    assert_eq!(replica.get("/health").await.status, 200);
    assert_eq!(replica.post(ATE, &question(10, 1)).await.status, 200);
    assert_eq!(replica.post(EXPERIMENTS, &draft("early")).await.status, 503);
    world.start_postgres().await;
    replica.is_ready().await;
    assert_eq!(replica.post(EXPERIMENTS, &draft("late")).await.status, 201);
}

/// A server that was just restored may still refuse to write. The lock under which it was tried ends with the try.
#[tokio::test]
async fn a_replica_that_could_not_migrate_locks_nobody_out() {
    let world = World::new().await;
    world.sql("alter database postgres set default_transaction_read_only = on").await;
    let replicas = [world.start("one", &[]), world.start("two", &[])];
    for replica in &replicas {
        replica.says("the database was not migrated; trying again").await;
    }
    world.sql("begin read write; alter database postgres reset default_transaction_read_only; commit").await;
    for replica in &replicas {
        replica.is_ready().await;
    }
}
