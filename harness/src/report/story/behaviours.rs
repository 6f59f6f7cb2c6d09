//! Behaviours: the shares of the load that were planned and those that were really offered, and how each fared.

use gauntlet_core::{
    evidence::{Class, Request},
    plan::Plan,
};
use serde::Serialize;

use super::{Quantiles, Rows};

/// One behaviour.
#[derive(Debug, Clone, Serialize)]
pub struct BehaviourStory {
    /// Its name.
    pub name: String,
    /// Its share of the arrivals by the plan (0..=1).
    pub planned: f64,
    /// Its share of the arrivals that came (0..=1), over the whole load.
    pub real: f64,
    /// Its requests in the judged phases.
    pub requests: u64,
    /// Its right answers there.
    pub right: u64,
    /// Share of its requests without a right answer; none without requests.
    pub errors: Option<f64>,
    /// From the intended start to the last byte, in milliseconds.
    pub latency_ms: Quantiles,
}

pub(super) fn fold(plan: &Plan, rows: &Rows<'_>) -> Vec<BehaviourStory> {
    let planned = planned(plan);
    let behaviours = &plan.load.behaviours;
    let starts: Vec<usize> =
        behaviours.iter().map(|of| rows.load.iter().filter(|row| row.step == of.first).count()).collect();
    let all = starts.iter().sum::<usize>().max(1) as f64;
    let judged: Vec<&Request> = rows.judged(plan).collect();
    let stories = behaviours.iter().enumerate().map(|(index, of)| {
        let steps = of.first..of.first.saturating_add(of.count);
        let own: Vec<&Request> = judged.iter().copied().filter(|row| steps.contains(&row.step)).collect();
        let right: Vec<&Request> = own.iter().copied().filter(|row| row.class == Class::Ok).collect();
        let wrong = (own.len() - right.len()) as u64;
        BehaviourStory {
            name: of.name.to_string(),
            planned: planned[index],
            real: starts[index] as f64 / all,
            requests: own.len() as u64,
            right: right.len() as u64,
            errors: (!own.is_empty()).then(|| wrong as f64 / own.len() as f64),
            latency_ms: Quantiles::of(right.iter().map(|row| row.latency_us()), wrong),
        }
    });
    stories.collect()
}

/// The planned share of each behaviour: the streams' mixes, weighted with the arrivals that each stream plans.
fn planned(plan: &Plan) -> Vec<f64> {
    let mut arrivals = vec![0.0; plan.load.behaviours.len()];
    for stream in &plan.load.streams {
        let segments = stream.segments.iter();
        let all: f64 = segments.map(|s| s.lasts.as_secs_f64() * (s.from + s.to) / 2.0).sum();
        for (behaviour, share) in &stream.mix {
            if let Some(of) = arrivals.get_mut(usize::from(*behaviour)) {
                *of += all * share;
            }
        }
    }
    let sum: f64 = arrivals.iter().sum();
    arrivals.iter().map(|of| if sum > 0.0 { of / sum } else { 0.0 }).collect()
}
