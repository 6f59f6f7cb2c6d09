//! Defects of a share: the share is met, the draws are fixed by the seed, and nothing else is touched.

use super::{ATE, BINARY, EXPERIMENTS, ask, with};
use crate::world::{Replica, World, draft, question};

/// Within four standard deviations of a binomial count.
fn assert_share(hits: usize, many: usize, share: f64) {
    let (mean, deviation) = (many as f64 * share, (many as f64 * share * (1.0 - share)).sqrt());
    assert!((hits as f64 - mean).abs() <= 4.0 * deviation, "{hits} of {many} with a share of {share}");
}

/// Which of some requests were answered with a status.
async fn answered(replica: &Replica, status: u16, many: usize) -> Vec<bool> {
    let mut found = Vec::new();
    for _ in 0..many {
        let answer = replica.post(ATE, &question(1000, 1)).await;
        assert!(answer.status == 200 || answer.status == status, "{}", answer.text);
        // The guard lies around the defects, so a failed request is known by its replica and version as any other.
        assert!(answer.header("x-replica").is_some() && answer.header("x-version").is_some());
        found.push(answer.status == status);
    }
    found
}

fn count(found: &[bool]) -> usize {
    found.iter().filter(|found| **found).count()
}

#[tokio::test]
async fn errors_and_refusals_have_their_share_and_probes_have_none() {
    let world = World::new().await;
    assert_eq!(count(&answered(&with(&world, "").await, 500, 500).await), 0);
    let failing = with(&world, "errors:5%").await;
    let first = answered(&failing, 500, 2000).await;
    assert_share(count(&first), 2000, 0.05);
    for _ in 0..200 {
        assert_eq!(failing.get("/health").await.status, 200);
        assert_eq!(failing.get("/health/ready").await.status, 200);
    }
    assert_eq!(
        answered(&with(&world, "errors:5%").await, 500, 300).await,
        first[..300],
        "the seed fixes them"
    );
    let settings = [("DEFECT", "errors:5%"), ("DEFECT_SEED", "42")];
    let other = world.start_binary(BINARY, "two", &settings);
    assert_ne!(answered(&other, 500, 300).await, first[..300], "replicas must not fail in step");
    let both = with(&world, "errors:20%,errors:20%").await;
    assert_share(count(&answered(&both, 500, 1000).await), 1000, 0.36);
    let refusing = with(&world, "refusals:20%").await;
    assert_share(count(&answered(&refusing, 503, 1000).await), 1000, 0.2);
}

#[tokio::test]
async fn an_error_comes_after_the_work_was_done() {
    let world = World::new().await;
    let failing = with(&world, "errors:100%").await;
    assert_eq!(failing.post(EXPERIMENTS, &draft("done")).await.status, 500);
    assert_eq!(world.sql("SELECT count(*)::text FROM experiments").await, "1");
}

/// Makes experiments of one name: (acknowledged, found by their id, in the list).
async fn write(replica: &Replica, name: &str, many: usize) -> (usize, usize, usize) {
    let (mut acknowledged, mut found) = (0, 0);
    for at in 0..many {
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
    assert_eq!(write(&with(&world, "").await, "none", 100).await, (100, 100, 100));
    let (acknowledged, found, listed) = write(&with(&world, "lost-writes:10%").await, "lost", 500).await;
    assert_eq!((acknowledged, found), (500, listed));
    assert_share(500 - found, 500, 0.1);
    let (acknowledged, found, listed) = write(&with(&world, "double-writes:10%").await, "double", 500).await;
    assert_eq!((acknowledged, found), (500, 500));
    assert_share(listed - 500, 500, 0.1);
}

#[tokio::test]
async fn wrong_answers_are_out_of_tolerance_with_status_200() {
    let world = World::new().await;
    let wrong = with(&world, "wrong-answers:5%").await;
    let mut off = 0;
    for _ in 0..1000 {
        let answer = ask(&wrong, 1000, 1).await;
        assert_eq!(answer.status, 200);
        let answer = answer.json();
        let number = |name: &str| answer[name].as_f64().expect("a number");
        // The oracle's tolerance is six standard errors.
        off += usize::from((number("estimate") + 1.5).abs() > 6.0 * number("standard_error"));
    }
    assert_share(off, 1000, 0.05);
}
