//! What the judge knows of one metric.

use serde::{Deserialize, Serialize};

use super::test::Test;

/// One metric: effect, interval, samples, and what they mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// `errors`, `p95`, a guard.
    pub metric: String,
    /// The canary's share, or its quantile in microseconds, in the present step; none without requests.
    pub canary: Option<f64>,
    /// The same of the other arm.
    pub stable: Option<f64>,
    /// Shares: the difference over the whole rollout, by the steps' weights. Quantiles: the ratio in the present step.
    pub effect: Option<f64>,
    /// Where the effect lies in the present step, at every look with probability `1 - alpha`.
    pub interval: (f64, f64),
    /// The logarithm of the e-value against "not worse"; the test is significant at `ln(1 / alpha)`.
    pub log_evidence: f64,
    /// The part of alpha that the test may spend.
    pub alpha: f64,
    /// Requests of the canary and of the other arm in the present step.
    pub samples: (u64, u64),
    /// Events among them.
    pub events: (u64, u64),
    /// Seconds a batch, from the baseline phase.
    pub batch_seconds: usize,
    /// How many times the variance of independent events is assumed, from the baseline phase.
    pub dispersion: f64,
    /// What it means.
    pub standing: Standing,
    /// The same in words.
    pub reason: String,
}

/// What the evidence says of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Worse beyond doubt, and by enough to matter.
    Worse,
    /// An effect that would be harm is excluded.
    Harmless,
    /// Neither yet.
    Open,
    /// Nothing can be said: too few requests, or no baseline.
    TooLittle,
}

impl Estimate {
    /// Of a metric whose baseline is missing.
    pub(super) fn none(name: &str) -> Self {
        Self {
            metric: name.to_owned(),
            canary: None,
            stable: None,
            effect: None,
            interval: (f64::NEG_INFINITY, f64::INFINITY),
            log_evidence: 0.0,
            alpha: 0.0,
            samples: (0, 0),
            events: (0, 0),
            batch_seconds: 0,
            dispersion: 1.0,
            standing: Standing::TooLittle,
            reason: "the baseline phase has no such requests to compare with".into(),
        }
    }

    /// What a test knows; effect and standing are the metric's.
    pub(super) fn of(name: &str, test: &Test) -> Self {
        let counts = test.counts();
        Self {
            metric: name.to_owned(),
            log_evidence: test.log_evidence(),
            alpha: test.alpha(),
            samples: (counts.canary.of, counts.stable.of),
            events: (counts.canary.events, counts.stable.events),
            batch_seconds: test.batching().seconds,
            dispersion: test.dispersion(),
            ..Self::none(name)
        }
    }
}
