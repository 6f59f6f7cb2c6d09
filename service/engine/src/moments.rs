//! Mean and spread of a block, and their combination in a fixed order (Chan, Golub and LeVeque, 1979).

/// Independent partial sums, so that the loop is vector code whose order of additions is written down.
const LANES: usize = 8;

/// Count, mean and sum of squared deviations of some samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) count: f64,
    pub(crate) mean: f64,
    pub(crate) squares: f64,
}

impl Moments {
    /// Two passes: the mean first, then the deviations from it, so that a large mean costs no digits.
    pub(crate) fn of(samples: &[f64]) -> Moments {
        let Some(&origin) = samples.first() else { return Moments::default() };
        let count = samples.len() as f64;
        // Measured from the first sample, equal samples have a spread of exactly zero.
        let mean = origin + sum(samples, |x| x - origin) / count;
        let squares = sum(samples, |x| (x - mean) * (x - mean));
        Moments { count, mean, squares }
    }

    /// The moments of both sets of samples together.
    pub(crate) fn and(self, other: Moments) -> Moments {
        if self.count == 0.0 {
            return other;
        }
        let count = self.count + other.count;
        let step = other.mean - self.mean;
        let share = other.count / count;
        let mean = self.mean + step * share;
        let squares = self.squares + other.squares + step * step * (self.count * share);
        Moments { count, mean, squares }
    }

    /// The unbiased estimate of the variance; needs two samples.
    pub(crate) fn variance(self) -> f64 {
        self.squares / (self.count - 1.0)
    }
}

#[inline(always)]
fn sum(samples: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = samples.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += term(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += term(x);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * b.abs().max(1.0)
    }

    #[test]
    fn a_known_set_has_its_known_moments() {
        let samples: Vec<f64> = (1..=19).map(f64::from).collect();
        let moments = Moments::of(&samples);
        assert_eq!(moments, Moments { count: 19.0, mean: 10.0, squares: 570.0 });
        assert!(close(moments.variance(), 570.0 / 18.0));
    }

    #[test]
    fn parts_combine_to_the_whole() {
        let samples: Vec<f64> = (0..1000).map(|i| f64::from(i * i % 977) + 1e6).collect();
        let whole = Moments::of(&samples);
        let parts = samples.chunks(96).map(Moments::of).fold(Moments::default(), Moments::and);
        assert!(close(parts.mean, whole.mean) && close(parts.squares, whole.squares));
        assert_eq!(parts.count, 1000.0);
    }

    #[test]
    fn equal_samples_have_no_spread_at_all() {
        let samples = [0.1; 777];
        let moments = samples.chunks(100).map(Moments::of).fold(Moments::default(), Moments::and);
        assert_eq!((moments.mean, moments.squares), (0.1, 0.0));
    }

    #[test]
    fn a_large_mean_costs_no_digits_of_the_spread() {
        let samples: Vec<f64> = (0..256).map(|i| 1e9 + f64::from(i % 2)).collect();
        assert_eq!(Moments::of(&samples).squares, 64.0);
    }

    #[test]
    fn no_samples_have_no_moments() {
        assert_eq!(Moments::of(&[]), Moments::default());
    }

    #[test]
    fn an_infinite_sample_leaves_no_finite_spread() {
        let mut samples = [1.0; 20];
        samples[13] = f64::INFINITY;
        assert!(!Moments::of(&samples).squares.is_finite());
    }
}
