//! What can be wrong with a model, and with a question about it.

use std::fmt;

use crate::limits::{MAX_MAGNITUDE, MAX_NAME_CHARS};

/// Why a set of nodes and edges is no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no node.
    #[error("the model has no nodes")]
    Empty,
    /// More nodes than [`crate::limits::MAX_NODES`].
    #[error("{count} nodes, the limit is {limit}")]
    TooManyNodes {
        /// Nodes given.
        count: usize,
        /// Nodes allowed.
        limit: usize,
    },
    /// More edges than [`crate::limits::MAX_EDGES`].
    #[error("{count} edges, the limit is {limit}")]
    TooManyEdges {
        /// Edges given.
        count: usize,
        /// Edges allowed.
        limit: usize,
    },
    /// A node without a name.
    #[error("node {index} has an empty name")]
    EmptyName {
        /// Position in the input, from 0.
        index: usize,
    },
    /// A name longer than [`crate::limits::MAX_NAME_CHARS`].
    #[error("the name of node {index} has {chars} characters, the limit is {limit}")]
    NameTooLong {
        /// Position in the input, from 0.
        index: usize,
        /// Characters given.
        chars: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// Two nodes of one name.
    #[error("two nodes are named {name:?}")]
    DuplicateNode {
        /// The name.
        name: String,
    },
    /// An edge names a node that the model lacks.
    #[error("edge {index} names an unknown node {name:?}")]
    UnknownNode {
        /// The edge's position in the input, from 0.
        index: usize,
        /// The unknown name; a long one is cut.
        name: String,
    },
    /// Two edges between the same nodes in the same direction.
    #[error("two edges from {from:?} to {to:?}")]
    DuplicateEdge {
        /// The parent.
        from: String,
        /// The child.
        to: String,
    },
    /// The edges close a circle.
    #[error("the edges form a cycle: {}", path.join(" -> "))]
    Cycle {
        /// The nodes along the edges; the first is repeated at the end.
        path: Vec<String>,
    },
    /// NaN or an infinity.
    #[error("{place} is {value}, not a finite number")]
    NotFinite {
        /// Where it stands.
        place: Place,
        /// The number given.
        value: f64,
    },
    /// Larger in magnitude than [`crate::limits::MAX_MAGNITUDE`].
    #[error("{place} is {value:e}, outside +-{MAX_MAGNITUDE:e}")]
    OutOfRange {
        /// Where it stands.
        place: Place,
        /// The number given.
        value: f64,
    },
    /// A standard deviation below zero.
    #[error("the noise of node {name:?} has a negative standard deviation {value}")]
    NegativeNoise {
        /// The node.
        name: String,
        /// The number given.
        value: f64,
    },
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The model has no such treatment.
    #[error("unknown treatment {name:?}")]
    UnknownTreatment {
        /// The name; a long one is cut.
        name: String,
    },
    /// The model has no such outcome.
    #[error("unknown outcome {name:?}")]
    UnknownOutcome {
        /// The name; a long one is cut.
        name: String,
    },
    /// Treatment and outcome are one node.
    #[error("{name:?} is both treatment and outcome")]
    SameNode {
        /// The node.
        name: String,
    },
    /// NaN or an infinity.
    #[error("{place} is {value}, not a finite number")]
    NotFinite {
        /// Where it stands.
        place: Place,
        /// The number given.
        value: f64,
    },
    /// Larger in magnitude than [`crate::limits::MAX_MAGNITUDE`].
    #[error("{place} is {value:e}, outside +-{MAX_MAGNITUDE:e}")]
    OutOfRange {
        /// Where it stands.
        place: Place,
        /// The number given.
        value: f64,
    },
    /// Fewer samples than [`crate::limits::MIN_SAMPLES`].
    #[error("{samples} samples an arm, the least is {limit}")]
    TooFewSamples {
        /// Samples asked for.
        samples: u64,
        /// Samples needed.
        limit: u64,
    },
    /// More samples than [`crate::limits::MAX_SAMPLES`].
    #[error("{samples} samples an arm, the limit is {limit}")]
    TooManySamples {
        /// Samples asked for.
        samples: u64,
        /// Samples allowed.
        limit: u64,
    },
    /// Samples times nodes above [`crate::limits::MAX_DRAWS`].
    #[error("{draws} draws an arm (samples times nodes), the limit is {limit}")]
    TooManyDraws {
        /// Draws asked for.
        draws: u64,
        /// Draws allowed.
        limit: u64,
    },
    /// Finite weights whose products leave the range of `f64`.
    #[error("the values of {outcome:?} leave the range of 64-bit floating point")]
    Overflow {
        /// The outcome asked for.
        outcome: String,
    },
}

/// A number's place in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A node's intercept.
    Intercept {
        /// The node.
        node: String,
    },
    /// The standard deviation of a node's noise.
    NoiseStd {
        /// The node.
        node: String,
    },
    /// An edge's weight.
    Weight {
        /// The parent.
        from: String,
        /// The child.
        to: String,
    },
    /// The treatment's value in the treated arm.
    Treated,
    /// The treatment's value in the control arm.
    Control,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Intercept { node } => write!(f, "the intercept of node {node:?}"),
            Place::NoiseStd { node } => write!(f, "the noise of node {node:?}"),
            Place::Weight { from, to } => write!(f, "the weight of the edge {from:?} -> {to:?}"),
            Place::Treated => f.write_str("the treated value"),
            Place::Control => f.write_str("the control value"),
        }
    }
}

/// How a number is refused; each error type has the same two cases.
pub(crate) enum BadNumber {
    NotFinite,
    OutOfRange,
}

pub(crate) fn check_number(value: f64) -> Result<(), BadNumber> {
    if !value.is_finite() {
        Err(BadNumber::NotFinite)
    } else if value.abs() > MAX_MAGNITUDE {
        Err(BadNumber::OutOfRange)
    } else {
        Ok(())
    }
}

/// Keeps a message short even when the unknown name is a megabyte.
pub(crate) fn clip(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_unknown_name_is_cut_at_a_character() {
        let clipped = clip(&"é".repeat(1_000_000));
        assert_eq!(clipped.chars().count(), MAX_NAME_CHARS + 1);
        assert_eq!(clip("short"), "short");
    }

    #[test]
    fn a_cycle_is_told_as_a_path() {
        let path = ["a", "b", "a"].map(String::from).to_vec();
        assert_eq!(ModelError::Cycle { path }.to_string(), "the edges form a cycle: a -> b -> a");
    }

    #[test]
    fn a_bad_number_is_told_with_its_place() {
        let place = Place::Weight { from: "a".into(), to: "b".into() };
        let told = ModelError::OutOfRange { place, value: 2e9 }.to_string();
        assert_eq!(told, r#"the weight of the edge "a" -> "b" is 2e9, outside +-1e9"#);
        let told = QueryError::NotFinite { place: Place::Treated, value: f64::NAN }.to_string();
        assert_eq!(told, "the treated value is NaN, not a finite number");
    }
}
