//! Whether latency counts from the schedule: a server that accepts everything holds all its answers for 1.4 s once.
//!
//! `cargo run --release -p gauntlet-load --example load_truth`
//!
//! Constant arrivals: the latencies of those that meet the stall are even in (0, hold], those of the others are
//! nothing, so the 99th percentile is `hold - 1 % of the run`. A closed loop stops asking while it waits; few of its
//! requests meet the stall, and its 99th percentile hides it.

#![expect(clippy::print_stdout, reason = "what it measures is what it prints")]

use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use gauntlet_core::evidence::{Class, Request};
use http::Response;
use http_body_util::Full;
use serde_json::json;

#[path = "../tests/it/stage.rs"]
#[expect(clippy::expect_used, clippy::panic, reason = "the stage is a part of the tests")]
mod stage;

use stage::{Report, Running, job, quantile, start_server};

const RATE: f64 = 2_000.0;
const LASTS_S: f64 = 30.0;
const STALL_AT: Duration = Duration::from_secs(10);
const HOLD: Duration = Duration::from_millis(1_400);
/// What a closed loop of so many connections would have open.
const CLOSED_LOOP: u64 = 50;

fn main() -> ExitCode {
    let open = stalled(1_000_000);
    let closed = stalled(CLOSED_LOOP);
    let analytic = HOLD.as_secs_f64() * 1e3 - 0.01 * LASTS_S * 1e3;
    let corrected = p99_ms(&open, Request::latency_us);
    let lag = p99_ms(&open, Request::lag_us);
    let raw = p99_ms(&closed, Request::raw_latency_us);
    let off = (corrected / analytic - 1.0) * 100.0;
    println!("{RATE} arrivals/s for {LASTS_S} s, all answers held for {HOLD:?} from {STALL_AT:?} on");
    println!("p99 by arithmetic              {analytic:9.2} ms");
    println!(
        "p99 from the intended start    {corrected:9.2} ms   {off:+.2} %, generator's lag p99 {lag:.2} ms"
    );
    println!(
        "p99 of {CLOSED_LOOP} connections that wait {raw:9.2} ms   {:.0} times too small",
        analytic / raw
    );
    println!(
        "sent {}, in flight at most {}, refused rows {}",
        open.counts.sent, open.counts.in_flight_peak, open.counts.rows_refused
    );
    ExitCode::from(u8::from(off.abs() > 5.0))
}

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
    stall.get_or_init(|| Instant::now() + STALL_AT);
    running.finish()
}

fn p99_ms(report: &Report, of: fn(&Request) -> u64) -> f64 {
    let ok = report.rows.iter().filter(|row| row.class == Class::Ok);
    quantile(ok.map(of), 0.99) as f64 / 1e3
}
