//! The answer by algebra: in a linear model an effect is a sum over paths of products of weights.

use crate::error::QueryError;
use crate::model::Scm;
use crate::query::{AteQuery, Resolved};

/// The true effect, and how precisely a simulation of the asked size can see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosedForm {
    /// The average treatment effect.
    pub ate: f64,
    /// The standard error of a simulated estimate, from the true variances.
    pub standard_error: f64,
}

impl Scm {
    /// Answers `query` exactly, up to rounding; the seed plays no part.
    ///
    /// # Errors
    /// As [`Scm::ate`].
    pub fn closed_form(&self, query: &AteQuery) -> Result<ClosedForm, QueryError> {
        let resolved = self.resolve(query)?;
        let effects = self.effects(resolved);
        let ate = (query.treated - query.control) * effects[resolved.treatment];
        let own = |node: usize| effects[node] * self.nodes[node].noise_std;
        let others = (0..self.nodes.len()).filter(|&node| node != resolved.treatment);
        let variance: f64 = others.map(|node| own(node) * own(node)).sum();
        // Setting the treatment shifts the outcome but leaves its spread: both arms have one variance.
        let standard_error = (2.0 * variance / query.samples as f64).sqrt();
        if !(ate.is_finite() && standard_error.is_finite()) {
            return Err(QueryError::Overflow { outcome: query.outcome.clone() });
        }
        Ok(ClosedForm { ate, standard_error })
    }

    /// Each node's total effect on the outcome per unit, with the treatment cut from its causes.
    fn effects(&self, query: Resolved) -> Vec<f64> {
        let mut effects = vec![0.0; self.nodes.len()];
        effects[query.outcome] = 1.0;
        for &node in self.order.iter().rev().filter(|&&node| node != query.treatment) {
            for &(parent, weight) in &self.parents[node] {
                effects[parent] += weight * effects[node];
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edge, Node};

    /// Confounder z of x and y; x acts on y directly and through m.
    fn scm() -> Scm {
        let node = |(name, noise_std): (&str, f64)| Node { name: name.into(), intercept: 5.0, noise_std };
        let edge = |(from, to, weight): (&str, &str, f64)| Edge { from: from.into(), to: to.into(), weight };
        let nodes = [("z", 3.0), ("x", 1.0), ("m", 2.0), ("y", 1.0)].map(node);
        let edges =
            [("z", "x", 7.0), ("z", "y", 2.0), ("x", "m", 3.0), ("m", "y", 0.5), ("x", "y", -1.0)].map(edge);
        Scm::new(nodes.to_vec(), edges.to_vec()).expect("valid")
    }

    fn ask(treatment: &str, outcome: &str) -> ClosedForm {
        let (treatment, outcome) = (treatment.to_owned(), outcome.to_owned());
        let query = AteQuery { treatment, outcome, treated: 3.0, control: 1.0, samples: 100, seed: 0 };
        scm().closed_form(&query).expect("an answer")
    }

    #[test]
    fn paths_add_and_confounding_does_not() {
        // 2 * (3 * 0.5 - 1); variance 2^2 * 3^2 (z) + 0.5^2 * 2^2 (m) + 1 (y) = 38.
        assert_eq!(ask("x", "y"), ClosedForm { ate: 1.0, standard_error: (2.0 * 38.0 / 100.0_f64).sqrt() });
    }

    #[test]
    fn an_effect_does_not_run_backwards() {
        let answer = ask("y", "x");
        assert_eq!(answer.ate, 0.0);
        assert_eq!(answer.standard_error, (2.0 * (21.0 * 21.0 + 1.0) / 100.0_f64).sqrt());
    }

    #[test]
    fn a_cause_of_everything_acts_through_everything() {
        // 7 * (3 * 0.5 - 1) + 2, twice.
        assert_eq!(ask("z", "y").ate, 11.0);
    }
}
