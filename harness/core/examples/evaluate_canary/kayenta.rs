//! Kayenta's judge as its source has it (NetflixACAJudge, MannWhitneyClassifier): points of 30 s for each metric and
//! arm; a 98 % confidence interval of the Mann-Whitney shift; "high" when its lower end is above a quarter of the
//! Hodges-Lehmann estimate. Spinnaker's guide asks for 50 points at least; 30 minutes have 60. Only "high" counts here.
//! R's `wilcox.test`, which it follows, takes the normal approximation from 50 points on.

use gauntlet_core::{
    judge::canary::{Arm, ArmSecond},
    stats::ladder::{Ladder, bucket},
};

const POINT_SECONDS: u64 = 30;
const LOOK_SECONDS: u64 = 60;
const LEAST_POINTS: usize = 50;
const TOLERANCE: f64 = 0.25;
/// The 99th percentile of the normal distribution: both sides of 98 %.
const Z: f64 = 2.326_347_874_040_841;
pub(crate) const METRICS: [&str; 4] = ["errors", "p50", "p95", "p99"];

#[derive(Default)]
struct Point {
    sent: u64,
    errors: u64,
    latencies: Ladder,
}

/// The judge.
#[derive(Default)]
pub(crate) struct Kayenta {
    open: [Point; 2],
    seconds: u64,
    /// By metric, by arm (canary first).
    series: [[Vec<f64>; 2]; 4],
}

impl Kayenta {
    pub(crate) fn see(&mut self, arms: &[ArmSecond]) {
        for second in arms {
            let point = &mut self.open[usize::from(second.arm == Arm::Stable)];
            point.sent += second.sent;
            point.errors += second.errors;
            second.latencies.iter().for_each(|(us, count)| point.latencies.add(bucket(*us), *count));
        }
        self.seconds += 1;
        if self.seconds.is_multiple_of(POINT_SECONDS) {
            for (arm, point) in std::mem::take(&mut self.open).into_iter().enumerate() {
                let of = |q: f64| point.latencies.quantile(q).unwrap_or(0.0);
                let values = [point.errors as f64 / point.sent.max(1) as f64, of(0.5), of(0.95), of(0.99)];
                self.series.iter_mut().zip(values).for_each(|(series, value)| series[arm].push(value));
            }
        }
    }

    /// Which metrics are high.
    pub(crate) fn high(&self) -> [bool; 4] {
        self.series.each_ref().map(|[canary, stable]| is_high(canary, stable))
    }

    /// Whether there are as many points as the guide asks for.
    pub(crate) fn is_ready(&self) -> bool {
        self.series[0][0].len() >= LEAST_POINTS
    }

    /// Whether a minute is over.
    pub(crate) fn is_due(&self) -> bool {
        self.seconds.is_multiple_of(LOOK_SECONDS)
    }

    pub(crate) fn points(&self) -> usize {
        self.series[0][0].len()
    }
}

fn is_high(canary: &[f64], stable: &[f64]) -> bool {
    let (m, n) = (canary.len() as f64, stable.len() as f64);
    let mut shifts: Vec<f64> = canary.iter().flat_map(|a| stable.iter().map(move |b| a - b)).collect();
    if shifts.is_empty() {
        return false;
    }
    let (low, middle) = (m * n / 2.0 - Z * (m * n * (m + n + 1.0) / 12.0).sqrt() - 0.5, shifts.len() / 2);
    if low < 0.0 {
        return false;
    }
    let estimate = *shifts.select_nth_unstable_by(middle, f64::total_cmp).1;
    let lower = *shifts.select_nth_unstable_by(low as usize, f64::total_cmp).1;
    lower > TOLERANCE * estimate.abs()
}
