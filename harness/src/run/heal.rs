//! The only way out: a fault's end, unwinding, Ctrl-C, `gauntlet heal` and the watchdog all come through here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use gauntlet_core::{
    act::{Act, Place, Unit},
    evidence::{Side, TroubleKind, What},
    port::Trouble,
    proof::{Expect, Proof, Query},
    receipt::Receipt,
    step::StepId,
};
use tokio::{task::JoinSet, time::timeout};

use super::{
    prove::{ABSENT, prove},
    world::{Tell, World},
};

/// How long a unit that this heal ended may take to be seen as gone.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// Undoes receipts (oldest first in `receipts`) and clears those that are proved to be gone. Answers what is left.
pub async fn heal(receipts: &[Receipt], world: &World) -> Vec<Trouble> {
    for receipt in receipts {
        world.say(What::Healing { step: receipt.step.clone() });
    }
    let undos = undos(receipts);
    let removed: BTreeSet<&Unit> = undos.iter().filter_map(|(_, act)| ended(act)).collect();
    // Every undo comes before any proof, so that no proof waits for what a later undo repairs.
    let due: Vec<Undo> = undos.iter().filter(|(_, act)| !is_moot(act, &removed)).cloned().collect();
    let mut residue = undo(&due, world).await;
    residue.extend(settle(receipts, &removed, world).await);
    residue
}

/// An act that undoes, and the step that it undoes.
type Undo = (Option<StepId>, Act);

fn undos(receipts: &[Receipt]) -> Vec<Undo> {
    let of = |receipt: &Receipt| -> Vec<Undo> {
        receipt.undo.iter().map(|act| (Some(receipt.step.clone()), act.clone())).collect()
    };
    receipts.iter().rev().flat_map(of).collect()
}

/// Proves and clears, newest first: killed in between, what is left still knows that the older steps stand below it.
async fn settle(receipts: &[Receipt], removed: &BTreeSet<&Unit>, world: &World) -> Vec<Trouble> {
    let mut residue = vec![];
    for receipt in receipts.iter().rev() {
        let here = gone(receipt, removed, world).await;
        if here.is_empty() {
            match world.ledger.clear(&receipt.step).await {
                Ok(()) => world.say(What::Healed { step: receipt.step.clone() }),
                Err(trouble) => residue.push(trouble),
            }
        }
        for trouble in &here {
            left(world, Some(receipt.step.clone()), trouble);
        }
        residue.extend(here);
    }
    residue
}

/// Undoes side by side for each unit, in order on each; what ends the ground comes last, for everything stands on it.
async fn undo(undos: &[Undo], world: &World) -> Vec<Trouble> {
    let rolled: BTreeSet<&Unit> = undos
        .iter()
        .map(|(_, act)| act.unit())
        .filter(|unit| matches!(unit, Unit::Component { .. }))
        .collect();
    let mut by_unit: BTreeMap<&Unit, Vec<Undo>> = BTreeMap::new();
    for undo in undos {
        let unit = undo.1.unit();
        // What is done to a component as a whole is done to its replicas: they stand in one line.
        let whole = rolled.iter().find(|whole| whole.component() == unit.component());
        by_unit.entry(whole.copied().unwrap_or(unit)).or_default().push(undo.clone());
    }
    let ground = by_unit.remove(&Unit::Ground);
    let mut running = JoinSet::new();
    for acts in by_unit.into_values() {
        running.spawn(in_order(acts, world.clone()));
    }
    let mut residue: Vec<Trouble> = running.join_all().await.into_iter().flatten().collect();
    residue.extend(in_order(ground.unwrap_or_default(), world.clone()).await);
    residue
}

async fn in_order(undos: Vec<Undo>, world: World) -> Vec<Trouble> {
    let mut residue = vec![];
    for (step, act) in undos {
        let budget = if matches!(act, Act::Configure { .. }) { world.tempo.roll } else { world.tempo.undo };
        let trouble = match timeout(budget, world.target.apply(&act)).await {
            Ok(Ok(())) => continue,
            Ok(Err(trouble)) => trouble,
            Err(_) => Trouble::failed(&act, format!("not done within {budget:?}")),
        };
        left(&world, step, &trouble);
        residue.push(trouble);
    }
    residue
}

fn left(world: &World, step: Option<StepId>, trouble: &Trouble) {
    world.say(What::Trouble { kind: TroubleKind::Residue, step, why: trouble.to_string() });
}

/// What of a receipt is still there.
async fn gone(receipt: &Receipt, removed: &BTreeSet<&Unit>, world: &World) -> Vec<Trouble> {
    let mut here = vec![];
    for proof in &receipt.gone {
        let proof = if is_removed(proof, removed) { absent(proof, world) } else { proof.clone() };
        match prove(world, &proof, world.tempo.held).await {
            Ok(reading) => {
                let (step, proof) = (receipt.step.clone(), format!("{} {}", proof.ask, proof.expect));
                world.say(What::Proved { step, side: Side::Gone, proof, reading });
            }
            Err(trouble) => here.push(trouble),
        }
    }
    here
}

/// What a program did to a unit that this heal ends goes with it: nothing is restored in order to be removed.
fn is_moot(act: &Act, removed: &BTreeSet<&Unit>) -> bool {
    matches!(act, Act::Exec { .. }) && (removed.contains(act.unit()) || removed.contains(&Unit::Ground))
}

/// A fault on a unit that this heal ended as well (set-up undone after a crash) is gone with its unit.
fn is_removed(proof: &Proof, removed: &BTreeSet<&Unit>) -> bool {
    let unit = &proof.ask.at().unit;
    let own = |one: &&&Unit| one.component() == unit.component();
    let whole = matches!(unit, Unit::Component { .. }) && removed.iter().any(|one| own(&one));
    whole || removed.contains(unit) || removed.contains(&Unit::Ground)
}

fn absent(proof: &Proof, world: &World) -> Proof {
    let ask = Query::Process { at: Place::of(proof.ask.at().unit.clone()) };
    Proof { ask, expect: Expect::Is(ABSENT.into()), within: REMOVED_WITHIN + world.tempo.slack }
}

fn ended(act: &Act) -> Option<&Unit> {
    match act {
        Act::Stop { at } => Some(&at.unit),
        Act::Start { .. }
        | Act::Signal { .. }
        | Act::Configure { .. }
        | Act::Scale { .. }
        | Act::Weigh { .. }
        | Act::Exec { .. } => None,
    }
}

/// Hears of what did not work at once while a stronger way out is still to come: no more than a warning.
struct Hushed(Arc<dyn Tell>);

impl Tell for Hushed {
    fn tell(&self, what: What) {
        match what {
            What::Trouble { kind: TroubleKind::Residue, why, .. } => tracing::warn!("not at once: {why}"),
            what => self.0.tell(what),
        }
    }
}

fn hushed(world: &World) -> World {
    World { tell: Arc::new(Hushed(world.tell.clone())), ..world.clone() }
}

/// Heals everything that the ledger holds, then removes what bears the run's mark. `before_ground` runs when all
/// replicas are ended and their files still exist. Answers what is still there in the end.
pub async fn unwind(world: &World, before_ground: impl AsyncFnOnce()) -> Vec<Trouble> {
    match world.ledger.open().await {
        Ok(open) => {
            let (ground, rest): (Vec<Receipt>, Vec<Receipt>) = open.into_iter().partition(on_ground);
            if ground.is_empty() {
                let residue = heal(&rest, world).await;
                return residue.into_iter().chain(sweep(world).await).collect();
            }
            // A ground that an earlier heal ended took everything along: nothing is started on it again.
            if stands(world).await {
                let first: Vec<Receipt> = rest
                    .into_iter()
                    .filter(|receipt| !ends_with_ground(receipt, world.tempo.one_by_one))
                    .collect();
                heal(&first, &hushed(world)).await;
            }
            before_ground().await;
            end_ground(&ground, world).await
        }
        // What the ledger holds cannot be read, but the mark can: without a ground nothing stands.
        Err(trouble) => {
            tracing::warn!("{trouble}: ending all that bears the run's mark");
            before_ground().await;
            sweep(world).await
        }
    }
}

async fn stands(world: &World) -> bool {
    let ask = Query::Process { at: Place::of(Unit::Ground) };
    !matches!(world.witness.look(&ask).await, Ok(reading) if reading.0 == ABSENT)
}

/// Ends the ground. Once that is proved, whatever stood on it is gone with it, and so is every receipt.
async fn end_ground(ground: &[Receipt], world: &World) -> Vec<Trouble> {
    undo(&undos(ground), &hushed(world)).await;
    let mut residue = sweep(world).await;
    match world.ledger.open().await {
        Ok(open) => {
            let removed = BTreeSet::from([&Unit::Ground]);
            let (ground, rest): (Vec<Receipt>, Vec<Receipt>) = open.into_iter().partition(on_ground);
            let left = settle(&rest, &removed, world).await;
            // While one of them is stored, so is the ground: who comes next must know that it stood on one.
            let left = if left.is_empty() { settle(&ground, &removed, world).await } else { left };
            residue.extend(left);
        }
        Err(trouble) => residue.push(trouble),
    }
    residue
}

/// Removes what bears the run's mark and is in no receipt.
async fn sweep(world: &World) -> Vec<Trouble> {
    for last in [false, true] {
        let acts = match world.target.leftovers().await {
            Ok(acts) if acts.is_empty() => return vec![],
            Ok(acts) => acts,
            Err(trouble) => {
                left(world, None, &trouble);
                return vec![trouble];
            }
        };
        let acts: Vec<Undo> = acts.into_iter().map(|act| (None, act)).collect();
        let to = if last { world.clone() } else { hushed(world) };
        let residue = undo(&acts, &to).await;
        if last {
            return residue;
        }
    }
    vec![]
}

/// Whether the end of the ground undoes all of it: nothing is rolled back, split anew, run or started that ends at once.
fn ends_with_ground(receipt: &Receipt, one_by_one: bool) -> bool {
    let moot = |act: &Act| match act {
        Act::Start { .. }
        | Act::Configure { .. }
        | Act::Scale { .. }
        | Act::Weigh { .. }
        | Act::Exec { .. } => true,
        Act::Stop { .. } => !one_by_one,
        // Who is frozen cannot end by itself.
        Act::Signal { .. } => false,
    };
    !receipt.undo.is_empty() && receipt.undo.iter().all(moot)
}

fn on_ground(receipt: &Receipt) -> bool {
    receipt.undo.iter().any(|act| *act.unit() == Unit::Ground)
}
