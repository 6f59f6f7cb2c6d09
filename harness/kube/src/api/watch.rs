//! Watches that go on for ever, and are soon there again after an outage of any length.

use std::time::Duration;

use kube::runtime::{utils::Backoff, watcher};

/// How long one watch lasts: a connection whose other end is gone without a word is noticed soon after.
const WATCH_FOR_SECS: u32 = 30;
/// How long anything else may say nothing to a client that only watches.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(40);

/// What is watched; more is said by its selectors.
pub(crate) fn wanted() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_FOR_SECS)
}

/// The pause before a watch is begun again. It does not grow, and there are too few who watch to be a burden.
pub(crate) struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}
