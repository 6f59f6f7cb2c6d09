//! Seconds: what completed in one second of the load's time line. A fold of rows, so the live console, the report,
//! the merging of workers and a replay agree by construction.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::request::{Class, Request};

/// What completed in one second.
#[derive(Debug, Clone, Default)]
pub struct Second {
    /// Counts by class.
    pub classes: BTreeMap<Class, u64>,
    /// Latency from the intended start of the answers that were right, in microseconds.
    pub corrected: Latencies,
    /// Latency from the real start of the same answers, in microseconds.
    pub raw: Latencies,
    /// How late the generator sent, in microseconds.
    pub lag: Latencies,
}

/// Latencies in microseconds: exact to three digits, up to ten minutes.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

/// All seconds of a run, by number.
#[derive(Debug, Clone, Default)]
pub struct Seconds(BTreeMap<u64, Second>);

const LONGEST_US: u64 = 600_000_000;

impl Default for Latencies {
    #[expect(clippy::expect_used, reason = "1..=ten minutes at three digits are bounds that the crate accepts")]
    fn default() -> Self {
        Self(Histogram::new_with_max(LONGEST_US, 3).expect("valid bounds"))
    }
}

impl Latencies {
    /// Adds one; longer than ten minutes counts as ten minutes.
    pub fn add(&mut self, us: u64) {
        self.0.saturating_record(us);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The smallest latency that at least this share (0..=1) does not exceed; none without samples.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share))
    }

    /// The longest; none without samples.
    pub fn max_us(&self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.max())
    }
}

impl Second {
    fn see(&mut self, request: &Request) {
        *self.classes.entry(request.class).or_default() += 1;
        if request.class.was_sent() {
            self.lag.add(request.lag_us());
        }
        if request.class == Class::Ok {
            self.corrected.add(request.latency_us());
            self.raw.add(request.raw_latency_us());
        }
    }

    /// Adds all of another worker's same second.
    pub fn merge(&mut self, other: &Self) {
        for (class, count) in &other.classes {
            *self.classes.entry(*class).or_default() += count;
        }
        self.corrected.merge(&other.corrected);
        self.raw.merge(&other.raw);
        self.lag.merge(&other.lag);
    }

    /// How many ended in this class.
    pub fn count(&self, class: Class) -> u64 {
        self.classes.get(&class).copied().unwrap_or(0)
    }

    /// How many ended in any class.
    pub fn total(&self) -> u64 {
        self.classes.values().sum()
    }
}

impl Seconds {
    /// Adds a request to the second in which it was done.
    pub fn see(&mut self, request: &Request) {
        self.0.entry(request.done_us / 1_000_000).or_default().see(request);
    }

    /// Adds all of another worker's seconds.
    pub fn merge(&mut self, other: &Self) {
        for (number, second) in &other.0 {
            self.0.entry(*number).or_default().merge(second);
        }
    }

    /// One second.
    pub fn get(&self, number: u64) -> Option<&Second> {
        self.0.get(&number)
    }

    /// In order of time.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Second)> {
        self.0.iter().map(|(number, second)| (*number, second))
    }
}
