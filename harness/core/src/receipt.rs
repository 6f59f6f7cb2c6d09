//! Receipts: what is stored before the first act. Healing needs nothing else.

use serde::{Deserialize, Serialize};

use crate::{
    act::{Act, Unit},
    proof::Proof,
    step::StepId,
};

/// The format of stored receipts. A reader refuses any other.
pub const RECEIPT_FORMAT: u32 = 1;

/// Stored BEFORE the first act: the acts pinned to objects, and the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// `RECEIPT_FORMAT` of the writer.
    pub format: u32,
    /// The step it belongs to.
    pub step: StepId,
    /// What is done, pinned.
    pub acts: Vec<Act>,
    /// What takes it back, in the order in which it is applied.
    pub undo: Vec<Act>,
    /// What shows that nothing is left.
    pub gone: Vec<Proof>,
}

/// What `prepare` found by reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The act, pinned to the object that was found.
    pub act: Act,
    /// The way back from the present state. Empty: there is nothing to take back, or the system does it by itself. None:
    /// nobody can read it, so the step must say it.
    pub undo: Option<Vec<Act>>,
    /// What the act asks for is so already: it changes nothing.
    pub idle: bool,
    /// The units that it touches, for the blast radius.
    pub touches: Vec<Unit>,
}

impl Prepared {
    /// What is known to take it back.
    pub fn back(&self) -> &[Act] {
        self.undo.as_deref().unwrap_or_default()
    }
}
