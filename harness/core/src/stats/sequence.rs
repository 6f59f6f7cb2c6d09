//! Confidence sequences for a share and for a quantile: intervals that hold at every look at once.
//!
//! The beta-binomial mixture (Robbins 1970): for every share `p`, `B(a + k, b + n - k) / B(a, b) / p^k (1 - p)^(n - k)` is
//! a martingale that starts at 1 when events come with probability `p`; the shares at which it stays below `1 / alpha`
//! form the interval. How many values lie at or below the true quantile is such a count, which bounds its rank: Howard
//! and Ramdas (2022), "Sequential estimation of quantiles with applications to A/B testing and best-arm identification".
//!
//! A dispersion above 1 divides all counts, as in `split`.

/// The prior of a share that nothing is known of (Krichevsky and Trofimov 1981).
const VAGUE: (f64, f64) = (0.5, 0.5);
/// How many values the prior of a rank is worth: tightest between about 1,000 and 100,000 values.
const WORTH: f64 = 200.0;
const HALVINGS: usize = 50;

/// The logarithm of the gamma function for positive numbers: Stirling's series after steps up to 10.
fn ln_gamma(mut x: f64) -> f64 {
    let mut steps = 1.0;
    while x < 10.0 {
        steps *= x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - steps.ln()
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// `k ln p`, which is 0 for no events of an impossible kind.
fn times_ln(k: f64, p: f64) -> f64 {
    if k == 0.0 { 0.0 } else { k * p.ln() }
}

/// The logarithm of the e-value of `k` of `n` against the share `p`.
fn log_e(k: f64, n: f64, p: f64, (a, b): (f64, f64)) -> f64 {
    ln_beta(a + k, b + n - k) - ln_beta(a, b) - times_ln(k, p) - times_ln(n - k, 1.0 - p)
}

/// Where a statement turns from true (at `holds`) to false (at `fails`), on the side where it is false.
fn turn(mut holds: f64, mut fails: f64, statement: impl Fn(f64) -> bool) -> f64 {
    if statement(fails) {
        return fails;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(holds, fails);
        if statement(middle) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    fails
}

/// The shares that `hits` of `count` do not refute; everything from 0 to 1 without a sample.
pub fn share(hits: u64, count: u64, alpha: f64, dispersion: f64) -> (f64, f64) {
    if count == 0 {
        return (0.0, 1.0);
    }
    let (k, n) = (hits as f64 / dispersion, count as f64 / dispersion);
    let centre = hits as f64 / count as f64;
    let stands = |p: f64| log_e(k, n, p, VAGUE) < -alpha.ln();
    (turn(centre, 0.0, stands), turn(centre, 1.0, stands))
}

/// The shares of the sample between which the true quantile lies: its bounds are the sample's quantiles at these. A
/// lower share of 0 and an upper one of 1 mean: not bounded on that side.
pub fn ranks(count: u64, quantile: f64, alpha: f64, dispersion: f64) -> (f64, f64) {
    if count == 0 || quantile <= 0.0 || quantile >= 1.0 {
        return (0.0, 1.0);
    }
    let n = count as f64 / dispersion;
    // At least the vague prior on the rarer side: a quantile near 0 or 1 keeps a proper one.
    let prior = ((quantile * WORTH).max(VAGUE.0), ((1.0 - quantile) * WORTH).max(VAGUE.1));
    let stands = |share: f64| log_e(share * n, n, quantile, prior) < -alpha.ln();
    (turn(quantile, 0.0, stands), turn(quantile, 1.0, stands))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ln_gamma, ranks, share};
    use crate::seed::Seed;

    #[test]
    fn the_gamma_function_matches_known_values() {
        for (x, known) in
            [(1.0, 0.0), (0.5, 0.572_364_942_924_700_1), (5.0, 24f64.ln()), (11.0, 3_628_800f64.ln())]
        {
            assert!((ln_gamma(x) - known).abs() < 1e-10, "{x}: {}", ln_gamma(x));
        }
        let large = ln_gamma(1e6 + 1.0) - ln_gamma(1e6);
        assert!((large - 1e6f64.ln()).abs() < 1e-8, "{large}");
    }

    #[test]
    fn the_true_share_stays_in_the_interval_at_every_look() {
        let mut draws = Seed(5).stream("share");
        let left = (0..400).filter(|_| {
            let mut hits = 0;
            (1..=400).any(|count| {
                hits += u64::from(draws.unit() <= 0.1);
                let (low, high) = share(hits, count, 0.05, 1.0);
                !(low..=high).contains(&0.1)
            })
        });
        let left = left.count();
        assert!(left <= 28, "{left} of 400"); // 20 expected at most; 28 is 1.8 standard deviations above
    }

    #[test]
    fn the_rank_of_the_true_quantile_stays_in_the_interval_at_every_look() {
        let mut draws = Seed(6).stream("rank");
        let left = (0..400).filter(|_| {
            let mut below = 0.0;
            (1..=400).any(|count| {
                below += f64::from(u8::from(draws.unit() <= 0.9));
                let (low, high) = ranks(count, 0.9, 0.05, 1.0);
                !(low..=high).contains(&(below / count as f64))
            })
        });
        let left = left.count();
        assert!(left <= 28, "{left} of 400");
    }

    #[test]
    fn a_small_sample_does_not_bound_a_tail() {
        assert_eq!(ranks(0, 0.99, 0.05, 1.0), (0.0, 1.0));
        let (low, high) = ranks(50, 0.99, 0.05, 1.0);
        assert!(low > 0.5 && high >= 1.0, "{low} {high}");
        assert_eq!(share(0, 0, 0.05, 1.0), (0.0, 1.0));
    }

    #[test]
    fn no_event_in_many_requests_bounds_the_share_from_above() {
        let (low, high) = share(0, 10_000, 0.05, 1.0);
        assert!(low <= 0.0 && high < 0.001, "{low} {high}");
        let (low, high) = share(2_000_000, 2_000_000, 0.05, 1.0);
        assert!(low > 0.999_99 && high >= 1.0, "{low} {high}");
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_estimate_and_narrows_with_the_sample(
            hits in 0u64..50, more in 0u64..500, f in 1.0f64..30.0,
        ) {
            let count = hits + more + 1;
            let (low, high) = share(hits, count, 0.01, f);
            let centre = hits as f64 / count as f64;
            prop_assert!(low <= centre && centre <= high);
            let (lower, higher) = share(hits * 20, count * 20, 0.01, f);
            prop_assert!(higher - lower <= high - low + 1e-9);
            let (tight_low, tight_high) = share(hits, count, 0.01, 1.0);
            prop_assert!(low <= tight_low + 1e-9 && tight_high <= high + 1e-9);
        }
    }
}
