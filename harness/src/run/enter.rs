//! The only way in: read, store the way back, act, prove.

use std::time::Duration;

use gauntlet_core::{
    act::{Act, Place, Unit},
    evidence::{Side, What},
    port::Trouble,
    proof::{Proof, Query},
    receipt::{Prepared, RECEIPT_FORMAT, Receipt},
    step::Step,
};

use super::{prove::prove, world::World};

/// Where entering a step failed: before anything was touched, or after the receipt was stored.
#[derive(Debug, thiserror::Error)]
pub enum NotEntered {
    /// Nothing was touched.
    #[error("nothing was touched")]
    Untouched(#[source] Trouble),
    /// An act failed; the receipt is in the ledger.
    #[error("an act failed")]
    Act(#[source] Trouble),
    /// The acts are done, but the witness did not see their effect; the receipt is in the ledger.
    #[error("no effect was seen")]
    Effect {
        /// Of what it was asked.
        unit: Unit,
        /// What was seen instead.
        source: Trouble,
    },
}

/// Enters a step. After an error other than `Untouched` the step is in the ledger, to be healed.
pub async fn enter(step: &Step, world: &World) -> Result<(), NotEntered> {
    let mut receipt = Receipt {
        format: RECEIPT_FORMAT,
        step: step.id.clone(),
        acts: vec![],
        undo: vec![],
        gone: step.gone.clone(),
    };
    let mut idle = !step.acts.is_empty();
    let mut said = false;
    for act in &step.acts {
        let found = world.target.prepare(act).await.map_err(NotEntered::Untouched)?;
        admit(act, &found).map_err(NotEntered::Untouched)?;
        idle &= found.idle;
        match (found.undo, &step.back) {
            (Some(undo), _) => _ = receipt.undo.splice(0..0, undo),
            // Once a step, before the undos of the acts that came before the first such act.
            (None, Some(_)) if said => {}
            (None, Some(back)) => {
                receipt.undo.splice(0..0, back.iter().cloned());
                said = true;
            }
            (None, None) => return Err(NotEntered::Untouched(no_way_back(act))),
        }
        receipt.acts.push(found.act);
    }
    if idle {
        // What was there before stays; nothing of this step can be left.
        receipt.gone.clear();
    }
    // Killed before this line: nothing was touched. After it: healed.
    world.ledger.put(&receipt).await.map_err(NotEntered::Untouched)?;
    world.say(What::Entering { step: step.id.clone(), acts: receipt.acts.clone() });
    for act in &receipt.acts {
        world.target.apply(act).await.map_err(NotEntered::Act)?;
    }
    world.say(What::Applied { step: step.id.clone() });
    for proof in &step.effect {
        let proof = pinned(proof, &receipt.acts);
        let unseen = |source| NotEntered::Effect { unit: proof.ask.at().unit.clone(), source };
        let reading = prove(world, &proof, Duration::ZERO).await.map_err(unseen)?;
        let (step, proof) = (step.id.clone(), format!("{} {}", proof.ask, proof.expect));
        world.say(What::Proved { step, side: Side::Effect, proof, reading });
    }
    world.say(What::Entered { step: step.id.clone() });
    Ok(())
}

fn no_way_back(act: &Act) -> Trouble {
    Trouble::refused(act, "nobody can read what takes it back, and the step does not say it")
}

/// The blast radius: a target that would touch more than the act names is not let in.
fn admit(act: &Act, found: &Prepared) -> Result<(), Trouble> {
    match found.touches.iter().find(|unit| *unit != act.unit()) {
        Some(stranger) => Err(Trouble::refused(act, format!("it would touch {stranger} too"))),
        None => Ok(()),
    }
}

/// An effect is asked of the very object that was acted on: its successor proves nothing.
fn pinned(proof: &Proof, acts: &[Act]) -> Proof {
    let mut proof = proof.clone();
    if let Query::Process { at } = &mut proof.ask
        && at.object.is_none()
        && let Some(object) =
            acts.iter().filter_map(place).find(|place| place.unit == at.unit).and_then(|p| p.object.clone())
    {
        at.object = Some(object);
    }
    proof
}

fn place(act: &Act) -> Option<&Place> {
    match act {
        Act::Start { .. } | Act::Configure { .. } | Act::Scale { .. } | Act::Weigh { .. } => None,
        Act::Stop { at } | Act::Signal { at, .. } | Act::Exec { at, .. } => Some(at),
    }
}
