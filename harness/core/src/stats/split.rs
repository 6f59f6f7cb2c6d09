//! A counted event in two arms: an e-process on how the events split between them, and a confidence sequence for the
//! ratio of their rates. Both hold at every look (Ville 1939; Robbins 1970; Ramdas et al. 2023).
//!
//! Given how many events a batch has, each falls into the canary with probability `s` (its share of the batch's
//! requests) when the arms are alike, and `r s / (1 + s (r - 1))` when its rate is `r` times the other's. The
//! likelihood ratio of `r` against 1 is therefore `r^x / (1 + s (r - 1))^n` for `x` of `n` events; the e-process is its
//! mixture over `r`. What moves the rate of both arms alike drops out, a share that changes between steps is no trouble,
//! and a stable arm without events is none either. With a constant share this is a beta-binomial mixture whose prior is
//! put on a fixed grid of ratios instead; a finite mixture is exact, too.
//!
//! Dependence: with a dispersion `f` (how many times the binomial variance the split of a long batch has, never below
//! 1) the logarithm of every likelihood ratio is divided by `f`, as if `f` events that come together were one.

use std::sync::LazyLock;

/// What one arm did in one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Events.
    pub events: u64,
    /// Requests that could have been one.
    pub of: u64,
}

/// The e-process of one counted event.
#[derive(Debug, Clone)]
pub struct Split {
    dispersion: f64,
    /// The logarithm of the most by which one batch may multiply the evidence.
    most: f64,
    /// The logarithm of the likelihood ratio of each point of the grid against a ratio of 1.
    log: Vec<f64>,
    /// The same in total after every batch's was limited, divided by the dispersion: what the evidence is made of.
    limited: Vec<f64>,
    batches: u64,
    /// Mantel-Haenszel sums over batches: an estimate that no change of the share between batches can bend.
    canary: f64,
    stable: f64,
    both: f64,
}

/// One ratio of the grid.
struct Point {
    log: f64,
    less_one: f64,
    /// The logarithm of its weight among the ratios on its side of 1.
    weight: f64,
}

/// The finest steps of the grid: up to `NEAR` it tells ratios apart by 5 %, beyond by 28 %.
const FINE: f64 = 0.05;
const NEAR: f64 = 1.5;
const COARSE: f64 = 0.25;
const FAR: f64 = 7.0;
/// The logarithm of the weight of a ratio of exactly 1, against 0 for all ratios on one side. Only the interval has it.
const EVEN: f64 = -0.5;

static GRID: LazyLock<Vec<Point>> = LazyLock::new(grid);

fn grid() -> Vec<Point> {
    let fine = (1..=(NEAR / FINE).round() as u32).map(|k| (f64::from(k) * FINE, FINE));
    let steps = ((FAR - NEAR) / COARSE).round() as u32;
    let coarse = (1..=steps).map(|k| (NEAR + f64::from(k) * COARSE, COARSE));
    let half: Vec<(f64, f64)> = fine.chain(coarse).map(|(log, width)| (log, prior(log) * width)).collect();
    let total: f64 = half.iter().map(|(_, weight)| weight).sum();
    let point = |log: f64, weight: f64| Point { log, less_one: log.exp_m1(), weight };
    let below = half.iter().rev().map(|(log, weight)| point(-log, (weight / total).ln()));
    let above = half.iter().map(|(log, weight)| point(*log, (weight / total).ln()));
    below.chain(std::iter::once(point(0.0, EVEN))).chain(above).collect()
}

/// Where ratios are expected: most within a factor of four, some far beyond, for a stable arm without events.
fn prior(log: f64) -> f64 {
    const SPREAD: f64 = 0.7;
    let near = (-0.5 * (log / SPREAD).powi(2)).exp() / (SPREAD * 1.2533);
    0.9 * near + 0.1 * (-log / 3.0).exp() / 3.0
}

fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        most
    } else {
        most + terms.map(|term| (term - most).exp()).sum::<f64>().ln()
    }
}

impl Split {
    /// Without any evidence.
    pub fn new(dispersion: f64) -> Self {
        let none = vec![0.0; GRID.len()];
        Self {
            dispersion: dispersion.max(1.0),
            most: f64::INFINITY,
            log: none.clone(),
            limited: none,
            batches: 0,
            canary: 0.0,
            stable: 0.0,
            both: 0.0,
        }
    }

    /// Lets no batch multiply the evidence by more than the exponential of this: a single burst, of a kind that nothing
    /// before has shown, is then no proof. A smaller bet on the same outcome is as valid as the whole one.
    pub fn limited(self, most: f64) -> Self {
        Self { most, ..self }
    }

    /// Takes one batch. Where an arm had no requests there is nothing to compare.
    pub fn see(&mut self, canary: Counted, stable: Counted) {
        let of = (canary.of + stable.of) as f64;
        if canary.of == 0 || stable.of == 0 {
            return;
        }
        let share = canary.of as f64 / of;
        let (x, n) = (canary.events as f64, (canary.events + stable.events) as f64);
        self.canary += x * (1.0 - share);
        self.stable += (n - x) * share;
        self.both += canary.of as f64 * (1.0 - share);
        self.batches += u64::from(canary.events > 0);
        if n > 0.0 {
            for ((log, limited), point) in self.log.iter_mut().zip(&mut self.limited).zip(GRID.iter()) {
                let batch = x * point.log - n * (share * point.less_one).ln_1p();
                *log += batch;
                *limited += (batch / self.dispersion).min(self.most);
            }
        }
    }

    /// The logarithm of the e-value against "the canary's rate is not above the other's"; 0 without evidence. At or
    /// above `ln(1 / alpha)` at any look, the claim is refuted at level alpha.
    pub fn log_evidence(&self) -> f64 {
        let terms = self.limited.iter().zip(GRID.iter()).filter(|(_, point)| point.log > 0.0);
        log_sum(terms.map(|(log, point)| point.weight + log))
    }

    /// The ratios that are not refuted, at every look with probability `1 - alpha`; rounded outwards to the grid, and 0
    /// or infinite beyond it.
    pub fn ratio_interval(&self, alpha: f64) -> (f64, f64) {
        let terms = self.log.iter().zip(GRID.iter());
        let mixture =
            log_sum(terms.map(|(log, point)| point.weight + log / self.dispersion)) - (2.0 + EVEN.exp()).ln();
        let least = mixture + alpha.ln();
        let stands = |log: &f64| log / self.dispersion > least;
        let low = self.log.iter().position(stands).and_then(|at| at.checked_sub(1));
        let high = self.log.iter().rposition(stands).map(|at| at + 1);
        let of = |at: Option<usize>| at.and_then(|at| GRID.get(at)).map(|point| point.log.exp());
        (of(low).unwrap_or(0.0), of(high).unwrap_or(f64::INFINITY))
    }

    /// The estimated ratio of the rates; none without events.
    pub fn ratio(&self) -> Option<f64> {
        (self.canary + self.stable > 0.0).then(|| self.canary / self.stable)
    }

    /// The estimated difference of the rates; none without requests in both arms.
    pub fn excess(&self) -> Option<f64> {
        (self.both > 0.0).then(|| (self.canary - self.stable) / self.both)
    }

    /// How many batches had an event in the canary.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// How many times the binomial variance is assumed.
    pub fn dispersion(&self) -> f64 {
        self.dispersion
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Counted, Split};
    use crate::seed::{Draws, Seed};

    fn binomial(draws: &mut Draws, of: u64, share: f64) -> u64 {
        (0..of).filter(|_| draws.unit() <= share).count() as u64
    }

    fn arm(draws: &mut Draws, of: u64, share: f64) -> Counted {
        Counted { events: binomial(draws, of, share), of }
    }

    #[test]
    fn arms_that_are_alike_are_refuted_no_more_often_than_stated_at_any_look() {
        let mut draws = Seed(3).stream("ville");
        let alarmed = (0..1_000).filter(|_| {
            let mut split = Split::new(1.0);
            (0..300).any(|_| {
                split.see(arm(&mut draws, 20, 0.05), arm(&mut draws, 60, 0.05));
                split.log_evidence() >= 20f64.ln()
            })
        });
        let alarmed = alarmed.count();
        assert!(alarmed <= 60, "{alarmed} of 1000"); // 50 expected at most; 60 is 1.5 standard deviations above
        assert!(alarmed > 0, "a test that never alarms shows nothing");
    }

    #[test]
    fn the_true_ratio_stays_in_the_interval_at_every_look() {
        let mut draws = Seed(4).stream("coverage");
        let left = (0..300).filter(|_| {
            let mut split = Split::new(1.0);
            (0..200).any(|_| {
                split.see(arm(&mut draws, 20, 0.2), arm(&mut draws, 60, 0.1));
                let (low, high) = split.ratio_interval(0.05);
                // Odds and rates differ when events are frequent: given the total, 2 is a little less here.
                !(low <= 2.0 && 1.9 <= high)
            })
        });
        assert!(left.count() <= 20);
    }

    #[test]
    fn errors_are_seen_where_the_other_arm_has_none() {
        let mut split = Split::new(1.0);
        (0..6).for_each(|_| split.see(Counted { events: 1, of: 100 }, Counted { events: 0, of: 900 }));
        assert!(split.log_evidence() > 100f64.ln(), "{}", split.log_evidence());
        let (low, high) = split.ratio_interval(0.05);
        assert!(low > 2.0 && high.is_infinite(), "{low} {high}");
        assert_eq!((split.ratio(), split.excess()), (Some(f64::INFINITY), Some(0.01)));
    }

    #[test]
    fn no_evidence_says_nothing() {
        let mut split = Split::new(1.0);
        split.see(Counted { events: 5, of: 100 }, Counted::default());
        split.see(Counted::default(), Counted { events: 5, of: 100 });
        split.see(Counted { events: 0, of: 100 }, Counted { events: 0, of: 100 });
        assert!(split.log_evidence().abs() < 1e-9);
        assert_eq!((split.ratio(), split.ratio_interval(0.05)), (None, (0.0, f64::INFINITY)));
    }

    #[test]
    fn a_change_of_the_share_between_steps_bends_no_estimate() {
        let mut split = Split::new(1.0);
        split.see(Counted { events: 50, of: 1_000 }, Counted { events: 950, of: 19_000 });
        split.see(Counted { events: 50, of: 5_000 }, Counted { events: 150, of: 15_000 });
        assert!((split.ratio().unwrap() - 1.0).abs() < 1e-12 && split.excess().unwrap().abs() < 1e-12);
        assert!(split.log_evidence() < 0.0);
    }

    #[test]
    fn two_million_events_leave_the_arithmetic_sound() {
        let mut split = Split::new(1.0);
        (0..2_000)
            .for_each(|_| split.see(Counted { events: 100, of: 1_000 }, Counted { events: 900, of: 9_000 }));
        let evidence = split.log_evidence();
        assert!(evidence.is_finite() && evidence < 0.0, "{evidence}");
        let (low, high) = split.ratio_interval(0.05);
        assert!((0.94..1.0).contains(&low) && (1.0..1.06).contains(&high), "{low} {high}");
        (0..200)
            .for_each(|_| split.see(Counted { events: 200, of: 1_000 }, Counted { events: 900, of: 9_000 }));
        assert!(split.log_evidence() > 20f64.ln());
    }

    proptest! {
        #[test]
        fn one_more_event_in_the_canary_never_lowers_the_evidence(
            x in 0u64..40, y in 0u64..200, of in 50u64..500, f in 1.0f64..20.0,
        ) {
            let of_split = |events| {
                let mut split = Split::new(f);
                split.see(Counted { events, of: of + 50 }, Counted { events: y, of: 900 });
                split.log_evidence()
            };
            prop_assert!(of_split(x + 1) >= of_split(x));
        }

        #[test]
        fn more_dispersion_never_widens_the_claim(x in 1u64..40, y in 0u64..60, f in 1.0f64..20.0) {
            let split = |f| {
                let mut split = Split::new(f);
                split.see(Counted { events: x, of: 500 }, Counted { events: y, of: 900 });
                split
            };
            let (sure, unsure) = (split(1.0).ratio_interval(0.05), split(f).ratio_interval(0.05));
            prop_assert!(unsure.0 <= sure.0 && sure.1 <= unsure.1);
        }
    }
}
