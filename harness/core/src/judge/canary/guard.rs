//! `guard`: absolute objectives of the canary, whatever the other arm does. One is broken when a confidence sequence of
//! the share of requests that miss it lies above the share that may; it holds when the share itself does not.

use super::{
    Estimate, Metric, MetricKind, Standing,
    config::{Config, Guard},
    pair::{Both, Half, Pair},
    say,
    test::Test,
};
use crate::stats::{ladder::bucket, sequence, split::Counted};

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "guard",
    make: |config| {
        let rails = Rails { config: config.clone(), baseline: Vec::new(), tests: Vec::new() };
        (!config.guards.is_empty()).then(|| Box::new(rails) as Box<dyn Metric>)
    },
};

struct Rails {
    config: Config,
    baseline: Vec<Pair>,
    tests: Vec<(Guard, String, Test)>,
}

impl Metric for Rails {
    fn learn(&mut self, pair: &Pair) {
        self.baseline.push(pair.clone());
    }

    fn compares(&self) -> bool {
        false
    }

    fn begin(&mut self) {
        let test = |guard: &Guard| {
            // It compares with nobody, so what troubles all replicas alike is trouble.
            let seen: Vec<_> = self.baseline.iter().map(|pair| count(pair, *guard).into()).collect();
            (*guard, say::guard(*guard), Test::new(self.config.alpha_each_step(), self.config.least, &seen))
        };
        self.tests = self.config.guards.iter().map(test).collect();
        self.baseline = Vec::new();
    }

    fn step(&mut self) {
        self.tests.iter_mut().for_each(|(_, _, test)| test.step());
    }

    fn see(&mut self, pair: &Pair) {
        self.tests.iter_mut().for_each(|(guard, _, test)| test.see(count(pair, *guard)));
    }

    fn worse(&self) -> Option<&str> {
        let broken = self.tests.iter().find(|(guard, _, test)| is_broken(test, allowed(*guard)));
        broken.map(|(_, name, _)| name.as_str())
    }

    fn estimates(&self) -> Vec<Estimate> {
        self.tests.iter().map(|(guard, name, test)| estimate(*guard, name, test)).collect()
    }
}

/// Requests that miss it. One without a right answer counts as infinitely slow.
fn count(pair: &Pair, guard: Guard) -> Both {
    pair.counted(|half: &Half| {
        let events = match guard {
            Guard::Errors { .. } => half.errors,
            Guard::Latency { at_most_us, .. } => half.errors + half.wrong + half.above(bucket(at_most_us)),
        };
        Counted { events, of: half.sent }
    })
}

/// The share of requests that may miss it.
fn allowed(guard: Guard) -> f64 {
    match guard {
        Guard::Errors { at_most } => at_most,
        Guard::Latency { quantile, .. } => 1.0 - quantile,
    }
}

fn interval(test: &Test, allowed: f64) -> (f64, f64) {
    let Counted { events, of } = test.counts().canary;
    sequence::share(events, of, test.alpha(), test.dispersion_at(allowed))
}

fn exceeds(of: Counted, allowed: f64) -> bool {
    of.events as f64 > allowed * of.of as f64
}

fn is_broken(test: &Test, allowed: f64) -> bool {
    let canary = test.counts().canary;
    // The interval costs more than the share: it is asked only where the share is over already.
    canary.of >= test.least().requests && exceeds(canary, allowed) && interval(test, allowed).0 > allowed
}

fn estimate(guard: Guard, name: &str, test: &Test) -> Estimate {
    let Both { canary, stable } = test.counts();
    let share = |of: Counted| (of.of > 0).then(|| of.events as f64 / of.of as f64);
    let standing = if is_broken(test, allowed(guard)) {
        Standing::Worse
    } else if canary.of < test.least().requests {
        Standing::TooLittle
    } else if exceeds(canary, allowed(guard)) {
        Standing::Open
    } else {
        Standing::Harmless
    };
    let mut estimate = Estimate {
        canary: share(canary),
        stable: share(stable),
        effect: share(canary),
        interval: interval(test, allowed(guard)),
        standing,
        ..Estimate::of(name, test)
    };
    estimate.reason = say::kept(&estimate, allowed(guard));
    estimate
}
