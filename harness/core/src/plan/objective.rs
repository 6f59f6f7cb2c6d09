//! Objectives: `p95 < 200ms`, `errors < 0.5%`, `memory of service < 2GB`.

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// A bound on something measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// As it was written.
    pub text: String,
    /// What is measured.
    pub measure: Measure,
    /// On which side of the bound it must be.
    pub comparison: Comparison,
    /// The bound, in the measure's base unit.
    pub bound: f64,
    /// The judged phases that it holds for, each by itself; measures over the whole run name all of them.
    pub phases: Vec<Name>,
    /// Least number of samples; with fewer it is unknown.
    pub least: u64,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// A quantile (0..1) of the latency of right answers from the intended start, in microseconds; per phase.
    Latency {
        /// The quantile.
        quantile: f64,
        /// One behaviour only.
        behaviour: Option<Name>,
    },
    /// Right answers per second, mean of a phase.
    Throughput,
    /// Share of requests without a right answer, a fraction; per phase. Requests that were not sent count too.
    Errors {
        /// One behaviour only.
        behaviour: Option<Name>,
    },
    /// From the end of a fault to the first second that is as good as the baseline, and stays so, in microseconds; per fault.
    Recovery,
    /// What a drill loses, from the oldest write that is missing to the destruction, in microseconds; per drill.
    Rpo,
    /// From the destruction to the first right answer on a record, in microseconds; per drill.
    Rto,
    /// Most resident bytes of any replica, over the run.
    Memory {
        /// The component.
        component: Name,
    },
    /// CPU time used over the allotment, a fraction; per phase.
    Cpu {
        /// The component.
        component: Name,
    },
    /// A metric of the system file, over the judged phases together.
    Metric {
        /// Its name.
        name: Name,
    },
}

/// On which side of the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `<`
    #[serde(rename = "<")]
    Below,
    /// `>`
    #[serde(rename = ">")]
    Above,
}

impl Comparison {
    /// Whether a value meets the bound.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Comparison::Below => value < bound,
            Comparison::Above => value > bound,
        }
    }
}
