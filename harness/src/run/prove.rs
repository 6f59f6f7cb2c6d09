//! Proving: asking the witness until the reading is the expected one, or the time is over.

use gauntlet_core::{
    port::{Trouble, Witness},
    proof::{Expect, Proof, Query, Reading},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::world::World;

/// What the witness reads where nothing is.
pub(super) const ABSENT: &str = "absent";
const READY: &str = "ready";
const RUNNING: &str = "running";

/// Asks until the expected reading comes. When time is over, says what was seen last. Who waits for a replica to get
/// ready waits no longer than it lives.
pub(super) async fn prove(world: &World, proof: &Proof) -> Result<Reading, Trouble> {
    let witness = world.witness.as_ref();
    let deadline = Instant::now() + proof.within;
    let mut seen = Instant::now();
    let mut last = "nothing yet".to_owned();
    loop {
        match timeout_at(deadline, witness.look(&proof.ask)).await {
            Ok(Ok(reading)) if proof.expect.holds(&reading) => return Ok(reading),
            Ok(Ok(reading)) => {
                last = reading.0;
                if !is_absent(witness, proof).await {
                    seen = Instant::now();
                }
                if seen.elapsed() >= world.tempo.appears {
                    let what = format!("{} {}", proof.ask, proof.expect);
                    return Err(Trouble::failed(what, format!("it has ended; last saw {last}")));
                }
            }
            Ok(Err(trouble)) => last = trouble.to_string(),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(Trouble::Unproved {
                what: format!("{} {}", proof.ask, proof.expect),
                within: proof.within,
                last,
            });
        }
        sleep(world.tempo.pace).await;
    }
}

/// Whether what should get ready is not there at all. Asked only where a replica is waited for.
async fn is_absent(witness: &dyn Witness, proof: &Proof) -> bool {
    let at = match (&proof.ask, &proof.expect) {
        (Query::Ready { at } | Query::Way { at }, Expect::Is(word)) if word == READY => at,
        (Query::Process { at }, Expect::Is(word)) if word == RUNNING => at,
        _ => return false,
    };
    let process = Query::Process { at: at.clone() };
    matches!(witness.look(&process).await, Ok(reading) if reading.0 == ABSENT)
}
