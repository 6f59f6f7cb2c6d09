//! Faults, rollouts and drills: what was done, when it was in force, and what the witness saw of it.

use gauntlet_core::{
    evidence::{Event, Side, What},
    plan::Plan,
    step::{StepId, Track},
};
use serde::Serialize;

use super::Clock;

/// One fault or rollout.
#[derive(Debug, Clone, Serialize)]
pub struct FaultStory {
    /// What a reader calls it: `pause service-2`.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// When it should begin.
    pub planned_s: f64,
    /// When its first act was about to be applied.
    pub began_s: Option<f64>,
    /// When its effect was proved.
    pub entered_s: Option<f64>,
    /// When its undo began.
    pub healing_s: Option<f64>,
    /// When it was proved that nothing of it was left.
    pub healed_s: Option<f64>,
    /// Whether it stays when it is in force: a rollout, which is complete then.
    #[serde(skip)]
    pub kept: bool,
    /// What was done, pinned.
    pub acts: Vec<String>,
    /// What the witness read.
    pub proofs: Vec<ProofStory>,
}

/// One proof of a fault.
#[derive(Debug, Clone, Serialize)]
pub struct ProofStory {
    /// When it was read.
    pub at_s: Option<f64>,
    /// Whether it shows the effect or that nothing is left.
    pub side: Side,
    /// The question and the answer that counts.
    pub proof: String,
    /// What was read.
    pub reading: String,
}

pub(super) fn fold(plan: &Plan, events: &[Event], clock: Clock) -> Vec<FaultStory> {
    let of = |fault: &gauntlet_core::plan::FaultPlan| {
        let blank = FaultStory::blank(&fault.title, fault.kind.as_str(), fault.begins.as_secs_f64(), false);
        blank.folded(&fault.track, events, clock)
    };
    plan.faults.iter().map(of).collect()
}

/// The rollouts, in the order of the plan.
pub(super) fn rollouts(plan: &Plan, events: &[Event], clock: Clock) -> Vec<FaultStory> {
    let of = |rollout: &gauntlet_core::plan::RolloutPlan| {
        let begins_s = rollout.begins.as_secs_f64();
        let blank = FaultStory::blank(&rollout.title, rollout.kind.as_str(), begins_s, true);
        blank.folded(&rollout.track, events, clock)
    };
    plan.rollouts.iter().map(of).collect()
}

/// The stages of the drills, in order.
pub(super) fn drills(plan: &Plan, events: &[Event], clock: Clock) -> Vec<FaultStory> {
    let stages = plan.drills.iter().flat_map(|drill| drill.track.steps.iter().map(move |step| (drill, step)));
    let of = |(drill, step): (&gauntlet_core::plan::DrillPlan, &gauntlet_core::step::Step)| {
        let blank = FaultStory::blank(&step.title, drill.kind.as_str(), drill.begins.as_secs_f64(), true);
        let track = Track { name: drill.track.name.clone(), steps: vec![step.clone()] };
        blank.folded(&track, events, clock)
    };
    stages.map(of).collect()
}

impl FaultStory {
    fn blank(title: &str, kind: &str, planned_s: f64, kept: bool) -> Self {
        Self {
            title: title.to_owned(),
            kind: kind.to_owned(),
            planned_s,
            began_s: None,
            entered_s: None,
            healing_s: None,
            healed_s: None,
            kept,
            acts: Vec::new(),
            proofs: Vec::new(),
        }
    }

    fn folded(mut self, track: &Track, events: &[Event], clock: Clock) -> Self {
        let own = |step: &StepId| track.steps.iter().any(|known| known.id == *step);
        // Only the last step of a rollout completes it.
        let last = track.steps.last().map(|step| &step.id);
        events.iter().for_each(|event| self.see(event, clock.load_s(event.at_us), last, own));
        self
    }

    /// When it was over: a fault is healed; a rollout is complete, or else taken back.
    pub fn over_s(&self) -> Option<f64> {
        if self.kept { self.entered_s.or(self.healed_s) } else { self.healed_s }
    }

    fn see(
        &mut self,
        event: &Event,
        at_s: Option<f64>,
        last: Option<&StepId>,
        own: impl Fn(&StepId) -> bool,
    ) {
        match &event.what {
            What::Entering { step, acts } if own(step) => {
                self.began_s = self.began_s.or(at_s);
                self.acts.extend(acts.iter().map(ToString::to_string));
            }
            What::Entered { step } if own(step) && (!self.kept || last == Some(step)) => {
                self.entered_s = at_s
            }
            What::Healing { step } if own(step) => self.healing_s = self.healing_s.or(at_s),
            What::Healed { step } if own(step) => self.healed_s = at_s,
            What::Proved { step, side, proof, reading } if own(step) => self.proofs.push(ProofStory {
                at_s,
                side: *side,
                proof: proof.clone(),
                reading: reading.0.clone(),
            }),
            _ => {}
        }
    }
}
