//! Values in buckets of equal relative width: 64 a doubling, so a value is known to 1.6 %. A whole canary phase of
//! latencies is then a few thousand numbers, and a second of them a short list.

/// Bits of a value that tell buckets of one doubling apart.
const BITS: u32 = 6;

/// Values by bucket.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    counts: Vec<u64>,
    total: u64,
}

/// The bucket of a value.
pub fn bucket(value: u64) -> u16 {
    let doubling = value.checked_ilog2().unwrap_or(0);
    let index = match doubling.checked_sub(BITS) {
        None => value,
        Some(over) => (u64::from(over + 1) << BITS) + ((value >> over) & ((1 << BITS) - 1)),
    };
    // At most 59 doublings of 64.
    index as u16
}

/// The smallest and the largest value of a bucket.
pub fn edges(bucket: u16) -> (f64, f64) {
    let (step, within) = (u32::from(bucket) >> BITS, u64::from(bucket) & ((1 << BITS) - 1));
    match step.checked_sub(1) {
        None => (within as f64, within as f64),
        Some(over) => {
            let (first, width) = ((within | (1 << BITS)) as f64, f64::from(over).exp2());
            (first * width, (first + 1.0) * width - 1.0)
        }
    }
}

/// The middle of a bucket.
pub fn middle(bucket: u16) -> f64 {
    let (low, high) = edges(bucket);
    f64::midpoint(low, high)
}

impl Ladder {
    /// Adds values of one bucket.
    pub fn add(&mut self, bucket: u16, count: u64) {
        let at = usize::from(bucket);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        if let Some(sum) = self.counts.get_mut(at) {
            *sum += count;
        }
        self.total += count;
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The bucket of the smallest value that at least this share does not exceed; none without values.
    pub fn bucket_at(&self, share: f64) -> Option<u16> {
        let rank = super::quantile::nearest_rank(self.total, share);
        let mut sum = 0;
        let at = self.counts.iter().position(|count| {
            sum += count;
            rank > 0 && sum >= rank
        });
        at.and_then(|at| u16::try_from(at).ok())
    }

    /// The value at that share.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        self.bucket_at(share).map(middle)
    }

    /// How many values lie in higher buckets.
    pub fn above(&self, bucket: u16) -> u64 {
        self.counts.iter().skip(usize::from(bucket) + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Ladder, bucket, edges, middle};

    #[test]
    fn small_values_have_a_bucket_each() {
        assert_eq!([0, 1, 63, 64, 65].map(bucket), [0, 1, 63, 64, 65]);
        assert_eq!(bucket(128), bucket(129));
        assert!(bucket(u64::MAX) > bucket(1 << 60));
    }

    #[test]
    fn an_empty_ladder_has_no_quantile() {
        assert_eq!((Ladder::default().quantile(0.5), Ladder::default().above(0)), (None, 0));
    }

    proptest! {
        #[test]
        fn a_bucket_knows_its_values_to_a_sixtieth_and_keeps_their_order(a in 1u64..600_000_000, b in 1u64..600_000_000) {
            prop_assert!((middle(bucket(a)) / a as f64 - 1.0).abs() < 1.0 / 60.0);
            let (low, high) = edges(bucket(a));
            prop_assert!(low <= a as f64 && a as f64 <= high);
            prop_assert!(bucket(a.min(b)) <= bucket(a.max(b)));
        }

        #[test]
        fn a_quantile_is_that_of_the_values(values in prop::collection::vec(1u64..1_000_000, 1..100), q in 0.01f64..1.0) {
            let mut ladder = Ladder::default();
            values.iter().for_each(|value| ladder.add(bucket(*value), 1));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = super::super::quantile::nearest_rank(values.len() as u64, q) as usize;
            prop_assert_eq!(ladder.bucket_at(q), Some(bucket(sorted[rank - 1])));
            let over = values.iter().filter(|value| bucket(**value) > bucket(sorted[rank - 1])).count() as u64;
            prop_assert_eq!(ladder.above(bucket(sorted[rank - 1])), over);
        }
    }
}
