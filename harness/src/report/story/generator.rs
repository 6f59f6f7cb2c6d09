//! The generator's own truth: whether the load that was planned was really offered, and in time.

use gauntlet_core::{
    evidence::{Class, Event, LoadCounts, What},
    plan::Plan,
};
use serde::Serialize;

use super::{Quantiles, Rows};

/// What the generator says of itself, and what its rows say of it.
#[derive(Debug, Clone, Serialize)]
pub struct GeneratorStory {
    /// Its own counts; none when it did not end in order.
    pub counts: Option<LoadCounts>,
    /// How late it sent, over the judged phases, in milliseconds.
    pub lag_ms: Quantiles,
    /// The 99th percentile that it may not be over, in milliseconds.
    pub lag_limit_ms: f64,
    /// The share of the schedule that it must have sent.
    pub sent_limit: f64,
    /// Requests that asked for a record after the load.
    pub audited: u64,
    /// Those of them without a right answer.
    pub audits_failed: u64,
}

pub(super) fn fold(plan: &Plan, events: &[Event], rows: &Rows<'_>) -> GeneratorStory {
    let counts = events.iter().rev().find_map(|event| match &event.what {
        What::LoadEnded(counts) => Some(*counts),
        _ => None,
    });
    let sent = rows.judged(plan).filter(|row| row.class.was_sent());
    GeneratorStory {
        counts,
        lag_ms: Quantiles::of(sent.map(|row| row.lag_us()), 0),
        lag_limit_ms: plan.generator.lag_p99.as_secs_f64() * 1e3,
        sent_limit: plan.generator.sent,
        audited: rows.audit.len() as u64,
        audits_failed: rows.audit.iter().filter(|row| row.class != Class::Ok).count() as u64,
    }
}
