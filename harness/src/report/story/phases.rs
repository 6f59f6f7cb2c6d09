//! Phases: exact percentiles, corrected and raw, throughput and errors, by intended start.

use std::collections::BTreeMap;

use gauntlet_core::{
    evidence::{Class, Request},
    plan::Phase,
    stats::quantile::Ranked,
};
use serde::Serialize;

use super::Rows;

/// One phase.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseStory {
    /// Its name.
    pub name: String,
    /// When it begins.
    pub begins_s: f64,
    /// When it ends.
    pub ends_s: f64,
    /// Whether it is judged.
    pub judged: bool,
    /// Requests that were intended in it, sent or not.
    pub requests: u64,
    /// Requests a second that the schedule wanted.
    pub offered_per_s: f64,
    /// Right answers.
    pub right: u64,
    /// Right answers a second.
    pub right_per_s: f64,
    /// Share of the requests without a right answer (0..=1); none without requests.
    pub errors: Option<f64>,
    /// How many ended in each class.
    pub classes: BTreeMap<&'static str, u64>,
    /// From the intended start to the last byte, in milliseconds.
    pub latency_ms: Quantiles,
    /// From the real start: what an uncorrected generator would have reported, in milliseconds.
    pub raw_latency_ms: Quantiles,
    /// 99th percentile of how late the generator sent, in milliseconds.
    pub lag_p99_ms: Option<f64>,
}

/// Percentiles. A request without a right answer counts as endless; a percentile that falls among those is null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: Option<f64>,
    /// Nine in ten.
    pub p90: Option<f64>,
    /// 95 %.
    pub p95: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// 99.9 %.
    pub p999: Option<f64>,
    /// The longest right answer.
    pub max: Option<f64>,
}

impl Quantiles {
    /// Of finite values in microseconds and a number of endless ones.
    pub(super) fn of(finite_us: impl Iterator<Item = u64>, endless: u64) -> Self {
        let finite: Vec<u32> = finite_us.map(|us| u32::try_from(us).unwrap_or(u32::MAX)).collect();
        let max = finite.iter().max().map(|us| f64::from(*us) / 1e3);
        let ranked = Ranked::new(finite, endless);
        let ms = |quantile| ranked.quantile(quantile).filter(|us| us.is_finite()).map(|us| us / 1e3);
        Self { p50: ms(0.5), p90: ms(0.9), p95: ms(0.95), p99: ms(0.99), p999: ms(0.999), max }
    }
}

impl PhaseStory {
    pub(super) fn of(phase: &Phase, rows: &Rows<'_>) -> Self {
        let within = |row: &&Request| {
            let at = std::time::Duration::from_micros(row.intended_us);
            phase.begins <= at && at < phase.ends
        };
        let rows: Vec<&Request> = rows.load.iter().copied().filter(within).collect();
        let right: Vec<&Request> = rows.iter().copied().filter(|row| row.class == Class::Ok).collect();
        let (requests, answered) = (rows.len() as u64, right.len() as u64);
        let lasts_s = phase.ends.saturating_sub(phase.begins).as_secs_f64().max(1e-6);
        let mut classes = BTreeMap::new();
        rows.iter().for_each(|row| *classes.entry(row.class.word()).or_default() += 1);
        let sent = rows.iter().filter(|row| row.class.was_sent());
        Self {
            name: phase.name.to_string(),
            begins_s: phase.begins.as_secs_f64(),
            ends_s: phase.ends.as_secs_f64(),
            judged: phase.judged,
            requests,
            offered_per_s: requests as f64 / lasts_s,
            right: answered,
            right_per_s: answered as f64 / lasts_s,
            errors: (requests > 0).then(|| (requests - answered) as f64 / requests as f64),
            classes,
            latency_ms: Quantiles::of(right.iter().map(|row| row.latency_us()), requests - answered),
            raw_latency_ms: Quantiles::of(right.iter().map(|row| row.raw_latency_us()), requests - answered),
            lag_p99_ms: Quantiles::of(sent.map(|row| row.lag_us()), 0).p99,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Quantiles;

    #[test]
    fn a_percentile_among_the_failures_has_no_value_and_the_longest_right_answer_has() {
        let found = Quantiles::of((1..=90).map(|ms| ms * 1_000), 10);
        assert_eq!(found.p90, Some(90.0));
        assert_eq!((found.p95, found.p99), (None, None));
        assert_eq!(found.max, Some(90.0));
    }

    #[test]
    fn without_requests_there_is_nothing() {
        assert_eq!(Quantiles::of(std::iter::empty(), 0), Quantiles::default());
    }
}
