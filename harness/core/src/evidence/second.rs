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
    #[expect(clippy::expect_used, reason = "three digits are a precision that the crate accepts")]
    fn default() -> Self {
        // It grows by itself: most seconds need a fraction of what ten minutes would.
        Self(Histogram::new(3).expect("a valid precision"))
    }
}

impl Latencies {
    /// Adds one; longer than ten minutes counts as ten minutes.
    pub fn add(&mut self, us: u64) {
        // A histogram that grows refuses no value.
        let _ = self.0.record(us.min(LONGEST_US));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Seconds;
    use crate::evidence::{Class, Operation, Request};

    fn row() -> impl Strategy<Value = Request> {
        let class = prop::sample::select(Class::ALL.to_vec());
        // Some take over ten minutes, which is the longest that a histogram holds.
        let takes = prop_oneof![19 => 0u64..1_500_000, 1 => 599_000_000u64..601_000_000];
        (0u64..1_500_000, 0u64..50_000, takes, class).prop_map(|(intended_us, lag, takes, class)| Request {
            intended_us,
            sent_us: intended_us + lag,
            done_us: intended_us + lag + takes,
            step: 0,
            arm: String::new(),
            status: 0,
            class,
            bytes: 0,
            operation: Operation::None,
            key: String::new(),
            value: String::new(),
        })
    }

    fn fold<'a>(rows: impl IntoIterator<Item = &'a Request>) -> Seconds {
        let mut seconds = Seconds::default();
        rows.into_iter().for_each(|row| seconds.see(row));
        seconds
    }

    fn merged(one: &Seconds, other: &Seconds) -> Seconds {
        let mut all = one.clone();
        all.merge(other);
        all
    }

    /// All that a reader can ask of seconds.
    fn told(seconds: &Seconds) -> Vec<(u64, Vec<u64>, Vec<Option<u64>>)> {
        let each = seconds.iter().map(|(number, second)| {
            let kinds = [&second.corrected, &second.raw, &second.lag];
            let counts = Class::ALL.iter().map(|class| second.count(*class));
            let counts = counts.chain(kinds.map(|kind| kind.count())).chain([second.total()]).collect();
            let shares = [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];
            let quantiles = kinds.iter().flat_map(|kind| shares.map(|share| kind.quantile_us(share)));
            (number, counts, quantiles.chain(kinds.map(|kind| kind.max_us())).collect())
        });
        each.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn merging_workers_is_folding_all_their_rows(rows in prop::collection::vec(row(), 0..60), cut in 0usize..60) {
            let cut = cut.min(rows.len());
            let (one, other) = (fold(&rows[..cut]), fold(&rows[cut..]));
            prop_assert_eq!(told(&merged(&one, &other)), told(&fold(&rows)));
            prop_assert_eq!(told(&merged(&other, &one)), told(&fold(&rows)));
        }

        #[test]
        fn workers_may_be_merged_in_any_grouping(
            a in prop::collection::vec(row(), 0..20), b in prop::collection::vec(row(), 0..20), c in prop::collection::vec(row(), 0..20),
        ) {
            let (a, b, c) = (fold(&a), fold(&b), fold(&c));
            prop_assert_eq!(told(&merged(&merged(&a, &b), &c)), told(&merged(&a, &merged(&b, &c))));
        }

        #[test]
        fn the_order_of_rows_does_not_matter(rows in prop::collection::vec(row(), 0..60).prop_shuffle()) {
            let mut sorted = rows.clone();
            sorted.sort_by_key(|row| (row.intended_us, row.sent_us, row.done_us, row.class));
            prop_assert_eq!(told(&fold(&rows)), told(&fold(&sorted)));
        }
    }

    #[test]
    fn an_empty_second_has_no_quantile() {
        let latencies = super::Latencies::default();
        assert_eq!((latencies.count(), latencies.quantile_us(0.5), latencies.max_us()), (0, None, None));
    }

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let mut latencies = super::Latencies::default();
        (1..=100_000).for_each(|us| latencies.add(us));
        let p99 = latencies.quantile_us(0.99).unwrap();
        assert!(p99.abs_diff(99_000) <= 99, "{p99}");
    }
}
