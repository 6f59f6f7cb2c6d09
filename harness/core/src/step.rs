//! Steps: one thing done to the system, what ends it, and both proofs. Everything that acts is a step.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{act::Act, name::Name, proof::Proof};

/// `<track>/<number>`: objects and marks are named after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

/// One thing done to the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name in the plan, the ledger and the journal.
    pub id: StepId,
    /// What a reader of a report calls it: `pause service-2`.
    pub title: String,
    /// When it is entered.
    pub begin: Begin,
    /// What is done, in order.
    pub acts: Vec<Act>,
    /// What takes back those acts whose way back nobody can read (`exec`). Empty: there is nothing to take back, or the
    /// scenario accepts the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Vec<Act>>,
    /// Shows that it took effect. Without effect a run is inconclusive.
    pub effect: Vec<Proof>,
    /// Shows that nothing of it is left. Residue means: not healed.
    pub gone: Vec<Proof>,
    /// What ends it.
    pub end: End,
}

/// When a step is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begin {
    /// So long after the load began.
    At(Duration),
    /// When the step before it has been entered.
    Then,
}

/// What ends a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Undone so long after it was entered: a fault.
    After(Duration),
    /// The track waits so long for a judge, which may let it go on or unwind it at any time. Undone as `track` is.
    Gate(Duration),
    /// Undone when its track ends, well or badly: set-up.
    Track,
    /// Undone only when its track fails: a rollout. What is kept stays in the ledger, so that the run's end, a crash and
    /// `heal` undo it all the same.
    Keep,
}

/// Steps in order; tracks run side by side. Failure, Ctrl-C and crash unwind them in reverse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// `set-up`, or the fault's word and number.
    pub name: Name,
    /// In the order in which they are entered.
    pub steps: Vec<Step>,
}

impl StepId {
    /// The step of that number (from 1) of a track.
    pub fn new(track: &Name, number: usize) -> Self {
        Self(format!("{track}/{number}"))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
