//! Computations, off the threads that serve requests, and never more side by side than there are permits.

use std::sync::Arc;
use std::time::Instant;

use causal_engine::{AteQuery, Edge, Node, Place, QueryError, Scm};
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::question::{Canonical, Mistake};
use crate::telemetry::Metrics;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// The question cannot be answered.
    #[error("the question cannot be answered")]
    Question(#[from] Mistake),
    /// The computation did not come back.
    #[error("the computation did not come back")]
    Lost(#[from] tokio::task::JoinError),
    /// The service stops.
    #[error("the service stops")]
    Stopping(#[from] tokio::sync::AcquireError),
}

/// Answers questions on the blocking threads.
pub struct Compute {
    permits: Arc<Semaphore>,
    threads: usize,
    metrics: Arc<Metrics>,
}

impl Compute {
    /// `permits` computations side by side, each with `threads` threads.
    pub fn new(permits: usize, threads: usize, metrics: Arc<Metrics>) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits)), threads, metrics }
    }

    /// Waits for a permit and computes. The permit lives as long as the computation, even when nobody waits any more.
    pub async fn answer(&self, question: Canonical) -> Result<Answer, ComputeError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        let threads = self.threads;
        let metrics = Arc::clone(&self.metrics);
        let work = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let answer = answer(&question, threads);
            metrics.computation_seconds.observe(begun.elapsed().as_secs_f64());
            drop(permit);
            answer
        });
        Ok(work.await??)
    }
}

/// The answer itself: the same bits for any number of threads.
pub fn answer(question: &Canonical, threads: usize) -> Result<Answer, Mistake> {
    let scm = model(question)?;
    let query = query(question);
    scm.ate(&query, threads).map(Answer::from).map_err(|e| Mistake::new(field(&e), e.to_string()))
}

/// Whether a question has an answer: everything is checked, nothing is drawn.
pub fn check(question: &Canonical) -> Result<(), Mistake> {
    let checked = model(question)?.closed_form(&query(question));
    checked.map(drop).map_err(|e| Mistake::new(field(&e), e.to_string()))
}

/// The engine's query of a question.
pub fn query(question: &Canonical) -> AteQuery {
    let q = question.question();
    AteQuery {
        treatment: q.treatment.clone(),
        outcome: q.outcome.clone(),
        treated: q.treated,
        control: q.control,
        samples: q.samples,
        seed: q.seed,
    }
}

/// Where in the body a question is wrong.
fn field(wrong: &QueryError) -> &'static str {
    match wrong {
        QueryError::UnknownTreatment { .. } => "treatment",
        QueryError::UnknownOutcome { .. } | QueryError::SameNode { .. } => "outcome",
        QueryError::TooFewSamples { .. }
        | QueryError::TooManySamples { .. }
        | QueryError::TooManyDraws { .. } => "samples",
        QueryError::NotFinite { place: Place::Treated, .. }
        | QueryError::OutOfRange { place: Place::Treated, .. } => "treated",
        QueryError::NotFinite { place: Place::Control, .. }
        | QueryError::OutOfRange { place: Place::Control, .. } => "control",
        _ => "model",
    }
}

/// The engine's model of a question; every mistake in the graph is found here.
pub fn model(question: &Canonical) -> Result<Scm, Mistake> {
    let model = &question.question().model;
    let nodes = model.nodes.iter().map(|n| Node {
        name: n.name.clone(),
        intercept: n.intercept,
        noise_std: n.noise_std,
    });
    let edges = model.edges.iter().map(|e| Edge { from: e.from.clone(), to: e.to.clone(), weight: e.weight });
    Scm::new(nodes.collect(), edges.collect()).map_err(|e| Mistake::new("model", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Question;
    use crate::question::tests::chain;

    fn field_of(change: fn(&mut Question)) -> String {
        let mut q = chain();
        change(&mut q);
        answer(&q.canonical().unwrap(), 1).unwrap_err().field
    }

    #[test]
    fn the_estimate_lies_near_the_closed_form() {
        let q = chain().canonical().unwrap();
        let truth = model(&q).unwrap().closed_form(&query(&q)).unwrap();
        assert_eq!(truth.ate, -1.5);
        let got = answer(&q, 1).unwrap();
        assert!((got.estimate - truth.ate).abs() < 6.0 * truth.standard_error, "{got:?}");
        assert_eq!(got.samples, 1000);
    }

    #[test]
    fn the_order_of_the_body_and_the_threads_do_not_change_one_bit() {
        let mut q = chain();
        q.model.nodes.reverse();
        q.model.edges.reverse();
        let (a, b) = (q.canonical().unwrap(), chain().canonical().unwrap());
        assert_eq!(answer(&a, 3).unwrap(), answer(&b, 1).unwrap());
    }

    #[test]
    fn a_mistake_names_the_field_it_stands_in() {
        assert_eq!(field_of(|q| q.treatment = "z".to_owned()), "treatment");
        assert_eq!(field_of(|q| q.outcome = "z".to_owned()), "outcome");
        assert_eq!(field_of(|q| q.outcome = "a".to_owned()), "outcome");
        assert_eq!(field_of(|q| q.treated = 1e10), "treated");
        assert_eq!(field_of(|q| q.control = -1e10), "control");
        assert_eq!(field_of(|q| q.model.edges[0].weight = 1e10), "model");
        assert_eq!(field_of(|q| q.model.edges[1].to = "a".to_owned()), "model");
    }

    #[tokio::test]
    async fn permits_come_back_after_mistakes() {
        let compute = Compute::new(1, 1, Arc::new(Metrics::new()));
        for _ in 0..3 {
            let mut q = chain();
            q.treatment = "z".to_owned();
            let wrong = compute.answer(q.canonical().unwrap()).await;
            assert!(matches!(wrong, Err(ComputeError::Question(_))));
        }
        assert!(compute.answer(chain().canonical().unwrap()).await.is_ok());
    }
}
