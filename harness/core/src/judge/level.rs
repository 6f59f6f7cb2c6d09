//! How users fared for a while.

use std::{collections::BTreeMap, fmt, ops::Range};

use super::show;
use crate::{
    evidence::{Class, Operation, Request},
    stats::quantile::Ranked,
};

/// What a user waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    intended_us: u64,
    /// None: it was not right.
    latency_us: Option<u32>,
}

/// How users fared for a while; what failed counts as infinitely slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Requests.
    pub requests: u64,
    /// Those of them without a right answer.
    pub errors: u64,
    /// p95 of latency; none: it lies among the failures.
    pub p95_us: Option<u64>,
}

impl Answer {
    /// None: it was never sent, or nobody waited for it.
    pub(super) fn of(row: &Request) -> Option<Self> {
        let users = row.class.was_sent() && row.operation != Operation::Audit;
        let latency_us = u32::try_from(row.latency_us()).unwrap_or(u32::MAX);
        users.then_some(Self {
            intended_us: row.intended_us,
            latency_us: (row.class == Class::Ok).then_some(latency_us),
        })
    }
}

impl Level {
    /// The share of errors.
    pub fn share(&self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }

    /// Of the requests that were intended in any of these spans; none: there are none.
    pub(super) fn of(answers: &[Answer], spans: &[(u64, u64)]) -> Option<Self> {
        let within =
            |answer: &&Answer| spans.iter().any(|(from, to)| (from..to).contains(&&answer.intended_us));
        let latencies: Vec<Option<u32>> =
            answers.iter().filter(within).map(|answer| answer.latency_us).collect();
        let errors = latencies.iter().filter(|latency| latency.is_none()).count() as u64;
        let ranked = Ranked::new(latencies.iter().flatten().copied().collect(), errors);
        let p95 = ranked.quantile(0.95)?;
        let p95_us = p95.is_finite().then_some(p95 as u64);
        Some(Self { requests: ranked.count(), errors, p95_us })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p95 = self.p95_us.map_or_else(|| "among the failures".to_owned(), |us| show::time(us as f64));
        write!(f, "p95 {p95}, {} of {} failed", self.errors, show::count(self.requests, "request"))
    }
}

/// When the last of these seconds was over in which a quantile of right answers lay above a bound; none: there is none.
pub(super) fn last_above(answers: &[Answer], span: Range<u64>, quantile: f64, bound_us: f64) -> Option<u64> {
    let mut seconds = BTreeMap::<u64, Vec<u32>>::new();
    for answer in answers.iter().filter(|answer| span.contains(&answer.intended_us)) {
        seconds.entry(answer.intended_us / SECOND_US).or_default().extend(answer.latency_us);
    }
    let above =
        |latencies: Vec<u32>| Ranked::new(latencies, 0).quantile(quantile).is_some_and(|at| at > bound_us);
    let last = seconds.into_iter().rev().find_map(|(second, latencies)| above(latencies).then_some(second));
    last.map(|second| (second + 1) * SECOND_US)
}

const SECOND_US: u64 = 1_000_000;
