//! Random numbers of the streams, from the seeded generator of the harness.

use gauntlet_core::seed::Draws;

/// A standard normal number.
pub(crate) fn normal(draws: &mut Draws) -> f64 {
    (-2.0 * draws.unit().ln()).sqrt() * (std::f64::consts::TAU * draws.unit()).cos()
}

/// A Poisson number: exact, by inversion in parts of at most 30.
pub(crate) fn poisson(draws: &mut Draws, mean: f64) -> u64 {
    const PART: f64 = 30.0;
    let (mut left, mut sum) = (mean, 0);
    while left > PART {
        sum += inverted(draws, PART, (-PART).exp());
        left -= PART;
    }
    sum + inverted(draws, left, (-left).exp())
}

/// A Poisson number of a small mean, whose probability of 0 is known.
pub(crate) fn inverted(draws: &mut Draws, mean: f64, of_none: f64) -> u64 {
    let (mut left, mut term, mut count) = (draws.unit() - of_none, of_none, 0);
    while left > 0.0 && count < 500 {
        count += 1;
        term *= mean / count as f64;
        left -= term;
    }
    count
}

/// An autoregressive series of order 1 with mean 0.
pub(crate) struct Autoregressive {
    phi: f64,
    deviation: f64,
    at: f64,
}

impl Autoregressive {
    pub(crate) fn new(phi: f64, deviation: f64, draws: &mut Draws) -> Self {
        Self { phi, deviation, at: deviation * normal(draws) }
    }

    pub(crate) fn next(&mut self, draws: &mut Draws) -> f64 {
        let fresh = self.deviation * (1.0 - self.phi * self.phi).sqrt();
        self.at = self.phi * self.at + fresh * normal(draws);
        self.at
    }
}

impl Autoregressive {
    /// Its standard deviation.
    pub(crate) fn deviation(&self) -> f64 {
        self.deviation
    }
}
