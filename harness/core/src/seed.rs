//! One seed a run. Every random choice of the harness is drawn from a stream that is named after its use, so that a
//! new choice never changes the others. Timing is not seeded: a seed repeats the choices, not the run.

use serde::{Deserialize, Serialize};

/// The seed of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

/// A stream of draws: SplitMix64 (Steele, Lea, Flood 2014), which passes BigCrush and has one word of state.
#[derive(Debug, Clone)]
pub struct Draws {
    state: u64,
}

impl Seed {
    /// The stream for one use; the same name gives the same draws.
    pub fn stream(self, name: &str) -> Draws {
        // FNV-1a spreads the name over the state; the generator's own mixing does the rest.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Draws { state: self.0.rotate_left(32) ^ hash }
    }
}

impl Draws {
    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1]: its logarithm is finite.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..bound; 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // Multiply-shift (Lemire 2019); its bias is below 2^-32 for the small bounds that are drawn here.
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Exponentially distributed with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn the_same_name_draws_the_same_and_another_does_not() {
        let draw = |seed, name| Seed(seed).stream(name).bits();
        assert_eq!(draw(42, "picks"), draw(42, "picks"));
        assert_ne!(draw(42, "picks"), draw(42, "arrivals"));
        assert_ne!(draw(42, "picks"), draw(43, "picks"));
    }

    #[test]
    fn draws_below_a_bound_are_even() {
        let mut draws = Seed(1).stream("even");
        let mut counts = [0u32; 7];
        (0..70_000).for_each(|_| counts[draws.below(7)] += 1);
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
    }

    #[test]
    fn exponential_draws_have_mean_one() {
        let mut draws = Seed(2).stream("poisson");
        let mean = (0..100_000).map(|_| draws.exponential()).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }
}
