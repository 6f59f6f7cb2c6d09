//! Runs: their result is there at once, and a replica that dies or freezes loses none of them.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::eventually;
use crate::world::{Replica, World, draft, question};

async fn experiment(replica: &Replica, query: Value) -> String {
    let body = json!({"name": "run", "query": query});
    replica.post("/api/v1/experiments", &body).await.header("location").expect("made").to_owned()
}

async fn in_state(replica: &Replica, path: &str, state: &str) -> Value {
    eventually(&format!("the run is {state}"), || async {
        let run = replica.get(&format!("{path}/results")).await.json();
        (run["state"] == state).then_some(run)
    })
    .await
}

/// Takes long enough to be caught at it.
fn long() -> Value {
    question(1_000_000, 3)
}

#[tokio::test]
async fn a_run_has_the_answer_that_the_same_question_has() {
    let world = World::new().await;
    let replica = world.ready("one", &[]).await;
    let path = experiment(&replica, question(1000, 7)).await;
    let early = replica.get(&format!("{path}/results")).await;
    assert_eq!((early.status, early.code().as_str()), (409, "not_run_yet"));
    let asked = replica.post_with(&format!("{path}/run"), &[("idempotency-key", "r1")], &json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let run = in_state(&replica, &path, "finished").await;
    assert_eq!((&run["id"], &run["attempts"]), (&asked.json()["id"], &json!(1)));
    let direct = replica.post("/api/v1/interventions/ate", &question(1000, 7)).await.json();
    for field in ["estimate", "standard_error", "confidence_interval", "samples"] {
        assert_eq!(run["answer"][field].to_string(), direct[field].to_string());
    }
    let again = replica.post_with(&format!("{path}/run"), &[("idempotency-key", "r1")], &json!({})).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    assert_eq!(again.json(), run);
    let other = replica.post(&format!("{path}/run"), &json!({})).await;
    assert_ne!(other.json()["id"], run["id"], "a finished run is not run again under its name");
    let nobody = "/api/v1/experiments/018f6b2c-7a4e-7c1d-9b1a-2f3e4d5c6b7a";
    assert_eq!(replica.post(&format!("{nobody}/run"), &json!({})).await.code(), "no_such_experiment");
    assert_eq!(replica.get(&format!("{nobody}/results")).await.code(), "no_such_experiment");
}

#[tokio::test]
async fn a_run_survives_the_death_of_its_replica() {
    let world = World::new().await;
    let mut one = world.ready("one", &[("JOB_LEASE", "1s")]).await;
    let path = experiment(&one, long()).await;
    assert_eq!(one.post(&format!("{path}/run"), &json!({})).await.status, 202);
    in_state(&one, &path, "running").await;
    assert_eq!(one.metric("concurrent_experiments").await, 1.0);
    one.process.kill().await;
    let two = world.ready("two", &[("JOB_LEASE", "1s")]).await;
    let run = in_state(&two, &path, "finished").await;
    assert_eq!((&run["attempts"], &run["replica"]), (&json!(2), &json!("two")));
}

#[tokio::test]
async fn a_replica_that_wakes_up_late_does_not_write_over_the_one_that_took_over() {
    let world = World::new().await;
    let one = world.ready("one", &[("JOB_LEASE", "1s")]).await;
    let path = experiment(&one, long()).await;
    assert_eq!(one.post(&format!("{path}/run"), &json!({})).await.status, 202);
    in_state(&one, &path, "running").await;
    one.process.signal(Signal::STOP);
    let two = world.ready("two", &[("JOB_LEASE", "1s")]).await;
    let run = in_state(&two, &path, "finished").await;
    assert_eq!(run["replica"], "two");
    one.process.signal(Signal::CONT);
    eventually("the late replica has given up", || async {
        (one.metric("concurrent_experiments").await == 0.0).then_some(())
    })
    .await;
    assert_eq!(one.get(&format!("{path}/results")).await.json(), run);
}

#[tokio::test]
async fn a_replica_that_is_stopped_gives_its_run_back_at_once() {
    let world = World::new().await;
    let settings = [("JOB_LEASE", "60s"), ("DRAIN_DELAY", "0s"), ("DRAIN_TIMEOUT", "1ms")];
    let mut one = world.ready("one", &settings).await;
    let path = experiment(&one, long()).await;
    assert_eq!(one.post(&format!("{path}/run"), &json!({})).await.status, 202);
    in_state(&one, &path, "running").await;
    one.process.signal(Signal::TERM);
    assert_eq!(one.process.ended(Duration::from_secs(5)).await, Some(0));
    let two = world.ready("two", &[]).await;
    // A lease of a minute would be waited for in vain.
    assert_eq!(in_state(&two, &path, "finished").await["attempts"], 2);
    assert_eq!(two.post("/api/v1/experiments", &draft("after")).await.status, 201);
}
