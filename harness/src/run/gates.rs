//! Gates: a rollout waits in a step until its judge lets it go on or takes it back. The judge sees what the journal gets,
//! and decides on whole seconds only, so that a replay decides the same.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gauntlet_core::{
    evidence::{Event, Request, Sample, What},
    judge::{canary::Decision, gate::Watch},
    name::Name,
    plan::{Plan, RolloutPlan},
    step::{End, Step, StepId},
};
use tokio::time::Instant;

use super::{stop::Stop, world::World};

/// How long after its end a second is judged: until then the last of its requests have come from the load process.
const WHOLE_AFTER: Duration = Duration::from_secs(2);
/// How often a judge is asked.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// The judges of all gated rollouts of a run, by the name of their track.
#[derive(Default)]
pub struct Gates(Mutex<BTreeMap<Name, Watch>>);

impl Gates {
    /// Of a plan; most have none.
    pub fn of(plan: &Plan) -> Self {
        let watch = |rollout: &RolloutPlan| Some((rollout.track.name.clone(), Watch::new(plan, rollout)?));
        Self(Mutex::new(plan.rollouts.iter().filter_map(watch).collect()))
    }

    /// Takes an event of the run.
    pub(super) fn event(&self, event: &Event) {
        self.watches().values_mut().for_each(|watch| watch.event(event));
    }

    /// Takes requests.
    pub(super) fn rows(&self, rows: &[Request]) {
        for watch in self.watches().values_mut() {
            rows.iter().for_each(|row| watch.row(row));
        }
    }

    /// Takes readings of metrics.
    pub(super) fn samples(&self, samples: &[Sample]) {
        for watch in self.watches().values_mut() {
            samples.iter().for_each(|sample| watch.sample(sample));
        }
    }

    /// Waits in a step of a rollout that has been entered, and answers whether it may go on. None: the run ends early.
    pub(super) async fn pass(
        &self,
        rollout: &RolloutPlan,
        step: &Step,
        zero: Instant,
        world: &World,
        stop: &Stop,
    ) -> Option<bool> {
        let End::Gate(lasts) = step.end else { return Some(true) };
        let ends = Instant::now() + lasts;
        loop {
            if !stop.sleep_until(Instant::now() + ASKED_EVERY).await {
                return None;
            }
            let now = Instant::now();
            let upto = (now - zero).saturating_sub(WHOLE_AFTER).as_secs();
            let Some(decision) = self.asked(&rollout.track.name, &step.id, upto, now >= ends) else {
                continue;
            };
            let promoted = decision == Decision::Promote;
            world.say(What::Gate { step: step.id.clone(), upto, decision });
            return Some(promoted);
        }
    }

    /// None: nothing is decided yet.
    fn asked(&self, track: &Name, step: &StepId, upto: u64, over: bool) -> Option<Decision> {
        let mut watches = self.watches();
        let watch = watches.get_mut(track)?;
        watch.advance(upto);
        match watch.decision(step) {
            Decision::GoOn | Decision::Inconclusive { .. } => over.then(|| watch.settled(step)),
            decided => Some(decided),
        }
    }

    fn watches(&self) -> MutexGuard<'_, BTreeMap<Name, Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
