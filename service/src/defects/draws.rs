//! Draws of a share: the nth depends on a seed and on n only, so threads share a counter and no lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::random::Random;

/// What SplitMix64 adds at each step, so that the nth draw of a stream can be had at once.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The seed of a stream of its own.
pub(super) fn stream(seed: u64, name: &str) -> u64 {
    name.bytes().fold(seed, |seed, byte| Random(seed ^ u64::from(byte)).next())
}

/// Independent draws, each true with the same chance.
#[derive(Debug)]
pub(super) struct Draws {
    seed: u64,
    count: AtomicU64,
    share: f64,
}

impl Draws {
    pub(super) fn new(seed: u64, share: f64) -> Self {
        Self { seed, count: AtomicU64::new(0), share }
    }

    /// The next draw.
    pub(super) fn hit(&self) -> bool {
        let at = self.count.fetch_add(1, Ordering::Relaxed);
        let bits = Random(self.seed.wrapping_add(at.wrapping_mul(STEP))).next();
        // The upper 53 bits: a number from 0 to 1, 1 excluded.
        ((bits >> 11) as f64) / ((1_u64 << 53) as f64) < self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, share: f64, many: usize) -> Vec<bool> {
        let draws = Draws::new(seed, share);
        (0..many).map(|_| draws.hit()).collect()
    }

    /// Within five standard deviations of a binomial count.
    fn assert_binomial(hits: usize, many: usize, share: f64) {
        let (mean, deviation) = (many as f64 * share, (many as f64 * share * (1.0 - share)).sqrt());
        assert!((hits as f64 - mean).abs() <= 5.0 * deviation, "{hits} of {many} with a share of {share}");
    }

    #[test]
    fn the_share_is_met_within_binomial_bounds() {
        for share in [0.001, 0.005, 0.01, 0.02, 0.2, 1.0] {
            for seed in 0..20 {
                let hits = draw(stream(seed, "a/0"), share, 100_000).into_iter().filter(|hit| *hit).count();
                assert_binomial(hits, 100_000, share);
            }
        }
    }

    #[test]
    fn neighbours_and_other_streams_are_independent() {
        let (one, other) = (draw(stream(7, "a/0"), 0.1, 200_000), draw(stream(7, "a/1"), 0.1, 200_000));
        let neighbours = one.windows(2).filter(|pair| pair[0] && pair[1]).count();
        assert_binomial(neighbours, 200_000, 0.01);
        let both = one.iter().zip(&other).filter(|(one, other)| **one && **other).count();
        assert_binomial(both, 200_000, 0.01);
    }

    #[test]
    fn a_seed_fixes_every_draw_of_a_replica_and_each_replica_has_its_own() {
        assert_eq!(draw(stream(7, "a/0"), 0.5, 64), draw(stream(7, "a/0"), 0.5, 64));
        for other in [stream(8, "a/0"), stream(7, "b/0"), stream(7, "a/1")] {
            assert_ne!(draw(stream(7, "a/0"), 0.5, 64), draw(other, 0.5, 64));
        }
    }
}
