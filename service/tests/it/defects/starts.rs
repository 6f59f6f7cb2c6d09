//! Defects of the start and of readiness; and the build without defects, which has none of them.

use std::time::{Duration, Instant};

use super::{BINARY, EXPERIMENTS, ask};
use crate::world::World;

#[tokio::test]
async fn a_slow_start_is_not_ready_for_so_long_and_then_as_ever() {
    let world = World::new().await;
    let begun = Instant::now();
    let slow = world.start_binary(BINARY, "slow", &[("DEFECT", "slow-start:3s")]);
    assert_eq!(slow.get("/health/ready").await.status, 503);
    assert_eq!(slow.get("/ready").await.status, 503);
    assert_eq!(ask(&slow, 100, 1).await.status, 503);
    assert_eq!(slow.get("/health").await.status, 200);
    slow.is_ready().await;
    let took = begun.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&took), "{took:?}");
    for _ in 0..100 {
        assert_eq!(ask(&slow, 100, 1).await.status, 200);
    }
}

/// Every column of every table, and the migrations that were done.
const SCHEMA: &str =
    "SELECT concat_ws(' ', table_name, column_name, data_type) FROM information_schema.columns
                      WHERE table_schema = 'public' ORDER BY 1";
const DONE: &str = "SELECT concat_ws(' ', version, success) FROM _sqlx_migrations ORDER BY version";

#[tokio::test]
async fn a_failing_migration_ends_the_process_with_the_reason_and_leaves_the_schema_as_it_was() {
    let world = World::new().await;
    let stable = world.ready("stable", &[]).await;
    let before = (world.sql(SCHEMA).await, world.sql(DONE).await);
    assert!(before.0.contains("experiments name text") && before.1 == "1 t", "{before:?}");
    let mut failing = world.start_binary(BINARY, "failing", &[("DEFECT", "failing-migration")]);
    assert_eq!(failing.process.ended(Duration::from_secs(10)).await, Some(1));
    failing.says("the database refused to be migrated: ").await;
    failing.says("column \"name\" of relation \"experiments\" already exists").await;
    assert_eq!((world.sql(SCHEMA).await, world.sql(DONE).await), before);
    assert_eq!(stable.get(EXPERIMENTS).await.status, 200);
}

#[tokio::test]
async fn readiness_lies_while_every_answer_is_an_error() {
    // Not even migrated.
    let world = World::without_postgres().await;
    for (defect, status) in [("lying-readiness", 500), ("lying-readiness:503", 503)] {
        let lying = world.start_binary(BINARY, "lying", &[("DEFECT", defect)]);
        for path in ["/health/ready", "/ready", "/health"] {
            let ready = lying.get(path).await;
            assert_eq!((ready.status, ready.text.as_str()), (200, "{\"status\":\"ok\"}"), "{path}");
        }
        assert_eq!(ask(&lying, 100, 1).await.status, status);
        assert_eq!(lying.get(EXPERIMENTS).await.status, status);
    }
}

#[tokio::test]
async fn the_build_without_defects_does_not_know_the_setting() {
    let world = World::new().await;
    let plain = world.start("plain", &[("DEFECT", "errors:100%,lying-readiness,slow-start:60s")]);
    plain.is_ready().await;
    for _ in 0..50 {
        assert_eq!(ask(&plain, 100, 1).await.status, 200);
    }
}
