//! Whether the numbers are true: latency counts from the schedule, and the schedule is kept.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use gauntlet_core::evidence::{Class, Request};
use http::Response;
use http_body_util::Full;
use serde_json::json;

use crate::stage::{Report, Running, job, quantile, start_server};

const RATE: f64 = 2_000.0;
const LASTS_S: f64 = 3.0;
const HOLD: Duration = Duration::from_millis(400);

/// A load on a server that accepts everything, and a second after the beginning holds all answers for a while.
fn stalled(in_flight: u64) -> Report {
    let stall = Arc::new(OnceLock::<Instant>::new());
    let seen = Arc::clone(&stall);
    let server = start_server(move |_| {
        let stall = Arc::clone(&seen);
        async move {
            let held = stall.get().filter(|from| **from <= Instant::now()).map(|from| *from + HOLD);
            tokio::time::sleep_until(held.unwrap_or_else(Instant::now).into()).await;
            Response::new(Full::default())
        }
    });
    let mut job = job(&server.authority, vec![json!({"method": "GET", "path": "/"})], RATE, LASTS_S);
    job.plan.in_flight = in_flight;
    let running = Running::start(&job);
    stall.set(Instant::now() + Duration::from_secs(1)).unwrap();
    running.finish()
}

fn lag_p99(report: &Report) -> u64 {
    quantile(report.rows.iter().map(Request::lag_us), 0.99)
}

#[test]
fn a_stall_shows_in_the_p99_as_it_must_by_arithmetic() {
    let report = stalled(10_000);
    assert!(report.rows.iter().all(|row| row.class == Class::Ok));
    assert_eq!(report.counts.scheduled, (RATE * LASTS_S) as u64 - 1);
    // Latencies are even in (0, hold] for rate * hold requests, and nothing for the others.
    let analytic = HOLD.as_micros() as f64 - 0.01 * LASTS_S * 1e6;
    let measured = quantile(report.rows.iter().map(Request::latency_us), 0.99) as f64;
    // A starved generator is late, and says so.
    let slack = 0.05 * analytic + lag_p99(&report) as f64;
    assert!((measured - analytic).abs() <= slack, "{measured} against {analytic}, slack {slack}");
}

#[test]
fn a_closed_loop_hides_the_same_stall() {
    let report = stalled(20);
    let sent = || report.rows.iter().filter(|row| row.class == Class::Ok);
    assert!(report.counts.capped as f64 > 0.5 * RATE * HOLD.as_secs_f64());
    let read = quantile(sent().map(Request::raw_latency_us), 0.99);
    assert!(read < HOLD.as_micros() as u64 / 4, "{read}");
}

#[test]
fn a_thousand_arrivals_a_second_begin_when_they_should() {
    let server = start_server(|_| async { Response::new(Full::default()) });
    let report =
        Running::start(&job(&server.authority, vec![json!({"method": "GET", "path": "/"})], 1_100.0, 2.0))
            .finish();
    assert_eq!(report.rows.len(), 2_199);
    // The middle one: on a machine that also builds, the rare late ones say nothing of the generator.
    let lag = quantile(report.rows.iter().map(Request::lag_us), 0.5);
    assert!(lag < 1_000, "{lag} us, p99 {} us", lag_p99(&report));
}
