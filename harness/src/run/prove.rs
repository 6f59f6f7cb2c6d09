//! Proving: asking the witness until the reading is the expected one, or the time is over.

use std::time::Duration;

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
/// What a reading begins with where the place itself starts a replica later; the reason follows.
const WAITING: &str = "waiting";

/// Asks until the expected reading comes. When time is over, says what was seen last. Who waits for a replica to get
/// ready waits no longer than it lives; while the place holds its start back, its time does not run, but for no more than
/// `patience` in all.
pub(super) async fn prove(world: &World, proof: &Proof, patience: Duration) -> Result<Reading, Trouble> {
    let witness = world.witness.as_ref();
    let began = Instant::now();
    let mut deadline = began + proof.within;
    let mut seen = began;
    let mut last = "nothing yet".to_owned();
    loop {
        match timeout_at(deadline, witness.look(&proof.ask)).await {
            Ok(Ok(reading)) if proof.expect.holds(&reading) => return Ok(reading),
            Ok(Ok(reading)) => {
                last = reading.0;
                let life = life(witness, proof).await;
                if life.as_deref() != Some(ABSENT) {
                    seen = Instant::now();
                }
                if seen.elapsed() >= world.tempo.appears {
                    let what = format!("{} {}", proof.ask, proof.expect);
                    return Err(Trouble::failed(what, format!("it has ended; last saw {last}")));
                }
                if let Some(held) = life.filter(|life| life.starts_with(WAITING)) {
                    deadline = deadline.max((seen + proof.within).min(began + proof.within + patience));
                    last = if last == held { held } else { format!("{last}, {held}") };
                }
            }
            // Time mends what is late, not what is wrong.
            Ok(Err(refused @ Trouble::Refused { .. })) => return Err(refused),
            Ok(Err(trouble)) => last = trouble.to_string(),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(Trouble::Unproved {
                what: format!("{} {}", proof.ask, proof.expect),
                within: deadline - began,
                last,
            });
        }
        sleep(world.tempo.pace).await;
    }
}

/// How the processes are of what should get ready. Asked only where a replica is waited for.
async fn life(witness: &dyn Witness, proof: &Proof) -> Option<String> {
    let at = match (&proof.ask, &proof.expect) {
        (Query::Ready { at } | Query::Way { at }, Expect::Is(word)) if word == READY => at,
        (Query::Process { at }, Expect::Is(word)) if word == RUNNING => at,
        _ => return None,
    };
    let process = Query::Process { at: at.clone() };
    witness.look(&process).await.ok().map(|reading| reading.0)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use gauntlet_core::{
        act::Place,
        evidence::What,
        port::{Later, Trouble, Witness},
        proof::{Expect, Proof, Query, Reading},
    };
    use tokio::time::Instant;

    use super::{World, prove};
    use crate::{
        run::world::Tell,
        target::fake::{FakeSystem, world},
    };

    const HELD: &str = "waiting: CrashLoopBackOff: back-off 2m40s, after Error, code 137";

    struct Deaf;

    impl Tell for Deaf {
        fn tell(&self, _: What) {}
    }

    /// A replica that is held back until then.
    struct HeldUntil(Instant);

    impl Witness for HeldUntil {
        fn look<'a>(&'a self, ask: &'a Query) -> Later<'a, Reading> {
            let up = Instant::now() >= self.0;
            let word = match ask {
                Query::Process { .. } => {
                    if up {
                        "running"
                    } else {
                        HELD
                    }
                }
                _ => {
                    if up {
                        "ready"
                    } else {
                        "refused"
                    }
                }
            };
            Box::pin(async move { Ok(Reading(word.into())) })
        }
    }

    async fn proved(held: u64, patience: u64, ask: fn(Place) -> Query, is: &str) -> Result<Reading, Trouble> {
        let place = Place::replica(&"service".parse().unwrap(), 1);
        let within = Duration::from_secs(30);
        let proof = Proof { ask: ask(place), expect: Expect::Is(is.into()), within };
        let witness = Arc::new(HeldUntil(Instant::now() + Duration::from_secs(held)));
        let world = World { witness, ..world(&Arc::new(FakeSystem::default()), Arc::new(Deaf)) };
        prove(&world, &proof, Duration::from_secs(patience)).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_not_asked_again() {
        let place = Place::replica(&"service".parse().unwrap(), 1);
        let ask = Query::Sql { at: place, statement: "select 1".into() };
        let proof = Proof { ask, expect: Expect::Is("1".into()), within: Duration::from_secs(30) };
        let (world, began) = (world(&Arc::new(FakeSystem::default()), Arc::new(Deaf)), Instant::now());
        let told = prove(&world, &proof, Duration::ZERO).await.unwrap_err().to_string();
        assert!(told.ends_with("refused: the fake has no database"), "{told}");
        assert!(began.elapsed().is_zero());
    }

    fn process(at: Place) -> Query {
        Query::Process { at }
    }

    fn ready(at: Place) -> Query {
        Query::Ready { at }
    }

    #[tokio::test(start_paused = true)]
    async fn time_does_not_run_while_the_start_is_held_back() {
        assert_eq!(proved(160, 300, process, "running").await.unwrap().0, "running");
        assert_eq!(proved(160, 300, ready, "ready").await.unwrap().0, "ready");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_has_an_end_and_says_what_held_it_back() {
        let told = proved(400, 300, ready, "ready").await.unwrap_err().to_string();
        let expected =
            format!("readiness of service-1 is ready not seen within 330s: last saw refused, {HELD}");
        assert_eq!(told, expected);
        // Who set it up is not patient: it should not have ended.
        let told = proved(60, 0, process, "running").await.unwrap_err().to_string();
        assert_eq!(told, format!("process of service-1 is running not seen within 30s: last saw {HELD}"));
    }
}
