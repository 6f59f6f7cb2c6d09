//! Proving: asking the witness until the reading is the expected one, or the time is over.

use std::time::Duration;

use gauntlet_core::{
    port::{Trouble, Witness},
    proof::{Proof, Reading},
};
use tokio::time::{Instant, sleep, timeout_at};

/// How often a witness is asked while a proof is awaited.
const PACE: Duration = Duration::from_millis(20);

/// Asks until the expected reading comes. When time is over, says what was seen last.
pub(super) async fn prove(witness: &dyn Witness, proof: &Proof) -> Result<Reading, Trouble> {
    let deadline = Instant::now() + proof.within;
    let mut last = "nothing yet".to_owned();
    loop {
        match timeout_at(deadline, witness.look(&proof.ask)).await {
            Ok(Ok(reading)) if proof.expect.holds(&reading) => return Ok(reading),
            Ok(Ok(reading)) => last = reading.0,
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
        sleep(PACE).await;
    }
}
