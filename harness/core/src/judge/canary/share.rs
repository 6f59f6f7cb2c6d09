//! What the metrics that count bad requests, or bad records, have in common: one test, effects as differences of shares.

use super::{
    Estimate, Metric, Standing,
    config::{Config, Effect},
    pair::{Before, Both, Half, Pair},
    say,
    test::Test,
};
use crate::stats::{sequence, split::Counted};

/// A share of requests, or of records.
pub(super) struct Share {
    name: &'static str,
    pick: fn(&Half) -> Counted,
    effect: Effect,
    config: Config,
    baseline: Vec<Before>,
    test: Option<Test>,
}

impl Share {
    /// One of that name, where an effect on it is asked for.
    pub(super) fn metric(
        name: &'static str,
        effect: Option<Effect>,
        pick: fn(&Half) -> Counted,
        config: &Config,
    ) -> Option<Box<dyn Metric>> {
        let effect = effect?;
        Some(Box::new(Self { name, pick, effect, config: config.clone(), baseline: Vec::new(), test: None }))
    }

    fn count(&self, pair: &Pair) -> Both {
        pair.counted(self.pick)
    }

    /// The stratified difference over the whole rollout, when it is significant and large enough to matter.
    fn excess(test: &Test, smallest: f64) -> Option<f64> {
        test.split().excess().filter(|excess| test.refuted() && *excess >= smallest)
    }
}

impl Metric for Share {
    fn learn(&mut self, pair: &Pair) {
        self.baseline.push(pair.before(self.pick));
    }

    fn begin(&mut self) {
        self.test = Some(Test::new(self.config.alpha_each(), self.config.least, &self.baseline));
    }

    fn step(&mut self) {
        self.test.iter_mut().for_each(Test::step);
    }

    fn see(&mut self, pair: &Pair) {
        let count = self.count(pair);
        self.test.iter_mut().for_each(|test| test.see(count));
    }

    fn worse(&self) -> Option<&str> {
        let test = self.test.as_ref()?;
        Self::excess(test, self.effect.smallest).map(|_| self.name)
    }

    fn estimates(&self) -> Vec<Estimate> {
        let Some(test) = &self.test else { return vec![Estimate::none(self.name)] };
        let Both { canary, stable } = test.counts();
        let bound = |of: Counted| sequence::share(of.events, of.of, test.alpha() / 2.0, test.dispersion());
        let (new, old) = (bound(canary), bound(stable));
        let interval = (new.0 - old.1, new.1 - old.0);
        let standing = if Self::excess(test, self.effect.smallest).is_some() {
            Standing::Worse
        } else if !test.enough() {
            Standing::TooLittle
        } else if interval.1 < self.effect.harm {
            Standing::Harmless
        } else {
            Standing::Open
        };
        let mut estimate = Estimate {
            canary: rate(canary),
            stable: rate(stable),
            effect: test.split().excess(),
            interval,
            standing,
            ..Estimate::of(self.name, test)
        };
        estimate.reason = say::share(&estimate, self.effect);
        vec![estimate]
    }
}

fn rate(of: Counted) -> Option<f64> {
    (of.of > 0).then(|| of.events as f64 / of.of as f64)
}
