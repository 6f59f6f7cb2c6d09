//! A circuit breaker: after some failures in a row nobody waits for a dependency but one probe every now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts failures of one dependency and says whether to ask it now.
#[derive(Debug)]
pub struct Breaker {
    failures_to_open: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while open: when the next probe may go.
    probe_at: Option<Instant>,
}

impl Breaker {
    /// Opens after `failures_to_open` failures in a row; then lets one call in every `rest`.
    pub fn new(failures_to_open: u32, rest: Duration) -> Self {
        Self { failures_to_open, rest, state: Mutex::default() }
    }

    /// Whether a call may go now. While open, only the probe may, and a probe that never reports costs one rest.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.probe_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                state.probe_at = Some(now + self.rest);
                true
            }
        }
    }

    /// One call succeeded: all may go.
    pub fn succeeded(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// One call failed. Returns true when this failure opened the breaker.
    pub fn failed(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures < self.failures_to_open {
            return false;
        }
        let opened = state.probe_at.is_none();
        state.probe_at = Some(now + self.rest);
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_millis(250);

    fn open() -> (Breaker, Instant) {
        let (breaker, now) = (Breaker::new(3, REST), Instant::now());
        assert!(!breaker.failed(now));
        assert!(!breaker.failed(now));
        assert!(breaker.admits(now));
        assert!(breaker.failed(now), "the third failure opens it");
        (breaker, now)
    }

    #[test]
    fn it_opens_only_after_failures_in_a_row() {
        let (breaker, now) = (Breaker::new(3, REST), Instant::now());
        for _ in 0..10 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(breaker.admits(now));
    }

    #[test]
    fn while_open_one_probe_goes_each_rest() {
        let (breaker, now) = open();
        assert!(!breaker.admits(now + REST / 2));
        assert!(breaker.admits(now + REST));
        assert!(!breaker.admits(now + REST), "one probe, not two");
        assert!(breaker.admits(now + REST * 2), "a lost probe costs one rest");
    }

    #[test]
    fn a_probe_that_fails_keeps_it_open_and_one_that_succeeds_closes_it() {
        let (breaker, now) = open();
        assert!(breaker.admits(now + REST));
        assert!(!breaker.failed(now + REST), "it was open before");
        assert!(!breaker.admits(now + REST + REST / 2));
        breaker.succeeded();
        assert!(breaker.admits(now + REST + REST / 2));
    }
}
