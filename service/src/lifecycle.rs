//! Where the service stands between start and end, and whether it is ready for traffic.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// The way of a replica goes down this list only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Takes requests and runs.
    Serving,
    /// Takes requests that still come, closes connections after each answer, takes no new runs.
    Draining,
    /// Time is up: gives back what it holds.
    Stopping,
}

/// The phase and what readiness depends on.
///
/// Readiness does not follow PostgreSQL or Redis once the schema was there: an effect is computed without either,
/// and a fleet that turns unready together turns an outage of one dependency into an outage of everything.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    migrated: AtomicBool,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Serving), migrated: AtomicBool::new(false) }
    }
}

impl Lifecycle {
    /// The first migration has succeeded.
    pub fn migrated(&self) {
        self.migrated.store(true, Ordering::Release);
    }

    /// Goes on to a later phase; never back.
    pub fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = to > *phase;
            if later {
                *phase = to;
            }
            later
        });
    }

    /// Whether connections are to be closed after the answer.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() > Phase::Serving
    }

    /// Returns once the phase is reached.
    pub async fn reached(&self, phase: Phase) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Why no traffic should come here; empty when ready.
    pub fn unready(&self) -> Vec<&'static str> {
        let mut why = Vec::new();
        if self.is_draining() {
            why.push("draining");
        }
        if !self.migrated.load(Ordering::Acquire) {
            why.push("the database was not migrated yet");
        }
        why
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_migrated_and_not_draining() {
        let life = Lifecycle::default();
        assert_eq!(life.unready(), ["the database was not migrated yet"]);
        life.migrated();
        assert!(life.unready().is_empty());
        life.advance(Phase::Draining);
        assert_eq!(life.unready(), ["draining"]);
    }

    #[tokio::test]
    async fn a_phase_is_never_taken_back() {
        let life = Lifecycle::default();
        life.advance(Phase::Stopping);
        life.advance(Phase::Draining);
        life.reached(Phase::Stopping).await;
        assert!(life.is_draining());
    }
}
