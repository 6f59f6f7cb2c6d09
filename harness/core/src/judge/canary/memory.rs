//! `memory`: an absolute bound on what any replica of the canary holds. A reading over it is a fact, so one is enough; it is
//! kept when there are readings and none is over.

use super::{
    Estimate, Metric, MetricKind, Standing,
    config::Config,
    pair::{Half, Pair},
};
use crate::judge::show;

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "memory",
    make: |config: &Config| {
        let at_most = config.memory?;
        let name = format!("memory <= {}", show::bytes(at_most as f64));
        Some(Box::new(Memory { name, at_most, canary: Held::default(), stable: Held::default() })
            as Box<dyn Metric>)
    },
};

/// Seconds of a step with a reading before it is said to be kept.
const LEAST_READINGS: u64 = 10;

struct Memory {
    name: String,
    at_most: u64,
    canary: Held,
    stable: Held,
}

/// What one arm held in a step.
#[derive(Default)]
struct Held {
    most: Option<u64>,
    readings: u64,
}

impl Held {
    fn see(&mut self, half: &Half) {
        self.most = self.most.max(half.memory);
        self.readings += u64::from(half.memory.is_some());
    }
}

impl Metric for Memory {
    fn learn(&mut self, _: &Pair) {}

    fn compares(&self) -> bool {
        false
    }

    fn begin(&mut self) {}

    fn step(&mut self) {
        (self.canary, self.stable) = (Held::default(), Held::default());
    }

    fn see(&mut self, pair: &Pair) {
        self.canary.see(&pair.canary);
        self.stable.see(&pair.stable);
    }

    fn worse(&self) -> Option<&str> {
        self.canary.most.is_some_and(|most| most > self.at_most).then_some(self.name.as_str())
    }

    fn estimates(&self) -> Vec<Estimate> {
        let (standing, word) = if self.worse().is_some() {
            (Standing::Worse, "broken")
        } else if self.canary.readings < LEAST_READINGS {
            (Standing::TooLittle, "too little evidence")
        } else {
            (Standing::Harmless, "kept")
        };
        let shown =
            |held: &Held| held.most.map_or_else(|| "unknown".to_owned(), |most| show::bytes(most as f64));
        let reason = format!(
            "{word}: at most {} of any replica against {} of the other arm (allowed {}); {} seconds with a reading",
            shown(&self.canary),
            shown(&self.stable),
            show::bytes(self.at_most as f64),
            self.canary.readings,
        );
        let samples = (self.canary.readings, self.stable.readings);
        vec![Estimate { standing, samples, reason, ..Estimate::none(&self.name) }]
    }
}
