//! The tracks of rollouts. A judge may be asked in the middle. One that completes is kept: its receipt stays in the ledger
//! until the run's end. One that does not complete is taken back at once, and the run goes on: that is a finding about the
//! component, with all its evidence.

use std::{collections::BTreeSet, sync::Arc};

use gauntlet_core::{
    evidence::{TroubleKind, What},
    plan::RolloutPlan,
    step::{Begin, End, StepId},
};
use tokio::time::Instant;

use super::{
    enter::{NotEntered, enter},
    faults::{chain, failed},
    gates::Gates,
    sets::Sets,
    stop::Stop,
    world::World,
};

/// Runs one rollout's track. When the run ends early, what is in the ledger is the run's end to undo.
pub async fn track(
    rollout: RolloutPlan,
    zero: Instant,
    world: World,
    (gates, sets): (Arc<Gates>, Arc<Sets>),
    stop: Stop,
) {
    let mut entered: Vec<StepId> = vec![];
    for step in &rollout.track.steps {
        let begins = match step.begin {
            Begin::At(at) => zero + at,
            Begin::Then => Instant::now(),
        };
        if !stop.sleep_until(begins).await {
            return;
        }
        entered.push(step.id.clone());
        let result = tokio::select! {
            result = enter(step, &world) => result,
            () = stop.heard() => return,
        };
        match result {
            Ok(()) if entered.len() == 1 => sets.started(&rollout).await,
            Ok(()) => {}
            Err(why @ NotEntered::Effect { .. }) => {
                let kind = TroubleKind::Rollout;
                world.say(What::Trouble { kind, step: Some(step.id.clone()), why: chain(&why) });
                return sets.end(&rollout, &mut entered, &world).await;
            }
            Err(why) => {
                failed(step, &why, &world, &stop);
                return sets.end(&rollout, &mut entered, &world).await;
            }
        }
        match gates.pass(&rollout, step, zero, &world, &stop).await {
            Some(true) => {}
            Some(false) => return sets.end(&rollout, &mut entered, &world).await,
            None => return,
        }
    }
    // What was there for the rollout only.
    let kept = rollout.track.steps.iter().filter(|step| step.end == End::Keep);
    let kept: BTreeSet<&StepId> = kept.map(|step| &step.id).collect();
    entered.retain(|step| !kept.contains(step));
    sets.end(&rollout, &mut entered, &world).await;
}
