//! The highest constant rate that the generator holds, on one machine with a trivial server.
//!
//! `cargo run --release -p gauntlet-load --example highest_rate`

#![expect(clippy::print_stdout, reason = "what it measures is what it prints")]

use bytes::Bytes;
use gauntlet_core::evidence::{Class, Request};
use http::Response;
use http_body_util::Full;
use serde_json::json;

#[path = "../tests/it/stage.rs"]
#[expect(clippy::expect_used, clippy::panic, reason = "the stage is a part of the tests")]
mod stage;

use stage::{Running, job, quantile, start_server};

/// The lag that makes a run inconclusive, in microseconds.
const LAG_LIMIT_US: u64 = 20_000;
const SECONDS: f64 = 3.0;
const TRIES: u32 = 3;

fn main() {
    let server = start_server(|_| async { Response::new(Full::new(Bytes::from_static(b"{\"ok\":true}"))) });
    println!("  rate/s   lag p50         p99   latency p99   in flight   connections");
    let (mut held, mut rate) = (0.0, 1_100.0);
    // A machine that does something else as well may fail a rate by chance.
    while rate < 200_000.0 && (0..TRIES).any(|_| holds(&server.authority, rate)) {
        held = rate;
        rate *= 1.3;
    }
    println!("holds {held:.0}/s with a lag p99 under {} ms", LAG_LIMIT_US / 1_000);
}

fn holds(authority: &str, rate: f64) -> bool {
    let step = json!({"method": "POST", "path": "/things", "body": {"id": "{{uuid}}", "n": "{{fresh}}"}});
    let mut job = job(authority, vec![step], rate, SECONDS);
    // Every connection of a failed try holds a port for a minute after it.
    job.plan.in_flight = 2_000;
    let report = Running::start(&job).finish();
    let lag = |share| quantile(report.rows.iter().map(Request::lag_us), share);
    let latency = quantile(report.rows.iter().map(Request::latency_us), 0.99);
    let (peak, connections) = (report.counts.in_flight_peak, report.counts.connections);
    let (lag_p50, lag_p99) = (lag(0.5), lag(0.99));
    println!("{rate:8.0} {lag_p50:6} us {lag_p99:8} us   {latency:8} us {peak:11} {connections:13}");
    let ok = report.rows.iter().all(|row| row.class == Class::Ok);
    ok && lag_p99 < LAG_LIMIT_US && report.counts.rows_refused == 0
}
