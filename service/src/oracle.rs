//! Questions with known answers, as data: a test harness asks them and needs to know nothing about causes.
//!
//! The truth is the closed form; the tolerance is six standard errors, which a right answer leaves about twice in a
//! billion. Everything is drawn with a small generator of its own, so that a seed means the same bytes for ever.

use serde::Serialize;

use crate::compute;
use crate::question::{Edge, Mistake, Model, Node, Question};
use crate::random::Random;

/// Nodes of a model, and about how many edges it has.
const NODES: usize = 10;
const EDGES: usize = 20;
/// How many standard errors an answer may be off.
const TOLERANCE: f64 = 6.0;
/// The seed that the estimate is of.
const SEED: u64 = 1;
/// Digits of the estimate behind the point: machines differ far behind them.
const SCALE: f64 = 1e6;

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// How many questions.
    pub questions: u32,
    /// The seed of the models.
    pub seed: u64,
    /// Draws for each arm.
    pub samples: u64,
}

/// A question and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Known {
    /// The question.
    #[serde(flatten)]
    pub question: Question,
    /// The effect, by algebra.
    pub truth: f64,
    /// How far an estimate may be off.
    pub tolerance: f64,
    /// The estimate of this build with seed 1, to six digits: the same question has the same answer for ever.
    pub estimate: f64,
}

/// Why the questions could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// A question has no answer: the order asks for too much.
    #[error("question {index} has no answer")]
    Question {
        /// Which.
        index: u32,
        /// Why.
        #[source]
        source: Mistake,
    },
    /// A question cannot be written as JSON.
    #[error("a question cannot be written")]
    Json(#[from] serde_json::Error),
}

/// The questions as a JSON array, one a line.
pub fn write(order: &Order) -> Result<String, OracleError> {
    let mut text = String::from("[");
    for index in 0..order.questions {
        let known = known(order, index).map_err(|source| OracleError::Question { index, source })?;
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&serde_json::to_string(&known)?);
    }
    text.push_str("\n]\n");
    Ok(text)
}

/// One question with its answer; depends on its index and the order only.
pub fn known(order: &Order, index: u32) -> Result<Known, Mistake> {
    let mut random = Random(order.seed ^ (u64::from(index) << 32));
    let question = question(&mut random, order.samples);
    let canonical = question.clone().canonical()?;
    let form = compute::model(&canonical)?
        .closed_form(&compute::query(&canonical))
        .map_err(|why| Mistake::new("model", why.to_string()))?;
    let drawn = Question { seed: SEED, ..question.clone() }.canonical()?;
    let estimate = (compute::answer(&drawn, 1)?.estimate * SCALE).round() / SCALE;
    Ok(Known { question, truth: form.ate, tolerance: TOLERANCE * form.standard_error, estimate })
}

/// A random model whose treatment acts on its outcome along at least one path.
fn question(random: &mut Random, samples: u64) -> Question {
    let name = |at: usize| format!("x{at}");
    let mut nodes: Vec<Node> = (0..NODES)
        .map(|at| Node { name: name(at), noise_std: random.tenths(5, 15), intercept: random.tenths(-20, 20) })
        .collect();
    let treatment = random.below(NODES / 2);
    let outcome = NODES - 1 - random.below(NODES / 4);
    let mut pairs = vec![(treatment, outcome)];
    while pairs.len() < EDGES {
        let (a, b) = (random.below(NODES), random.below(NODES));
        // From low to high: no cycle.
        if a < b && !pairs.contains(&(a, b)) {
            pairs.push((a, b));
        }
    }
    let mut edges: Vec<Edge> = pairs
        .into_iter()
        .map(|(a, b)| Edge { from: name(a), to: name(b), weight: random.tenths(-10, 10) })
        .collect();
    // The service must not depend on any order.
    random.shuffle(&mut nodes);
    random.shuffle(&mut edges);
    Question {
        model: Model { nodes, edges },
        treatment: name(treatment),
        outcome: name(outcome),
        treated: random.tenths(5, 20),
        control: random.tenths(-20, 4),
        samples,
        seed: random.next() >> 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const ORDER: Order = Order { questions: 600, seed: 7, samples: 1000 };

    #[test]
    fn the_committed_questions_are_what_the_command_writes() {
        let committed = include_str!("../oracle/questions.json");
        assert!(
            write(&ORDER).unwrap() == committed,
            "run: causal-service oracle > service/oracle/questions.json"
        );
    }

    #[test]
    fn every_question_is_its_own_and_has_an_effect_worth_asking_for() {
        let mut digests = BTreeSet::new();
        let mut clear = 0;
        for index in 0..ORDER.questions {
            let Known { question, truth, tolerance, estimate } = known(&ORDER, index).unwrap();
            assert!((estimate - truth).abs() < tolerance);
            assert_eq!((question.model.nodes.len(), question.model.edges.len()), (NODES, EDGES));
            assert!(tolerance > 0.0 && truth.is_finite());
            clear += usize::from(truth.abs() > tolerance);
            digests.insert(question.canonical().unwrap().digest().0);
        }
        assert_eq!(digests.len(), 600);
        assert!(clear > 300, "{clear} effects are larger than their tolerance");
    }

    #[test]
    fn right_answers_lie_within_their_tolerance() {
        for index in 0..60 {
            let Known { question, truth, tolerance, .. } = known(&ORDER, index).unwrap();
            let answer = compute::answer(&question.canonical().unwrap(), 1).unwrap();
            assert!((answer.estimate - truth).abs() <= tolerance, "question {index}: {answer:?}, {truth}");
        }
    }

    #[test]
    fn too_many_samples_are_refused_with_the_question() {
        let order = Order { samples: 2_000_000, ..ORDER };
        assert!(matches!(write(&order), Err(OracleError::Question { index: 0, .. })));
    }
}
