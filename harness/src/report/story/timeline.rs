//! What happened, in order, in words.

use std::collections::BTreeMap;

use gauntlet_core::{
    evidence::{Event, LoadCounts, Side, Surroundings, What},
    judge::canary::Decision,
    plan::Plan,
    proof::Reading,
    step::StepId,
};
use serde::Serialize;

use super::{Clock, seconds_of};
use crate::report::show;

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Moment {
    /// Seconds since the run began.
    pub at_s: f64,
    /// Seconds on the load's time line.
    pub load_s: Option<f64>,
    /// What it belongs to.
    pub kind: MomentKind,
    /// What happened.
    pub text: String,
}

/// What a moment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MomentKind {
    /// The run as a whole.
    Run,
    /// Starting and ending the system, and what is read back from it.
    SetUp,
    /// Load and phases.
    Load,
    /// A fault.
    Fault,
    /// A rollout.
    Rollout,
    /// A drill.
    Drill,
    /// What should not have been.
    Trouble,
}

/// A requirement that was read back.
#[derive(Debug, Clone, Serialize)]
pub struct SettingStory {
    /// The component.
    pub component: String,
    /// The question.
    pub ask: String,
    /// What it must be.
    pub must: String,
    /// What it is.
    pub is: String,
}

pub(super) fn settings(events: &[Event]) -> Vec<SettingStory> {
    let read = events.iter().filter_map(|event| match &event.what {
        What::Setting { component, ask, must, is } => Some(SettingStory {
            component: component.to_string(),
            ask: ask.clone(),
            must: must.clone(),
            is: is.clone(),
        }),
        _ => None,
    });
    read.collect()
}

pub(super) fn fold(plan: &Plan, events: &[Event], clock: Clock) -> Vec<Moment> {
    let titles = Titles::of(plan);
    let moment = |event: &Event| {
        let (kind, text) = titles.tell(&event.what);
        Moment { at_s: seconds_of(event.at_us), load_s: clock.load_s(event.at_us), kind, text }
    };
    events.iter().map(moment).collect()
}

/// What steps are called, and whether they belong to a fault or a rollout.
pub(in crate::report) struct Titles(pub(in crate::report) BTreeMap<StepId, (String, MomentKind)>);

impl Titles {
    pub(in crate::report) fn of(plan: &Plan) -> Self {
        let set_up = plan.set_up.steps.iter().map(|step| (step, MomentKind::SetUp));
        let faults = plan
            .faults
            .iter()
            .flat_map(|fault| fault.track.steps.iter())
            .map(|step| (step, MomentKind::Fault));
        let rollouts = plan.rollouts.iter().flat_map(|rollout| &rollout.track.steps);
        let rollouts = rollouts.map(|step| (step, MomentKind::Rollout));
        let drills = plan.drills.iter().flat_map(|drill| &drill.track.steps);
        let drills = drills.map(|step| (step, MomentKind::Drill));
        let all = set_up.chain(faults).chain(rollouts).chain(drills);
        Self(all.map(|(step, kind)| (step.id.clone(), (step.title.clone(), kind))).collect())
    }

    /// The title of a step, and what it belongs to.
    pub(in crate::report) fn step<'a>(&'a self, id: &'a StepId) -> (&'a str, MomentKind) {
        self.0.get(id).map_or((id.0.as_str(), MomentKind::SetUp), |(title, kind)| (title, *kind))
    }

    /// An event in words.
    pub(in crate::report) fn tell(&self, what: &What) -> (MomentKind, String) {
        let step = |id: &StepId, text: &str| {
            let (title, kind) = self.step(id);
            (kind, format!("{title}: {text}"))
        };
        match what {
            What::Began(_) => (MomentKind::Run, "the run began".into()),
            What::Entering { step: id, acts } => {
                let acts: Vec<String> = acts.iter().map(ToString::to_string).collect();
                step(
                    id,
                    &if acts.is_empty() { "begins".into() } else { format!("begins: {}", acts.join(", ")) },
                )
            }
            What::Applied { step: id } => step(id, "applied"),
            What::Proved { step: id, side, proof, reading } => {
                let side = if *side == Side::Effect { "effect seen" } else { "nothing left" };
                step(id, &format!("{side}: {proof}; read {:?}", reading.0))
            }
            What::Entered { step: id }
                if matches!(self.step(id).1, MomentKind::Rollout | MomentKind::Drill) =>
            {
                step(id, "complete")
            }
            What::Entered { step: id } => step(id, "in force"),
            What::Healing { step: id } => step(id, "healing"),
            What::Healed { step: id } => step(id, "healed, nothing left"),
            What::Trouble { step: None, why, .. } => (MomentKind::Trouble, why.clone()),
            What::Trouble { step: Some(id), why, .. } => {
                (MomentKind::Trouble, format!("{}: {why}", self.step(id).0))
            }
            What::Kept { step: id, what, .. } => step(id, &format!("kept {what}")),
            What::Compared { step: id, what } => step(id, what),
            What::Offered { step: id, what, refused: Some(why), .. } => {
                step(id, &format!("{what}: refused, {why}"))
            }
            What::Offered { step: id, what, .. } => step(id, &format!("{what}: ACCEPTED")),
            What::Gate { step: id, upto, decision } => {
                let decided = match decision {
                    Decision::GoOn => "nothing is decided".to_owned(),
                    Decision::Promote => "goes on".to_owned(),
                    Decision::RollBack { metric, .. } => format!("is taken back: {metric} is worse"),
                    Decision::Inconclusive { reason } => format!("is taken back, inconclusive: {reason}"),
                };
                step(id, &format!("{decided} (judged up to second {upto} of the load)"))
            }
            What::Setting { component, ask, must, is } => {
                (MomentKind::SetUp, format!("{component}: {ask} is {is:?}, must be {must:?}"))
            }
            What::Reached { from, seen } => {
                (MomentKind::SetUp, format!("reached from {from}: {}", Reading::of_reach(seen).0))
            }
            What::LookedAround(seen) => (MomentKind::Run, looked_around(seen)),
            What::LoadBegan => (MomentKind::Load, "the load began".into()),
            What::LoadEnded(counts) => (MomentKind::Load, load_ended(counts)),
            What::Phase { name } => (MomentKind::Load, format!("phase {name}")),
            What::Interrupted => (MomentKind::Trouble, "interrupted".into()),
            What::Ended => (MomentKind::Run, "the run ended".into()),
        }
    }
}

/// The record itself stands under provenance; what is not well is said where it happened.
fn looked_around(seen: &Surroundings) -> String {
    let unready = seen.machines.iter().filter_map(|(name, machine)| Some((name, machine.unready.as_ref()?)));
    let unready: Vec<String> = unready.map(|(name, why)| format!("; {name} is not ready: {why}")).collect();
    let images = seen.known.keys().filter(|name| name.starts_with("image/")).count();
    let (images, machines) = (show::things(images, "image"), show::things(seen.machines.len(), "machine"));
    format!("looked at what runs: {images} on {machines}{}", unready.concat())
}

fn load_ended(counts: &LoadCounts) -> String {
    let LoadCounts { scheduled, sent, .. } = counts;
    format!("the load ended: {sent} of {scheduled} scheduled requests sent")
}
