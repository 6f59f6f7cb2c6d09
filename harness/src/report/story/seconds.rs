//! What completed over time, for the charts. Long runs are told in buckets of several seconds.

use gauntlet_core::{
    evidence::{Class, Request, Second, Seconds},
    plan::Plan,
};
use serde::Serialize;

use super::Rows;

/// One second, or several in a long run.
#[derive(Debug, Clone, Serialize)]
pub struct Bucket {
    /// When it begins.
    pub at_s: f64,
    /// Requests a second that the schedule wanted in it.
    pub offered_per_s: f64,
    /// Right answers a second that completed in it.
    pub right_per_s: f64,
    /// Requests a second that ended in it without a right answer.
    pub errors_per_s: f64,
    /// Median latency of the right answers that completed in it, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
    /// The longest of the same.
    pub max_ms: Option<f64>,
}

/// Most buckets that a chart can tell apart.
const MOST: u64 = 600;
/// Rows that ended later than this after the last phase are not drawn, so that no damaged row stretches the charts.
const AFTERMATH_S: u64 = 30;

/// The width of the buckets in seconds, and the buckets.
pub(super) fn fold(plan: &Plan, rows: &Rows<'_>) -> (u64, Vec<Bucket>) {
    buckets(plan.lasts().as_secs_f64().ceil().min(1e9) as u64, rows)
}

fn buckets(planned: u64, rows: &Rows<'_>) -> (u64, Vec<Bucket>) {
    let second = |us: u64| us / 1_000_000;
    let last_done = rows.load.iter().map(|row| second(row.done_us)).max();
    let end = last_done.map_or(0, |last| (last + 1).min(planned.saturating_add(AFTERMATH_S)));
    let width = end.div_ceil(MOST).max(1);
    let count = usize::try_from(end.div_ceil(width)).unwrap_or(0);
    let mut offered = vec![0u64; count];
    let mut done: Vec<Vec<&Request>> = vec![Vec::new(); count];
    let bucket = |us: u64| usize::try_from(second(us) / width).unwrap_or(usize::MAX);
    for row in &rows.load {
        if let Some(of) = offered.get_mut(bucket(row.intended_us)) {
            *of += 1;
        }
        if let Some(of) = done.get_mut(bucket(row.done_us)) {
            of.push(row);
        }
    }
    // One bucket at a time: histograms are wide, and only their percentiles are kept.
    let buckets = done.iter().zip(offered).enumerate();
    let buckets =
        buckets.map(|(number, (rows, offered))| Bucket::of(number as u64 * width, width, offered, rows));
    (width, buckets.collect())
}

impl Bucket {
    fn of(at: u64, width: u64, offered: u64, rows: &[&Request]) -> Self {
        let mut seconds = Seconds::default();
        rows.iter().for_each(|row| seconds.see(row));
        let mut all = Second::default();
        seconds.iter().for_each(|(_, second)| all.merge(second));
        let per_s = |count: u64| count as f64 / width as f64;
        let ms = |quantile| all.corrected.quantile_us(quantile).map(|us| us as f64 / 1e3);
        Self {
            at_s: at as f64,
            offered_per_s: per_s(offered),
            right_per_s: per_s(all.count(Class::Ok)),
            errors_per_s: per_s(all.total() - all.count(Class::Ok)),
            p50_ms: ms(0.5),
            p95_ms: ms(0.95),
            p99_ms: ms(0.99),
            max_ms: ms(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::evidence::{Class, Operation, Request};

    use super::{Rows, buckets};

    fn row(intended_s: f64, took_ms: u64, class: Class) -> Request {
        let intended_us = (intended_s * 1e6) as u64;
        Request {
            intended_us,
            sent_us: intended_us,
            done_us: intended_us + took_ms * 1_000,
            step: 0,
            arm: String::new(),
            status: 200,
            class,
            bytes: 0,
            operation: Operation::None,
            key: String::new(),
            value: String::new(),
        }
    }

    #[test]
    fn a_request_is_offered_when_it_was_intended_and_answered_when_it_was_done() {
        let rows = [row(0.9, 200, Class::Ok), row(1.2, 10, Class::Reset)];
        let (width, found) = buckets(2, &Rows::of(&rows));
        let rates: Vec<[f64; 3]> =
            found.iter().map(|b| [b.offered_per_s, b.right_per_s, b.errors_per_s]).collect();
        assert_eq!((width, rates), (1, vec![[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]));
        assert_eq!(found[0].p50_ms, None);
        assert!(found[1].p99_ms.is_some_and(|ms| (ms - 200.0).abs() < 0.2));
    }

    #[test]
    fn a_long_run_is_told_in_wider_buckets_without_losing_a_request() {
        let rows: Vec<Request> = (0..3_600).map(|second| row(f64::from(second), 5, Class::Ok)).collect();
        let (width, found) = buckets(3_600, &Rows::of(&rows));
        assert_eq!((width, found.len()), (6, 600));
        assert!(found.iter().all(|bucket| (bucket.right_per_s - 1.0).abs() < 1e-9));
    }

    #[test]
    fn a_row_far_beyond_the_plan_does_not_stretch_the_time_line() {
        let rows = [row(0.5, 1, Class::Ok), row(1e9, 1, Class::Ok)];
        assert_eq!(buckets(10, &Rows::of(&rows)).1.len(), 40);
    }

    #[test]
    fn without_rows_there_are_no_buckets() {
        assert!(buckets(65, &Rows::of(&[])).1.is_empty());
    }
}
