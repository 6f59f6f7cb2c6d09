//! The judge's parameters, with defaults that lie below every effect that a user would call a regression.

use serde::{Deserialize, Serialize};

use crate::judge::show;

/// What the judge is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The chance that an unchanged version is rolled back, over the whole rollout, however often one looks. Split
    /// evenly over all tests.
    pub alpha: f64,
    /// Requests without a full answer of the expected status; none: not judged.
    pub errors: Option<Effect>,
    /// Answers that are wrong although they look right; none: not judged.
    pub wrong_answers: Option<Effect>,
    /// Reads that miss a record whose write was acknowledged, by who acknowledged it; none: not judged.
    pub lost_writes: Option<Effect>,
    /// Latency of right answers, by quantile.
    pub latency: Vec<Quantile>,
    /// Absolute objectives of the canary, whatever the other arm does.
    pub guards: Vec<Guard>,
    /// The most memory that a replica of the canary may hold, in bytes; none: not judged. Spends nothing of alpha.
    pub memory: Option<u64>,
    /// What must have been seen before anything is said.
    pub least: Least,
    /// No step ends by itself before so many seconds.
    pub least_seconds: u64,
    /// A step that is still open after so many seconds is inconclusive.
    pub most_seconds: u64,
    /// The canary's part of the requests of both arms that is intended, step by step; empty: nobody knows.
    pub split: Vec<f64>,
}

/// Effects on a share, as differences: 0.001 is one request in a thousand more than in the other arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// The smallest effect of interest: less is never a reason to roll back, however significant.
    pub smallest: f64,
    /// The effect that must be excluded before the canary is promoted.
    pub harm: f64,
}

/// A quantile of latency, and effects on it as ratios: 1.1 is a tenth slower than the other arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// 0.95 for p95.
    pub quantile: f64,
    /// The smallest ratio of interest.
    pub smallest: f64,
    /// The ratio that must be excluded before the canary is promoted.
    pub harm: f64,
}

/// An absolute objective of the canary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "guard")]
pub enum Guard {
    /// The share of errors is at most this.
    Errors {
        /// 0.05 for 5 %.
        at_most: f64,
    },
    /// The quantile of latency is at most this.
    Latency {
        /// 0.95 for p95.
        quantile: f64,
        /// In microseconds.
        at_most_us: u64,
    },
}

/// The least evidence for any statement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Least {
    /// Seconds of the baseline phase, from which batches and thresholds come.
    pub baseline_seconds: usize,
    /// Requests in each arm.
    pub requests: u64,
    /// Batches before the canary is rolled back: however bad it is, no single one may add more than that part of the
    /// evidence, so a burst that the baseline phase has not shown proves nothing.
    pub batches: u32,
    /// Seconds a batch. Where the baseline phase shows longer dependence, batches are longer.
    pub batch_seconds: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            errors: Some(Effect { smallest: 0.001, harm: 0.005 }),
            wrong_answers: Some(Effect { smallest: 0.001, harm: 0.005 }),
            lost_writes: None,
            latency: vec![
                Quantile { quantile: 0.5, smallest: 1.05, harm: 1.2 },
                Quantile { quantile: 0.95, smallest: 1.05, harm: 1.2 },
                Quantile { quantile: 0.99, smallest: 1.15, harm: 1.5 },
            ],
            guards: Vec::new(),
            memory: None,
            least: Least::default(),
            least_seconds: 60,
            most_seconds: 1_800,
            split: Vec::new(),
        }
    }
}

impl Default for Least {
    fn default() -> Self {
        Self { baseline_seconds: 30, requests: 100, batches: 4, batch_seconds: 10 }
    }
}

impl Config {
    /// Among how many tests `alpha` is split.
    pub fn tests(&self) -> usize {
        let shares = [self.errors, self.wrong_answers, self.lost_writes].iter().flatten().count();
        (shares + self.latency.len() + self.guards.len()).max(1)
    }

    /// The effect on a metric, by its name, that would be harm, in words. Empty for a guard, which is its own bound.
    pub fn harm(&self, metric: &str) -> String {
        let share = |effect: Option<Effect>| effect.map(|effect| format!("+{:.3} %", effect.harm * 100.0));
        let quantile = |of: &&Quantile| metric == show::quantile(of.quantile);
        let known = match metric {
            "errors" => share(self.errors),
            "wrong-answers" => share(self.wrong_answers),
            "lost-writes" => share(self.lost_writes),
            _ => self.latency.iter().find(quantile).map(|of| format!("×{:.2}", of.harm)),
        };
        known.unwrap_or_default()
    }

    /// What each test may spend.
    pub fn alpha_each(&self) -> f64 {
        self.alpha / self.tests() as f64
    }

    /// The same for a test that begins anew in every step.
    pub fn alpha_each_step(&self) -> f64 {
        self.alpha_each() / self.split.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Guard};

    #[test]
    fn the_smallest_effects_lie_below_the_harm_that_must_be_excluded() {
        let config = Config::default();
        let shares = [config.errors, config.wrong_answers];
        assert!(shares.iter().flatten().all(|effect| effect.smallest < effect.harm));
        assert!(config.latency.iter().all(|of| 1.0 < of.smallest && of.smallest < of.harm));
    }

    #[test]
    fn alpha_is_split_over_everything_that_is_judged() {
        let mut config = Config::default();
        assert_eq!(config.tests(), 5);
        config.guards.push(Guard::Errors { at_most: 0.05 });
        config.wrong_answers = None;
        assert_eq!(config.tests(), 5);
        assert!((config.alpha_each() - 0.01).abs() < 1e-12);
        assert_eq!(config.alpha_each_step(), config.alpha_each());
        config.split = vec![0.05, 0.5];
        assert!((config.alpha_each_step() - 0.005).abs() < 1e-12);
    }

    #[test]
    fn parameters_survive_being_written_down_and_missing_ones_have_defaults() {
        let mut config = Config::default();
        config.guards.push(Guard::Latency { quantile: 0.95, at_most_us: 200_000 });
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        let some: Config = serde_json::from_str(r#"{"alpha": 0.01}"#).unwrap();
        assert_eq!(some, Config { alpha: 0.01, ..Config::default() });
        assert!(serde_json::from_str::<Config>(r#"{"alfa": 0.01}"#).is_err());
    }
}
