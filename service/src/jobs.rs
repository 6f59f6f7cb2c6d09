//! The worker of a replica: takes runs from the queue, computes them under a lease, and applies their outcome once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::compute::ComputeError;
use crate::lifecycle::Phase;
use crate::question::{Canonical, Mistake, Question};
use crate::store::Job;

/// How often the queue is looked at when nobody wakes the worker.
const POLL: Duration = Duration::from_secs(1);
/// How often what is too old is cleared away.
const CLEAR: Duration = Duration::from_secs(600);
/// Pause between two attempts to store an outcome.
const RETRY: Duration = Duration::from_millis(250);

/// Works until the service drains.
pub async fn work(app: Arc<App>) {
    let mut cleared: Option<Instant> = None;
    while !app.life.is_draining() {
        match app.store.claim(&app.settings.replica, app.settings.job_lease).await {
            Ok(Some(job)) => {
                app.metrics.concurrent_experiments.inc();
                run(&app, &job).await;
                app.metrics.concurrent_experiments.dec();
                continue;
            }
            Ok(None) => clear(&app, &mut cleared).await,
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "no look at the queue"),
        }
        tokio::select! {
            () = app.queued.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            () = app.life.reached(Phase::Draining) => {}
        }
    }
}

/// Now and then; what is left over waits for the next time.
async fn clear(app: &App, last: &mut Option<Instant>) {
    if last.is_some_and(|at| at.elapsed() < CLEAR) {
        return;
    }
    *last = Some(Instant::now());
    let cleared = (app.store.forget_old_keys().await, app.store.fail_hopeless_runs().await);
    if let (Ok(keys), Ok(runs)) = cleared
        && keys + runs > 0
    {
        tracing::info!(keys, runs, "cleared old idempotency keys and hopeless runs");
    }
}

/// One run: compute, keep the lease meanwhile, store the outcome. Time being up gives it back.
async fn run(app: &App, job: &Job) {
    let outcome = async {
        let computed = compute(app, job).await;
        let Some(outcome) = computed else { return };
        apply(app, job, outcome.as_deref().map_err(String::as_str)).await;
    };
    tokio::select! {
        () = outcome => {}
        () = keep(app, job) => tracing::warn!(run = %job.id, "the lease was lost; another replica goes on"),
        () = app.life.reached(Phase::Stopping) => release(app, job).await,
    }
}

/// The answer as JSON, or what is wrong with the question. `None` when the computation was lost.
async fn compute(app: &App, job: &Job) -> Option<Result<String, String>> {
    let question = match read(&job.query) {
        Ok(question) => question,
        Err(why) => return Some(Err(why.to_string())),
    };
    match app.compute.answer(question).await {
        Ok(answer) => Some(serde_json::to_string(&answer).map_err(|why| why.to_string())),
        Err(ComputeError::Question(why)) => Some(Err(why.to_string())),
        Err(why) => {
            // The lease runs out and somebody tries again.
            tracing::error!(run = %job.id, error = &why as &dyn std::error::Error, "a run was lost");
            None
        }
    }
}

fn read(query: &str) -> Result<Canonical, Mistake> {
    let question: Question =
        serde_json::from_str(query).map_err(|why| Mistake::new("query", why.to_string()))?;
    question.canonical()
}

/// Tries until the store answers; a lease that ends meanwhile ends the trying, too.
async fn apply(app: &App, job: &Job, outcome: Result<&str, &str>) {
    loop {
        match app.store.finish(job, outcome).await {
            Ok(true) => return,
            Ok(false) => {
                tracing::warn!(run = %job.id, "another replica applied or took over the run");
                return;
            }
            Err(why) => {
                tracing::warn!(run = %job.id, error = &why as &dyn std::error::Error, "outcome not stored yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Renews the lease; returns only when the run is no longer ours.
async fn keep(app: &App, job: &Job) {
    let lease = app.settings.job_lease;
    loop {
        tokio::time::sleep(lease / 3).await;
        match app.store.renew(job, lease).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(why) => {
                tracing::warn!(run = %job.id, error = &why as &dyn std::error::Error, "lease not renewed");
            }
        }
    }
}

async fn release(app: &App, job: &Job) {
    match app.store.release(job).await {
        Ok(given_back) => tracing::info!(run = %job.id, given_back, "time is up for a run"),
        Err(why) => {
            tracing::warn!(run = %job.id, error = &why as &dyn std::error::Error, "a run could not be given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::chain;

    #[test]
    fn a_stored_question_is_read_back_and_a_damaged_one_is_named() {
        let text = serde_json::to_string(&chain()).unwrap();
        assert_eq!(read(&text).unwrap(), chain().canonical().unwrap());
        assert_eq!(read("{}").unwrap_err().field, "query");
    }
}
