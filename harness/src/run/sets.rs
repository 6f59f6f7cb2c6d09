//! The sets of canaries while a run goes on. A fault on a set begins only while the set runs, and is healed together with
//! it: whoever heals it later would start again what was taken back.

use std::collections::BTreeSet;

use gauntlet_core::{
    name::Name,
    plan::{Plan, RolloutPlan},
    receipt::Receipt,
    step::{Step, StepId},
};
use tokio::sync::{Mutex, MutexGuard};

use super::{faults::undo, world::World};

/// All sets of a run, and which of them run now. Whoever holds them acts on sets alone.
#[derive(Debug, Default)]
pub struct Sets {
    all: BTreeSet<Name>,
    running: Mutex<BTreeSet<Name>>,
}

/// Held while something acts on sets.
pub(super) struct Held<'a>(MutexGuard<'a, BTreeSet<Name>>);

impl Sets {
    /// Of a plan; most have none.
    pub fn of(plan: &Plan) -> Self {
        Self { all: plan.rollouts.iter().flat_map(names).cloned().collect(), running: Mutex::default() }
    }

    /// The sets, when a step acts on some; nobody else acts on sets meanwhile.
    pub(super) async fn for_step(&self, step: &Step) -> Option<Held<'_>> {
        match touches(step.acts.iter().map(|act| act.unit().component()), &self.all) {
            true => Some(Held(self.running.lock().await)),
            false => None,
        }
    }

    /// A rollout's sets have come up.
    pub(super) async fn started(&self, rollout: &RolloutPlan) {
        self.running.lock().await.extend(names(rollout).cloned());
    }

    /// Takes a rollout's steps back: first the traffic, then the sets, with what faults did to them.
    pub(super) async fn end(&self, rollout: &RolloutPlan, entered: &mut Vec<StepId>, world: &World) {
        let own: BTreeSet<Name> = names(rollout).cloned().collect();
        if own.is_empty() {
            return undo(entered, world).await;
        }
        let starts = rollout.track.steps.first().map(|step| &step.id);
        let mut of_sets: Vec<StepId> = entered.extract_if(.., |step| Some(&*step) == starts).collect();
        undo(entered, world).await;
        let mut running = self.running.lock().await;
        running.retain(|set| !own.contains(set));
        // What the ledger cannot tell now the undo will say.
        let open = world.in_force().await.unwrap_or_default();
        let on_sets = |receipt: &&Receipt| {
            touches(receipt.acts.iter().map(|act| act.unit().component()), &own)
                && !of_sets.contains(&receipt.step)
        };
        let faults: Vec<StepId> = open.iter().filter(on_sets).map(|receipt| receipt.step.clone()).collect();
        of_sets.extend(faults);
        undo(&mut of_sets, world).await;
    }
}

impl Held<'_> {
    /// Whether every set that the step acts on runs.
    pub(super) fn run(&self, step: &Step) -> bool {
        step.acts.iter().all(|act| act.unit().component().is_none_or(|set| self.0.contains(set)))
    }
}

fn names(rollout: &RolloutPlan) -> impl Iterator<Item = &Name> {
    rollout.canary.iter().flat_map(|canary| canary.sets.all())
}

fn touches<'a>(mut components: impl Iterator<Item = Option<&'a Name>>, sets: &BTreeSet<Name>) -> bool {
    components.any(|component| component.is_some_and(|name| sets.contains(name)))
}
