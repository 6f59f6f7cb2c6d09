//! The tracks of faults: each waits for its moment, enters its steps, and heals them when their time is over.

use std::{sync::Arc, time::Duration};

use gauntlet_core::{
    evidence::{TroubleKind, What},
    plan::FaultPlan,
    port::Trouble,
    receipt::Receipt,
    step::{Begin, End, Step, StepId},
};
use tokio::time::Instant;

use super::{
    enter::{NotEntered, enter},
    heal::heal,
    sets::Sets,
    stop::{Early, Stop},
    world::World,
};

/// Runs one fault's track. Whatever happens, its steps are healed when it comes back. One on a set that does not run is
/// not begun: its canary was over before, which is a finding and no trouble.
pub async fn track(fault: FaultPlan, zero: Instant, world: World, sets: Arc<Sets>, stop: Stop) {
    let mut in_force: Vec<StepId> = vec![];
    for step in &fault.track.steps {
        let begins = match step.begin {
            Begin::At(at) => zero + at,
            Begin::Then => Instant::now(),
        };
        if !stop.sleep_until(begins).await {
            break;
        }
        let held = sets.for_step(step).await;
        if held.as_ref().is_some_and(|held| !held.run(step)) {
            break;
        }
        let result = enter(step, &world).await;
        drop(held);
        match result {
            Ok(()) => in_force.push(step.id.clone()),
            Err(why) => {
                failed(step, &why, &world, &stop);
                in_force.push(step.id.clone());
                break;
            }
        }
        if let End::After(lasts) = step.end
            && lasts > Duration::ZERO
            && !stop.sleep_until(Instant::now() + lasts).await
        {
            break;
        }
        if matches!(step.end, End::After(_)) {
            end(&fault, &mut in_force, &world, &sets).await;
        }
    }
    end(&fault, &mut in_force, &world, &sets).await;
}

/// Heals what is in force: nothing where the set that it was done to went meanwhile, and it with that.
async fn end(fault: &FaultPlan, in_force: &mut Vec<StepId>, world: &World, sets: &Sets) {
    let own = fault.track.steps.first();
    let _held = match own {
        Some(step) => sets.for_step(step).await,
        None => None,
    };
    undo(in_force, world).await;
}

/// What could not be done to the system leaves nothing to judge: the run ends.
pub(super) fn failed(step: &Step, why: &NotEntered, world: &World, stop: &Stop) {
    let kind = TroubleKind::NoEffect;
    world.say(What::Trouble { kind, step: Some(step.id.clone()), why: chain(why) });
    stop.say(Early::Broken);
}

/// Heals these steps, as far as they are in force.
pub(super) async fn undo(in_force: &mut Vec<StepId>, world: &World) {
    let mine = std::mem::take(in_force);
    if mine.is_empty() {
        return;
    }
    match receipts(&mine, world).await {
        Ok(receipts) => {
            heal(&receipts, world).await;
        }
        Err(trouble) => {
            world.say(What::Trouble { kind: TroubleKind::Residue, step: None, why: trouble.to_string() });
        }
    }
}

/// What the ledger holds of these steps: nothing of one that was never stored.
async fn receipts(steps: &[StepId], world: &World) -> Result<Vec<Receipt>, Trouble> {
    let open = world.ledger.open().await?;
    Ok(open.into_iter().filter(|receipt| steps.contains(&receipt.step)).collect())
}

/// An error with all its sources, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
