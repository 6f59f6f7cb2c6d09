//! The answer by simulation: blocks of samples, drawn by any thread, combined in one order.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::QueryError;
use crate::model::Scm;
use crate::moments::Moments;
use crate::normal::{BLOCK, Column, Stream, fill};
use crate::query::{AteQuery, Step};

/// Blocks that a thread takes at a time; a request of one span is answered without another thread.
const SPAN: usize = 16;

/// An estimated average treatment effect. All numbers are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ate {
    /// Difference of the outcome's means, treated less control.
    pub estimate: f64,
    /// Standard error of the estimate: the root of `v1 / n + v0 / n`.
    pub standard_error: f64,
    /// 95 % interval: the estimate, less and plus Student's quantile (1.96 for large n) times the standard error.
    pub confidence_interval: [f64; 2],
    /// Samples in each arm.
    pub samples: u64,
}

impl Scm {
    /// Estimates an average treatment effect from independent draws in two arms.
    ///
    /// The bits of the answer do not depend on `threads`; 0 counts as 1, and where the system refuses a thread the
    /// others do its work.
    ///
    /// # Errors
    /// What is wrong with the query, or [`QueryError::Overflow`]; see [`QueryError`].
    pub fn ate(&self, query: &AteQuery, threads: usize) -> Result<Ate, QueryError> {
        let steps = self.steps(self.resolve(query)?);
        let blocks = (query.samples as usize).div_ceil(BLOCK);
        let mut results = vec![Moments::default(); 2 * blocks];
        simulate(&Simulation { query, steps, blocks }, &mut results, threads);
        let (treated, control) = results.split_at(blocks);
        answer(query.samples, combine(treated), combine(control))
            .ok_or_else(|| QueryError::Overflow { outcome: query.outcome.clone() })
    }
}

/// All that a thread must know to draw any block.
struct Simulation<'a> {
    query: &'a AteQuery,
    steps: Vec<Step>,
    /// Blocks in each arm; the treated arm's come first.
    blocks: usize,
}

/// Threads take spans until none is left. Each result has its own place, so it does not matter who came first.
fn simulate(simulation: &Simulation<'_>, results: &mut [Moments], threads: usize) {
    let workers = threads.clamp(1, results.len().div_ceil(SPAN));
    let spans = Mutex::new(results.chunks_mut(SPAN).enumerate());
    let work = || {
        let mut columns = vec![[0.0; BLOCK]; simulation.steps.len()];
        loop {
            let span = spans.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, span)) = span else { break };
            for (offset, result) in span.iter_mut().enumerate() {
                *result = simulation.block(index * SPAN + offset, &mut columns);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

impl Simulation<'_> {
    /// Draws one block of one arm, and keeps what the answer needs of it.
    fn block(&self, unit: usize, columns: &mut [Column]) -> Moments {
        let (arm, block) = (unit / self.blocks, unit % self.blocks);
        let value = if arm == 0 { self.query.treated } else { self.query.control };
        let stream = Stream { seed: self.query.seed, arm: arm as u32, block: block as u32, node: 0 };
        for (index, step) in self.steps.iter().enumerate() {
            let (above, rest) = columns.split_at_mut(index);
            let Some(column) = rest.first_mut() else { break };
            draw(step, value, stream, above, column);
        }
        // The last block may be short: its columns are whole, the samples beyond the request are left out.
        let count = (self.query.samples as usize - block * BLOCK).min(BLOCK);
        columns.last().map_or_else(Moments::default, |outcome| Moments::of(&outcome[..count]))
    }
}

/// Computes one column from the columns above it: intercept and noise, then the parents in order.
fn draw(step: &Step, set: f64, stream: Stream, above: &[Column], column: &mut Column) {
    let Step::Drawn { node, intercept, noise_std, parents } = step else {
        column.fill(set);
        return;
    };
    if *noise_std == 0.0 {
        column.fill(*intercept);
    } else {
        fill(Stream { node: *node, ..stream }, column);
        column.iter_mut().for_each(|x| *x = *intercept + *noise_std * *x);
    }
    for (parent, weight) in parents {
        for (x, parent) in column.iter_mut().zip(&above[*parent]) {
            *x += *weight * *parent;
        }
    }
}

fn combine(blocks: &[Moments]) -> Moments {
    blocks.iter().copied().fold(Moments::default(), Moments::and)
}

/// The estimate with its uncertainty; nothing when any part of it is not finite.
fn answer(samples: u64, treated: Moments, control: Moments) -> Option<Ate> {
    let n = samples as f64;
    let estimate = treated.mean - control.mean;
    let standard_error = (treated.variance() / n + control.variance() / n).sqrt();
    // Setting the treatment leaves the outcome normal with its spread, so the pooled degrees of freedom are exact.
    let margin = student_quantile(2.0 * (n - 1.0)) * standard_error;
    let confidence_interval = [estimate - margin, estimate + margin];
    let numbers = [estimate, standard_error, confidence_interval[0], confidence_interval[1]];
    let finite = numbers.iter().all(|x| x.is_finite());
    finite.then_some(Ate { estimate, standard_error, confidence_interval, samples })
}

/// The 97.5 % quantile of Student's distribution, by its expansion around the normal's (Abramowitz and Stegun
/// 26.7.5): 0.8 % short at two degrees of freedom, within 0.04 % from four.
fn student_quantile(freedom: f64) -> f64 {
    const NORMAL: f64 = 1.959963984540054;
    let x = NORMAL;
    let z = x * x;
    let first = x * (z + 1.0) / 4.0;
    let second = x * ((5.0 * z + 16.0) * z + 3.0) / 96.0;
    let third = x * (((3.0 * z + 19.0) * z + 17.0) * z - 15.0) / 384.0;
    let fourth = x * ((((79.0 * z + 776.0) * z + 1482.0) * z - 1920.0) * z - 945.0) / 92_160.0;
    let v = freedom;
    x + (first + (second + (third + fourth / v) / v) / v) / v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edge, Node};

    fn chain(weights: &[f64], noise_std: f64) -> Scm {
        let name = |i: usize| format!("n{i:03}");
        let nodes = (0..=weights.len()).map(|i| Node { name: name(i), intercept: 0.3, noise_std });
        let edges = weights.iter().enumerate();
        let edges = edges.map(|(i, &weight)| Edge { from: name(i), to: name(i + 1), weight });
        Scm::new(nodes.collect(), edges.collect()).expect("valid")
    }

    fn query(outcome: usize, samples: u64) -> AteQuery {
        let (treatment, outcome) = ("n000".to_owned(), format!("n{outcome:03}"));
        AteQuery { treatment, outcome, treated: 2.0, control: -1.0, samples, seed: 9 }
    }

    #[test]
    fn without_noise_the_answer_is_exact() {
        let answer = chain(&[2.0, -0.5], 0.0).ate(&query(2, 1000), 1).expect("an answer");
        assert_eq!(answer.standard_error, 0.0);
        assert_eq!(answer.confidence_interval, [answer.estimate; 2]);
        assert!((answer.estimate + 3.0).abs() < 1e-15);
    }

    #[test]
    fn an_outcome_that_does_not_listen_shows_no_effect_but_a_spread() {
        let query = AteQuery { treatment: "n001".into(), ..query(0, 10_000) };
        let answer = chain(&[2.0], 1.0).ate(&query, 1).expect("an answer");
        assert!(answer.standard_error > 0.0 && answer.estimate != 0.0, "the arms are independent");
        assert!(answer.estimate.abs() < 5.0 * answer.standard_error);
    }

    #[test]
    fn what_is_not_asked_for_does_not_change_the_draws() {
        let near = chain(&[2.0, 1.0], 1.0).ate(&query(1, 1000), 1);
        let far = chain(&[2.0, 1.0, 4.0], 1.0).ate(&query(1, 1000), 1);
        assert_eq!(near, far);
    }

    #[test]
    fn another_seed_gives_other_draws() {
        let scm = chain(&[2.0], 1.0);
        let other = AteQuery { seed: 9 | 1 << 40, ..query(1, 1000) };
        assert_ne!(scm.ate(&query(1, 1000), 1), scm.ate(&other, 1));
    }

    #[test]
    fn overflow_is_an_error_in_both_answers() {
        let scm = chain(&[1e9; 40], 1.0);
        let error = QueryError::Overflow { outcome: "n040".into() };
        assert_eq!(scm.ate(&query(40, 1000), 2), Err(error.clone()));
        assert_eq!(scm.closed_form(&query(40, 1000)), Err(error));
    }

    #[test]
    fn overflow_that_a_zero_weight_would_hide_is_an_error() {
        let mut weights = vec![1e9; 40];
        weights.push(0.0);
        let error = QueryError::Overflow { outcome: "n041".into() };
        assert_eq!(chain(&weights, 1.0).ate(&query(41, 100), 1), Err(error));
    }

    #[test]
    fn a_spread_whose_square_overflows_is_an_error() {
        let error = QueryError::Overflow { outcome: "n020".into() };
        assert_eq!(chain(&[1e9; 20], 1.0).ate(&query(20, 100), 1), Err(error));
    }

    #[test]
    fn no_model_of_a_chain_gives_a_number_that_is_not_finite() {
        for length in 1..60 {
            let Ok(answer) = chain(&vec![1e9; length], 1.0).ate(&query(length, 10), 1) else { continue };
            let [low, high] = answer.confidence_interval;
            assert!(low.is_finite() && high.is_finite() && answer.standard_error.is_finite(), "{length}");
            assert!(low < answer.estimate && answer.estimate < high, "{length}");
        }
    }

    #[test]
    fn the_quantile_is_students() {
        let table = [(4.0, 2.776_445), (10.0, 2.228_139), (30.0, 2.042_272), (1998.0, 1.961_152)];
        for (freedom, quantile) in table {
            let ratio = student_quantile(freedom) / quantile;
            assert!((ratio - 1.0).abs() < 4e-4, "{freedom}: {}", student_quantile(freedom));
        }
        assert!((student_quantile(2.0) / 4.302_653 - 1.0).abs() < 8e-3);
    }

    #[test]
    fn no_threads_count_as_one_and_more_than_the_work_are_harmless() {
        let scm = chain(&[2.0], 1.0);
        let one = scm.ate(&query(1, 50_000), 1);
        assert_eq!(scm.ate(&query(1, 50_000), 0), one);
        assert_eq!(scm.ate(&query(1, 50_000), usize::MAX), one);
    }
}
