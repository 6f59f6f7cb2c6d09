//! CPU and memory of each replica over time, as the system counted them.

use std::collections::BTreeMap;

use gauntlet_core::{
    evidence::{CPU_SECONDS, RESIDENT_BYTES, Sample},
    name::Name,
    plan::Plan,
    stats::increase::{Counter, Fall},
};
use serde::Serialize;

use super::Clock;

/// What one replica used.
#[derive(Debug, Clone, Serialize)]
pub struct Usage {
    /// The component.
    pub component: String,
    /// Which replica, from 1.
    pub replica: u16,
    /// Cores it is entitled to; 0: no allotment.
    pub cores_allotted: f64,
    /// Bytes it is entitled to; 0: no allotment.
    pub memory_allotted: u64,
    /// Cores used on average over the judged phases; none without readings.
    pub cores_mean: Option<f64>,
    /// Most resident bytes over the judged phases.
    pub memory_max: Option<f64>,
    /// Over time, for the charts.
    #[serde(skip)]
    pub points: Vec<Point>,
}

/// What a replica used in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The end of the stretch.
    pub at_s: f64,
    /// Which life of the replica: lines of charts do not join lives.
    pub life: u32,
    /// Cores, from the counter's gain; none at the beginning of a life.
    pub cores: Option<f64>,
    /// Resident bytes.
    pub bytes: Option<f64>,
}

pub(super) fn fold(plan: &Plan, samples: &[Sample], clock: Clock, bucket_s: u64) -> Vec<Usage> {
    let mut replicas: BTreeMap<(&Name, u16), Vec<&Sample>> = BTreeMap::new();
    let own = samples.iter().filter(|sample| [CPU_SECONDS, RESIDENT_BYTES].contains(&sample.series.as_str()));
    own.for_each(|sample| replicas.entry((&sample.component, sample.replica)).or_default().push(sample));
    let usage = replicas.into_iter().map(|((component, replica), samples)| {
        let allotted = plan.replicas.get(component);
        Usage {
            component: component.to_string(),
            replica,
            cores_allotted: allotted.map_or(0.0, |of| of.cores),
            memory_allotted: allotted.map_or(0, |of| of.memory),
            cores_mean: cores_mean(plan, &samples, clock),
            memory_max: memory_max(plan, &samples, clock),
            points: points(&samples, clock, bucket_s as f64),
        }
    });
    usage.collect()
}

fn counter(samples: &[&Sample], series: &str) -> Counter {
    let mut counter = Counter::default();
    let own = samples.iter().filter(|sample| sample.series == series);
    own.for_each(|sample| counter.add(sample.at_us, sample.life, sample.value));
    counter
}

fn cores_mean(plan: &Plan, samples: &[&Sample], clock: Clock) -> Option<f64> {
    let cpu = counter(samples, CPU_SECONDS);
    let (mut used_s, mut lasted_s) = (0.0, 0.0);
    for phase in plan.judged() {
        used_s += cpu.increase(clock.stretch(phase)?, Fall::OfAPart)?;
        lasted_s += phase.ends.saturating_sub(phase.begins).as_secs_f64();
    }
    (lasted_s > 0.0).then(|| used_s / lasted_s)
}

fn memory_max(plan: &Plan, samples: &[&Sample], clock: Clock) -> Option<f64> {
    let memory = counter(samples, RESIDENT_BYTES);
    plan.judged().filter_map(|phase| memory.largest(clock.stretch(phase)?)).max_by(f64::total_cmp)
}

/// One point for each bucket or so: readings that are nearer show the clock's ticks, not the use.
fn points(samples: &[&Sample], clock: Clock, bucket_s: f64) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let mut from: Option<(f64, u32, f64)> = None;
    let mut bytes = None;
    for sample in samples {
        let Some(at_s) = clock.load_s(sample.at_us) else { return points };
        if sample.series == RESIDENT_BYTES {
            bytes = Some(sample.value);
            continue;
        }
        let (began_s, life, used_s) = *from.get_or_insert((at_s, sample.life, sample.value));
        if life != sample.life {
            from = Some((at_s, sample.life, sample.value));
            bytes = None;
        } else if at_s - began_s >= bucket_s * 0.9 {
            let cores = ((sample.value - used_s) / (at_s - began_s)).max(0.0);
            points.push(Point { at_s, life, cores: Some(cores), bytes: bytes.take() });
            from = Some((at_s, life, sample.value));
        }
    }
    points.retain(|point| point.at_s >= 0.0);
    points
}

#[cfg(test)]
mod tests {
    use gauntlet_core::evidence::{CPU_SECONDS, RESIDENT_BYTES, Sample};

    use super::{Clock, points};

    fn sample(at_s: u64, life: u32, series: &str, value: f64) -> Sample {
        let component = "service".parse().unwrap();
        Sample { at_us: at_s * 1_000_000, component, replica: 1, life, series: series.into(), value }
    }

    #[test]
    fn cores_are_the_gain_of_one_life_over_its_time() {
        let samples = [
            sample(10, 1, RESIDENT_BYTES, 5e6),
            sample(10, 1, CPU_SECONDS, 3.0),
            sample(12, 1, RESIDENT_BYTES, 6e6),
            sample(12, 1, CPU_SECONDS, 4.0),
            sample(14, 2, CPU_SECONDS, 0.1),
            sample(15, 2, CPU_SECONDS, 0.4),
        ];
        let found = points(&samples.iter().collect::<Vec<_>>(), Clock { zero_us: Some(0) }, 1.0);
        let cores: Vec<(f64, u32, f64)> =
            found.iter().map(|p| (p.at_s, p.life, (p.cores.unwrap() * 1e6).round() / 1e6)).collect();
        assert_eq!(cores, [(12.0, 1, 0.5), (15.0, 2, 0.3)]);
        assert_eq!(found[0].bytes, Some(6e6));
        assert_eq!(found[1].bytes, None);
    }

    #[test]
    fn without_a_load_there_is_no_time_line_to_draw_on() {
        let samples = [sample(10, 1, CPU_SECONDS, 3.0), sample(12, 1, CPU_SECONDS, 4.0)];
        assert!(points(&samples.iter().collect::<Vec<_>>(), Clock { zero_us: None }, 1.0).is_empty());
    }
}
