//! Series that components export: what each counter gained in each judged phase, and how far each gauge went.

use std::collections::BTreeMap;

use gauntlet_core::{
    evidence::{CPU_SECONDS, RESIDENT_BYTES, Sample},
    plan::Plan,
    stats::increase::{Counter, Fall},
};
use serde::Serialize;

use super::Clock;

/// One series of one component.
#[derive(Debug, Clone, Serialize)]
pub struct Gain {
    /// The component.
    pub component: String,
    /// The series as Prometheus writes it.
    pub series: String,
    /// How the numbers are to be read.
    pub kind: GainKind,
    /// For each judged phase, in order: the increase, summed over replicas and lives, or the largest value of a gauge.
    pub phases: Vec<Option<f64>>,
    /// Over all judged phases: the sum of the increases, or the largest value of a gauge.
    pub all: Option<f64>,
}

/// How a series is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GainKind {
    /// It counts: its increase is told.
    Counter,
    /// It goes up and down: its largest value is told.
    Gauge,
}

pub(super) fn fold(plan: &Plan, samples: &[Sample], clock: Clock) -> Vec<Gain> {
    let mut all: BTreeMap<(&str, &str), BTreeMap<u16, Counter>> = BTreeMap::new();
    for sample in
        samples.iter().filter(|sample| ![CPU_SECONDS, RESIDENT_BYTES].contains(&sample.series.as_str()))
    {
        let replicas = all.entry((sample.component.as_str(), &sample.series)).or_default();
        replicas.entry(sample.replica).or_default().add(sample.at_us, sample.life, sample.value);
    }
    let stretches: Vec<(u64, u64)> = plan.judged().filter_map(|phase| clock.stretch(phase)).collect();
    all.into_iter()
        .map(|((component, series), replicas)| Gain::of(component, series, &replicas, &stretches))
        .collect()
}

impl Gain {
    fn of(
        component: &str,
        series: &str,
        replicas: &BTreeMap<u16, Counter>,
        stretches: &[(u64, u64)],
    ) -> Self {
        let kind = kind(series);
        let in_stretch = |stretch: &(u64, u64)| match kind {
            GainKind::Counter => {
                replicas.values().filter_map(|of| of.increase(*stretch, Fall::Restart)).reduce(|a, b| a + b)
            }
            GainKind::Gauge => replicas.values().filter_map(|of| of.largest(*stretch)).max_by(f64::total_cmp),
        };
        let phases: Vec<Option<f64>> = stretches.iter().map(in_stretch).collect();
        let all = phases.iter().flatten().copied().reduce(|a, b| match kind {
            GainKind::Counter => a + b,
            GainKind::Gauge => a.max(b),
        });
        Self { component: component.to_owned(), series: series.to_owned(), kind, phases, all }
    }

    /// The name without its labels.
    pub fn metric(&self) -> &str {
        self.series.split('{').next().unwrap_or_default()
    }
}

/// Prometheus' convention of names tells counters from gauges.
fn kind(series: &str) -> GainKind {
    let name = series.split('{').next().unwrap_or_default();
    let counts = ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end));
    if counts { GainKind::Counter } else { GainKind::Gauge }
}

#[cfg(test)]
mod tests {
    use super::{GainKind, kind};

    #[test]
    fn the_name_of_a_series_tells_counters_from_gauges() {
        assert_eq!(kind("http_requests_total{code=\"200\"}"), GainKind::Counter);
        assert_eq!(kind("concurrent_experiments"), GainKind::Gauge);
        assert_eq!(kind("haproxy_server_status{state=\"in_total\"}"), GainKind::Gauge);
    }
}
