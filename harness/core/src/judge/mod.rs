//! Judges: folds over evidence. A judge never talks to a target, a clock or a file; replay is the same fold again.

use serde::{Deserialize, Serialize};

use crate::{
    evidence::Evidence,
    name::Name,
    outcome::{Facts, Outcome},
    plan::Plan,
};

/// A fold over the journal.
pub trait Judge: Send {
    /// Takes one piece of evidence.
    fn see(&mut self, evidence: Evidence<'_>);
    /// What it found, after the last piece.
    fn findings(&self) -> Vec<Finding>;
}

/// One line of the list of judges.
pub struct JudgeKind {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Whether a scenario asks for it under `checks`; the others always judge.
    pub asked: bool,
    /// Makes one for a plan.
    pub make: fn(&Plan) -> Box<dyn Judge>,
}

/// What a judge found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The judge.
    pub judge: String,
    /// What was judged: an objective as written, a check, a proof.
    pub what: String,
    /// The phase or the fault, where it belongs to one.
    pub at: Option<String>,
    /// What it means for the verdict.
    pub state: State,
    /// What was measured, in words with its unit.
    pub measured: String,
    /// How many samples it rests on.
    pub samples: u64,
    /// Why, and what was seen.
    pub detail: String,
}

/// What a finding means for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It holds.
    Met,
    /// It does not hold.
    Missed,
    /// It could not be decided.
    Unknown,
    /// The evidence as a whole is worth nothing.
    Invalid,
    /// The system did not come up.
    SetUp,
    /// A person or a supervisor ended the run.
    Interrupted,
    /// The harness itself failed.
    Broken,
    /// Something is left in force.
    Residue,
}

/// The verdict on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// All findings, in the order of the judges.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// The first outcome that the findings call for. No findings at all is no evidence.
    pub fn of(findings: Vec<Finding>) -> Self {
        let any = |state| findings.iter().any(|finding| finding.state == state);
        let facts = Facts {
            bad_scenario: false,
            residue: any(State::Residue),
            broken: any(State::Broken),
            interrupted: any(State::Interrupted),
            setup_failed: any(State::SetUp),
            evidence_invalid: any(State::Invalid) || findings.is_empty(),
            missed: any(State::Missed),
            unknown: any(State::Unknown),
        };
        Self { outcome: Outcome::of(facts), findings }
    }
}

/// Which of the judges sit for a plan: those that always do, and the checks that it asks for.
pub fn sits(kind: &JudgeKind, checks: &[Name]) -> bool {
    !kind.asked || checks.iter().any(|check| check.as_str() == kind.name)
}
