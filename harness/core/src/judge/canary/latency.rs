//! `p50`, `p95`, `p99`: latency of right answers.
//!
//! Each quantile is judged as a counted event: answers slower than the baseline phase's own quantile. Together they are
//! a test of stochastic order at these points, so a tail or a spread is seen where the median stands still. The
//! thresholds are fixed before the canary; what slows both arms alike falls on both sides of the split. The estimate is
//! the ratio of the arms' quantiles within the step, with a confidence sequence for each.

use super::{
    Estimate, Metric, MetricKind, Standing,
    config::{Config, Quantile},
    pair::{Both, Half, Pair},
    say,
    test::Test,
};
use crate::stats::{
    ladder::{Ladder, edges},
    sequence,
    split::Counted,
};

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "latency",
    make: |config| {
        let any = !config.latency.is_empty();
        any.then(|| Box::new(Latency::new(config)) as Box<dyn Metric>)
    },
};

struct Latency {
    config: Config,
    baseline: Vec<Pair>,
    tests: Vec<Of>,
    /// The canary's and the other's answers of the present step.
    step: [Ladder; 2],
}

/// One quantile.
struct Of {
    name: String,
    quantile: Quantile,
    /// The bucket of the baseline's quantile.
    threshold: u16,
    test: Test,
}

impl Latency {
    fn new(config: &Config) -> Self {
        Self { config: config.clone(), baseline: Vec::new(), tests: Vec::new(), step: Default::default() }
    }

    fn test(&self, quantile: Quantile, threshold: u16) -> Of {
        let counts: Vec<_> =
            self.baseline.iter().map(|pair| pair.before(|half| slow(half, threshold))).collect();
        let test = Test::new(self.config.alpha_each(), self.config.least, &counts);
        Of { name: name(quantile), quantile, threshold, test }
    }

    fn ratio(&self, of: &Of) -> Option<f64> {
        let [canary, stable] = &self.step;
        let q = of.quantile.quantile;
        Some(canary.quantile(q)? / stable.quantile(q)?.max(1.0))
    }

    fn is_worse(&self, of: &Of) -> bool {
        of.test.refuted() && self.ratio(of).is_some_and(|ratio| ratio >= of.quantile.smallest)
    }

    fn estimate(&self, of: &Of) -> Estimate {
        let q = of.quantile.quantile;
        let [new, old] = self.step.each_ref().map(|ladder| bounds(ladder, q, &of.test));
        let interval = (new.0 / old.1, if old.0 > 0.0 { new.1 / old.0 } else { f64::INFINITY });
        let standing = if self.is_worse(of) {
            Standing::Worse
        } else if !of.test.enough() {
            Standing::TooLittle
        } else if interval.1 < of.quantile.harm {
            Standing::Harmless
        } else {
            Standing::Open
        };
        let mut estimate = Estimate {
            canary: self.step[0].quantile(q),
            stable: self.step[1].quantile(q),
            effect: self.ratio(of),
            interval,
            standing,
            ..Estimate::of(&of.name, &of.test)
        };
        estimate.reason = say::latency(&estimate, of.quantile);
        estimate
    }
}

impl Metric for Latency {
    fn learn(&mut self, pair: &Pair) {
        self.baseline.push(pair.clone());
    }

    fn begin(&mut self) {
        let mut before = Ladder::default();
        for pair in &self.baseline {
            pair.canary.pour(&mut before);
            pair.stable.pour(&mut before);
        }
        let threshold = |of: &Quantile| Some((*of, before.bucket_at(of.quantile)?));
        let known: Vec<_> = self.config.latency.iter().filter_map(threshold).collect();
        self.tests = known.into_iter().map(|(of, threshold)| self.test(of, threshold)).collect();
        self.baseline = Vec::new();
    }

    fn step(&mut self) {
        self.step = Default::default();
        self.tests.iter_mut().for_each(|of| of.test.step());
    }

    fn see(&mut self, pair: &Pair) {
        pair.canary.pour(&mut self.step[0]);
        pair.stable.pour(&mut self.step[1]);
        self.tests.iter_mut().for_each(|of| of.test.see(count(pair, of.threshold)));
    }

    fn worse(&self) -> Option<&str> {
        self.tests.iter().find(|of| self.is_worse(of)).map(|of| of.name.as_str())
    }

    fn estimates(&self) -> Vec<Estimate> {
        if self.tests.is_empty() {
            return self.config.latency.iter().map(|of| Estimate::none(&name(*of))).collect();
        }
        self.tests.iter().map(|of| self.estimate(of)).collect()
    }
}

/// `p95`, `p99.9`.
fn name(of: Quantile) -> String {
    crate::judge::show::quantile(of.quantile)
}

fn count(pair: &Pair, threshold: u16) -> Both {
    pair.counted(|half| slow(half, threshold))
}

fn slow(half: &Half, threshold: u16) -> Counted {
    Counted { events: half.above(threshold), of: half.right() }
}

/// The values between which the true quantile lies; from 0 and to infinity where the sample does not bound it.
fn bounds(ladder: &Ladder, quantile: f64, test: &Test) -> (f64, f64) {
    let (low, high) =
        sequence::ranks(ladder.count(), quantile, test.alpha() / 2.0, test.dispersion_at(1.0 - quantile));
    // A value is known to its bucket only, so the bounds are the bucket's edges.
    let at = |share: f64| ladder.bucket_at(share).map(edges);
    (
        if low > 0.0 { at(low).map_or(0.0, |(edge, _)| edge) } else { 0.0 },
        if high < 1.0 { at(high).map_or(f64::INFINITY, |(_, edge)| edge) } else { f64::INFINITY },
    )
}
