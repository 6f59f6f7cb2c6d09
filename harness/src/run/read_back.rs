//! What a system that came up must be like: settings, and who reaches what. It is read here; the judges compare.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gauntlet_core::{
    act::{Place, Unit},
    evidence::What,
    plan::{Plan, Reach},
    port::Trouble,
    proof::{Query, Reading},
    scenario::Destination,
};
use tokio::time::{Instant, sleep};

use super::world::World;

/// Reads everything back that the plan asks for.
pub(super) async fn read_back(plan: &Plan, world: &World) -> Result<(), Trouble> {
    for (component, must) in &plan.musts {
        let ask = Query::Sql { at: Place::replica(component, 1), statement: must.sql.clone() };
        let Reading(is) = world.witness.look(&ask).await?;
        let (component, ask, must) = (component.clone(), must.sql.clone(), must.is.clone());
        world.say(What::Setting { component, ask, must, is });
    }
    let rows = join_all(plan.connections.iter().map(|row| reached(row, world))).await;
    for (row, seen) in plan.connections.iter().zip(rows) {
        world.say(What::Reached { from: row.from.clone(), seen: seen? });
    }
    Ok(())
}

/// What is reached from one place: as soon as it is what must be, else at the end of the time that policies have.
async fn reached(row: &Reach, world: &World) -> Result<BTreeMap<Destination, String>, Trouble> {
    let at = Place::of(Unit::Probe { source: row.from.clone() });
    let ask = Query::Reach { at, to: row.wanted.keys().cloned().collect() };
    let deadline = Instant::now() + row.within;
    loop {
        let seen = world.witness.look(&ask).await.map(|reading| reading.reach());
        if seen.as_ref().is_ok_and(|seen| row.agrees(seen)) || Instant::now() >= deadline {
            return seen;
        }
        sleep(world.tempo.pace).await;
    }
}
