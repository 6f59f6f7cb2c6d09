//! Exact quantiles by nearest rank: the smallest value that at least that share of the sample does not exceed.
//! What never ended well stands in the sample as infinity, so that failing fast never improves a quantile.

use super::interval;

/// A sample in order, with the number of infinite values at its end.
#[derive(Debug, Clone, Default)]
pub struct Ranked {
    sorted: Vec<u32>,
    infinite: u64,
}

/// The nearest rank (from 1) of a quantile in a sample of that size; 0 for an empty sample.
pub fn nearest_rank(count: u64, quantile: f64) -> u64 {
    // The small step back hides the binary tail of products such as 0.07 * 100.
    let rank = (quantile * count as f64 - 1e-9).ceil() as u64;
    rank.max(1).min(count)
}

impl Ranked {
    /// Puts finite values in order; `infinite` more stand behind them.
    pub fn new(mut finite: Vec<u32>, infinite: u64) -> Self {
        finite.sort_unstable();
        Self { sorted: finite, infinite }
    }

    /// How many values, the infinite ones included.
    pub fn count(&self) -> u64 {
        self.sorted.len() as u64 + self.infinite
    }

    /// The quantile (0..=1); infinite where it falls among the failures, none without a sample.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        (self.count() > 0).then(|| self.of_rank(nearest_rank(self.count(), quantile)))
    }

    /// Two order statistics between which the true quantile lies with 95 % confidence, whatever the distribution.
    /// The lower is 0 and the upper infinite where the sample is too small to bound it.
    pub fn interval(&self, quantile: f64) -> (f64, f64) {
        let (low, high) = interval::ranks(self.count(), quantile);
        (if low == 0 { 0.0 } else { self.of_rank(low) }, self.of_rank(high))
    }

    /// The value of a rank, from 1; infinite beyond the finite ones.
    fn of_rank(&self, rank: u64) -> f64 {
        let index = usize::try_from(rank.saturating_sub(1)).unwrap_or(usize::MAX);
        self.sorted.get(index).map_or(f64::INFINITY, |value| f64::from(*value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Ranked, nearest_rank};

    #[test]
    fn ranks_are_not_moved_by_binary_fractions() {
        assert_eq!(nearest_rank(100, 0.07), 7);
        assert_eq!(nearest_rank(20, 0.95), 19);
        assert_eq!(nearest_rank(21, 0.95), 20);
        assert_eq!(nearest_rank(5, 0.0), 1);
        assert_eq!(nearest_rank(5, 1.0), 5);
        assert_eq!(nearest_rank(0, 0.5), 0);
    }

    #[test]
    fn an_empty_sample_has_no_quantile() {
        assert_eq!(Ranked::new(vec![], 0).quantile(0.5), None);
    }

    #[test]
    fn failures_stand_behind_every_answer() {
        let ranked = Ranked::new((1..=94).collect(), 6);
        assert_eq!(ranked.quantile(0.94), Some(94.0));
        assert_eq!(ranked.quantile(0.95), Some(f64::INFINITY));
        assert_eq!(Ranked::new(vec![], 3).quantile(0.5), Some(f64::INFINITY));
    }

    #[test]
    fn the_interval_of_a_small_sample_is_open_above() {
        let ranked = Ranked::new((1..=10).collect(), 0);
        let (low, high) = ranked.interval(0.95);
        assert!(low <= 10.0 && high.is_infinite(), "{low} {high}");
    }

    proptest! {
        #[test]
        fn a_quantile_is_the_smallest_value_that_enough_of_the_sample_does_not_exceed(
            values in prop::collection::vec(0u32..1000, 1..200), infinite in 0u64..20, q in 0.01f64..1.0,
        ) {
            let ranked = Ranked::new(values.clone(), infinite);
            let needed = (q * ranked.count() as f64 - 1e-9).ceil() as usize;
            let at_most = |limit: f64| values.iter().filter(|v| f64::from(**v) <= limit).count();
            let value = ranked.quantile(q).unwrap();
            if value.is_finite() {
                prop_assert!(at_most(value) >= needed);
                prop_assert!(at_most(value - 1.0) < needed);
            } else {
                prop_assert!(values.len() < needed);
            }
            let (low, high) = ranked.interval(q);
            prop_assert!(low <= value && value <= high);
        }
    }
}
