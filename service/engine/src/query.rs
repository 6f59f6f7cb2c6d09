//! What is asked, and what has to be drawn to answer it.

use crate::error::{BadNumber, Place, QueryError, check_number, clip};
use crate::limits::{MAX_DRAWS, MAX_SAMPLES, MIN_SAMPLES};
use crate::model::{Node, Scm};

/// Asks for the average effect on `outcome` of setting `treatment` to `treated` instead of `control`.
#[derive(Debug, Clone, PartialEq)]
pub struct AteQuery {
    /// The node that is set.
    pub treatment: String,
    /// The node that is observed.
    pub outcome: String,
    /// The treatment's value in the treated arm.
    pub treated: f64,
    /// The treatment's value in the control arm.
    pub control: f64,
    /// Samples in each arm.
    pub samples: u64,
    /// Key of the draws.
    pub seed: u64,
}

/// Canonical indices of a query's nodes; holding one means that the query is within its limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolved {
    pub(crate) treatment: usize,
    pub(crate) outcome: usize,
}

/// How one column of a block comes about.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// The treatment: set from outside, cut from its causes.
    Set,
    /// Any other node.
    Drawn { node: u32, intercept: f64, noise_std: f64, parents: Vec<(usize, f64)> },
}

impl Scm {
    /// Checks a query against the model and the limits.
    pub(crate) fn resolve(&self, query: &AteQuery) -> Result<Resolved, QueryError> {
        let treatment = self
            .index(&query.treatment)
            .ok_or_else(|| QueryError::UnknownTreatment { name: clip(&query.treatment) })?;
        let outcome = self
            .index(&query.outcome)
            .ok_or_else(|| QueryError::UnknownOutcome { name: clip(&query.outcome) })?;
        if treatment == outcome {
            return Err(QueryError::SameNode { name: query.outcome.clone() });
        }
        finite(query.treated, Place::Treated)?;
        finite(query.control, Place::Control)?;
        self.check_size(query.samples)?;
        Ok(Resolved { treatment, outcome })
    }

    fn check_size(&self, samples: u64) -> Result<(), QueryError> {
        if samples < MIN_SAMPLES {
            return Err(QueryError::TooFewSamples { samples, limit: MIN_SAMPLES });
        }
        if samples > MAX_SAMPLES {
            return Err(QueryError::TooManySamples { samples, limit: MAX_SAMPLES });
        }
        let draws = samples.saturating_mul(self.nodes.len() as u64);
        if draws > MAX_DRAWS {
            return Err(QueryError::TooManyDraws { draws, limit: MAX_DRAWS });
        }
        Ok(())
    }

    /// The columns of a block, parents first and the outcome last: only what the outcome listens to under `do`.
    pub(crate) fn steps(&self, query: Resolved) -> Vec<Step> {
        let needed = self.needed(query);
        let mut columns = vec![0; self.nodes.len()];
        let mut steps = Vec::new();
        for &node in self.order.iter().filter(|&&node| needed[node]) {
            columns[node] = steps.len();
            if node == query.treatment {
                steps.push(Step::Set);
                continue;
            }
            let parents =
                self.parents[node].iter().map(|&(parent, weight)| (columns[parent], weight)).collect();
            let &Node { intercept, noise_std, .. } = &self.nodes[node];
            steps.push(Step::Drawn { node: node as u32, intercept, noise_std, parents });
        }
        steps
    }

    fn needed(&self, query: Resolved) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        needed[query.outcome] = true;
        for &node in self.order.iter().rev() {
            if needed[node] && node != query.treatment {
                self.parents[node].iter().for_each(|&(parent, _)| needed[parent] = true);
            }
        }
        needed
    }
}

fn finite(value: f64, place: Place) -> Result<(), QueryError> {
    check_number(value).map_err(|bad| match bad {
        BadNumber::NotFinite => QueryError::NotFinite { place, value },
        BadNumber::OutOfRange => QueryError::OutOfRange { place, value },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Edge;

    fn scm(names: &[String], edges: &[(&str, &str)]) -> Scm {
        let nodes = names.iter().map(|name| Node { name: name.clone(), intercept: 0.0, noise_std: 1.0 });
        let edges = edges.iter().map(|&(from, to)| Edge { from: from.into(), to: to.into(), weight: 2.0 });
        Scm::new(nodes.collect(), edges.collect()).expect("valid")
    }

    fn chain() -> Scm {
        let names = ["a", "b", "c", "d", "e"].map(String::from);
        scm(&names, &[("a", "b"), ("b", "c"), ("c", "d"), ("e", "c")])
    }

    fn query() -> AteQuery {
        let (treatment, outcome) = ("b".to_owned(), "c".to_owned());
        AteQuery { treatment, outcome, treated: 1.0, control: 0.0, samples: 1000, seed: 1 }
    }

    fn error(query: AteQuery) -> QueryError {
        chain().resolve(&query).expect_err("the query is bad")
    }

    #[test]
    fn only_what_the_outcome_listens_to_is_drawn() {
        let scm = chain();
        let steps = scm.steps(scm.resolve(&query()).expect("valid"));
        let drawn = |node, parents| Step::Drawn { node, intercept: 0.0, noise_std: 1.0, parents };
        // The causes of the treatment (a) are cut, what is below the outcome (d) is of no use.
        assert_eq!(steps, [Step::Set, drawn(4, vec![]), drawn(2, vec![(0, 2.0), (1, 2.0)])]);
    }

    #[test]
    fn a_treatment_without_a_way_to_the_outcome_is_not_drawn() {
        let scm = chain();
        let backwards = AteQuery { treatment: "d".into(), outcome: "b".into(), ..query() };
        assert_eq!(scm.steps(scm.resolve(&backwards).expect("valid")).len(), 2);
    }

    #[test]
    fn unknown_and_equal_nodes_are_refused_by_name() {
        let name = || "z".to_owned();
        let unknown = error(AteQuery { treatment: name(), ..query() });
        assert_eq!(unknown, QueryError::UnknownTreatment { name: name() });
        let unknown = error(AteQuery { outcome: name(), ..query() });
        assert_eq!(unknown, QueryError::UnknownOutcome { name: name() });
        let same = error(AteQuery { outcome: "b".into(), ..query() });
        assert_eq!(same, QueryError::SameNode { name: "b".into() });
    }

    #[test]
    fn values_are_finite_and_within_a_billion() {
        let refused = error(AteQuery { treated: f64::NAN, ..query() });
        assert!(matches!(refused, QueryError::NotFinite { place: Place::Treated, .. }));
        let refused = error(AteQuery { control: -2e9, ..query() });
        assert_eq!(refused, QueryError::OutOfRange { place: Place::Control, value: -2e9 });
    }

    #[test]
    fn samples_are_counted() {
        let with = |samples| chain().resolve(&AteQuery { samples, ..query() }).err();
        assert_eq!(with(1), Some(QueryError::TooFewSamples { samples: 1, limit: 2 }));
        assert_eq!(with(2), None);
        assert_eq!(with(1_000_000), None);
        let too_many = |samples| Some(QueryError::TooManySamples { samples, limit: 1_000_000 });
        assert_eq!(with(1_000_001), too_many(1_000_001));
        assert_eq!(with(u64::MAX), too_many(u64::MAX));
    }

    #[test]
    fn draws_are_samples_times_nodes() {
        let names: Vec<String> = (0..40).map(|i| format!("n{i}")).collect();
        let scm = scm(&names, &[]);
        let with = |samples| {
            let (treatment, outcome) = ("n1".to_owned(), "n2".to_owned());
            scm.resolve(&AteQuery { treatment, outcome, samples, ..query() }).err()
        };
        assert_eq!(with(500_000), None);
        assert_eq!(with(500_001), Some(QueryError::TooManyDraws { draws: 20_000_040, limit: 20_000_000 }));
    }
}
