//! Events: what the run did and saw, in order. The journal is these, a JSON line each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::surroundings::Surroundings;
use crate::{
    act::Act, evidence::frame::LoadCounts, judge::canary::Decision, name::Name, plan::Plan, proof::Reading,
    scenario::Destination, step::StepId,
};

/// The format of the journal. A reader refuses any other.
pub const JOURNAL_FORMAT: u32 = 1;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the run began, by its own monotonic clock.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum What {
    /// The first event of every journal.
    Began(Box<Began>),
    /// A step's acts are about to be applied; its receipt is stored.
    Entering {
        /// The step.
        step: StepId,
        /// The acts, pinned.
        acts: Vec<Act>,
    },
    /// All acts of a step are applied (not proved yet).
    Applied {
        /// The step.
        step: StepId,
    },
    /// A step's effect, or that nothing of it is left, was seen by the witness.
    Proved {
        /// The step.
        step: StepId,
        /// `effect` or `gone`.
        side: Side,
        /// The proof, in words.
        proof: String,
        /// What the witness read.
        reading: Reading,
    },
    /// A step is in force and its effect is proved.
    Entered {
        /// The step.
        step: StepId,
    },
    /// A step's undo begins.
    Healing {
        /// The step.
        step: StepId,
    },
    /// A step is undone and nothing of it is left.
    Healed {
        /// The step.
        step: StepId,
    },
    /// Something was made that stays when the run is over: a backup.
    Kept {
        /// The step that made it.
        step: StepId,
        /// Where, relative to the run's directory.
        at: String,
        /// What it is, in words: form, size, time.
        what: String,
    },
    /// What was restored was compared with what had been backed up, and is the same.
    Compared {
        /// The step that restored it.
        step: StepId,
        /// What was compared, in words: tables, rows.
        what: String,
    },
    /// A spoilt backup was offered to be restored.
    Offered {
        /// The step that offered it.
        step: StepId,
        /// The backup, and how it was spoilt: `logical backup, truncated`.
        what: String,
        /// The reason for which it must be refused.
        expected: String,
        /// The reasons for which it was refused; none: it was accepted.
        refused: Option<String>,
    },
    /// A judge was asked whether a rollout may go on, and decided.
    Gate {
        /// The step that waited for it.
        step: StepId,
        /// It rests on what came before this second of the load's time line.
        upto: u64,
        /// What it decided.
        decision: Decision,
    },
    /// Something did not go as it should. `kind` says what that means for the verdict.
    Trouble {
        /// What it means for the verdict.
        kind: TroubleKind,
        /// The step, where it belongs to one.
        step: Option<StepId>,
        /// What happened.
        why: String,
    },
    /// A requirement of the system file was read back.
    Setting {
        /// The component.
        component: Name,
        /// The question.
        ask: String,
        /// What it must be.
        must: String,
        /// What it is.
        is: String,
    },
    /// Connections were opened from a place.
    Reached {
        /// The component or the stranger.
        from: Name,
        /// What was seen of each destination.
        seen: BTreeMap<Destination, String>,
    },
    /// What runs, and on what: told after the set-up, and again at the end of the load.
    LookedAround(Surroundings),
    /// The load began: zero of the time line of phases, faults and requests.
    LoadBegan,
    /// The load ended, and this is what the generator says of itself.
    LoadEnded(LoadCounts),
    /// A phase of the time line began.
    Phase {
        /// The phase.
        name: Name,
    },
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The last event of a run that ended in order; without it the journal is incomplete.
    Ended,
}

/// The first event: everything that is needed to judge and to repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// `JOURNAL_FORMAT` of the writer.
    pub format: u32,
    /// The run's name: unique on this machine, and the name of its directory.
    pub run: String,
    /// Wall clock, RFC 3339, for people only.
    pub wall_clock: String,
    /// The version of the harness.
    pub version: String,
    /// The command that repeats it.
    pub command: Vec<String>,
    /// What it was run with: commit, SHA-256 of binaries, scenario and system; machine.
    pub provenance: BTreeMap<String, String>,
    /// The whole plan.
    pub plan: Plan,
}

/// Which proof of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// It took effect.
    Effect,
    /// Nothing of it is left.
    Gone,
}

/// What a trouble means for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// The system did not come up.
    SetUp,
    /// A fault had no effect that the witness could see: the evidence is worth nothing.
    NoEffect,
    /// A drill could not back up or restore: the system's fault, not the harness'.
    Drill,
    /// A rollout did not complete in its time, and was taken back: the component's fault, not the harness'.
    Rollout,
    /// Something is left in force.
    Residue,
    /// The harness itself failed.
    Harness,
    /// The load process failed or stopped early.
    Load,
    /// Metrics could not be read for a while; the objectives that need them may become unknown.
    Metrics,
}
