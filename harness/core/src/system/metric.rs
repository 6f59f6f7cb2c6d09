//! Metrics that objectives may name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;

/// A ratio of counters: the increase of `of` over the increase of all `to`, over the judged phases, summed over
/// replicas and process lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The component that exports the series.
    pub component: Name,
    /// The series of the numerator, as Prometheus writes them.
    pub of: Vec<String>,
    /// The series of the denominator; none: the metric is the increase of `of`, a count.
    #[serde(default)]
    pub to: Vec<String>,
    /// Least increase of the denominator; below it the objective is unknown.
    #[serde(default = "hundred")]
    pub least: u64,
    /// One sentence for the report.
    #[serde(default)]
    pub about: String,
}

fn hundred() -> u64 {
    100
}
