//! Intervals with 95 % confidence. They take the sample as independent; requests of one second are not quite, so a
//! reader takes them as the least width that there is.

/// The 97.5th percentile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// What may lie on either side of an interval.
const TAIL: f64 = 0.025;

/// Wilson's interval for a share; everything from 0 to 1 without a sample.
pub fn wilson(hits: u64, count: u64) -> (f64, f64) {
    if count == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (count as f64, hits as f64 / count as f64);
    let scale = 1.0 + Z * Z / n;
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
}

/// The ranks (from 1) of the order statistics that bound a quantile, from the exact binomial distribution. A lower
/// rank of 0 and an upper one of `count + 1` mean: the sample does not bound it on that side.
pub fn ranks(count: u64, quantile: f64) -> (u64, u64) {
    let above = 1.0 - quantile;
    if count == 0 || above <= 0.0 || quantile <= 0.0 {
        return (0, count + 1);
    }
    // How many of the sample lie above the true quantile is binomial; its tails are cut by summing from 0 up. The
    // logarithm of each term keeps large samples from underflowing.
    let mut term = count as f64 * quantile.ln();
    let odds = (above / quantile).ln();
    let (mut sum, mut fewest) = (0.0_f64, None);
    for over in 0..=count {
        sum += term.exp();
        if fewest.is_none() && sum > TAIL {
            fewest = Some(over);
        }
        if sum >= 1.0 - TAIL {
            return (count - over, count - fewest.unwrap_or(over) + 1);
        }
        term += ((count - over) as f64 / (over + 1) as f64).ln() + odds;
    }
    (0, count + 1)
}

#[cfg(test)]
mod tests {
    use super::{ranks, wilson};
    use crate::seed::Seed;

    #[test]
    fn the_interval_of_a_share_matches_published_values() {
        let (low, high) = wilson(81, 263); // Newcombe 1998, table I
        assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4, "{low} {high}");
        let (low, high) = wilson(0, 20);
        assert!(low.abs() < 1e-12 && (high - 0.1611).abs() < 1e-4, "{high}");
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn the_ranks_of_a_median_match_published_values() {
        assert_eq!(ranks(10, 0.5), (2, 9)); // Conover, table A3: coverage 97.9 %
        assert_eq!(ranks(20, 0.5), (6, 15));
        assert_eq!(ranks(5, 0.5), (0, 6));
    }

    #[test]
    fn large_samples_neither_underflow_nor_lose_the_quantile() {
        let (low, high) = ranks(1_000_000, 0.95);
        assert!((949_500..950_000).contains(&low) && (950_000..950_500).contains(&high), "{low} {high}");
    }

    #[test]
    fn the_interval_covers_the_true_quantile_as_often_as_it_says() {
        let mut draws = Seed(7).stream("coverage");
        let (low, high) = ranks(200, 0.9);
        let covered = (0..2_000).filter(|_| {
            let mut sample: Vec<f64> = (0..200).map(|_| draws.unit()).collect();
            sample.sort_by(f64::total_cmp);
            sample[low as usize - 1] <= 0.9 && 0.9 <= sample[high as usize - 1]
        });
        let share = covered.count() as f64 / 2_000.0;
        assert!((0.94..0.985).contains(&share), "{share}");
    }
}
