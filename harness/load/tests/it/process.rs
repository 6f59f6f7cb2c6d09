//! How a load begins, stops and fails.

use std::{
    io::{Read, pipe},
    thread,
    time::{Duration, Instant},
};

use gauntlet_core::evidence::{Class, Frame};
use gauntlet_load::{LoadError, codec::Decoder};
use http::Response;
use http_body_util::Full;
use serde_json::json;

use crate::stage::{Running, job, start_server};

/// What a load says that gets this as its input.
fn refused(input: &[u8]) -> (String, LoadError) {
    let (mut output, output_write) = pipe().unwrap();
    let error = gauntlet_load::serve(std::io::Cursor::new(input.to_vec()), output_write).unwrap_err();
    let (mut bytes, mut decoder) = (Vec::new(), Decoder::default());
    output.read_to_end(&mut bytes).unwrap();
    decoder.push(&bytes);
    let Ok(Some(Frame::Failed(told))) = decoder.next() else { panic!("no failure was told") };
    assert_eq!(decoder.pending(), 0, "a failure is the only frame");
    (told, error)
}

/// Far less than the loads here would last, far more than a busy machine takes to stop one.
const PROMPT: Duration = Duration::from_secs(10);

#[test]
fn an_input_that_is_no_job_is_refused() {
    assert!(matches!(refused(b"").1, LoadError::NotAJob(_)));
    assert!(matches!(refused(b"{\"plan\": 1}\n").1, LoadError::NotAJob(_)));
}

#[test]
fn a_plan_that_cannot_be_run_is_refused_with_its_place() {
    let step = json!({"method": "GET", "path": "/{{question/id}}", "draw": {"question": "questions"}});
    let (told, error) = refused(&serde_json::to_vec(&job("127.0.0.1:1", vec![step], 1.0, 1.0)).unwrap());
    assert!(matches!(error, LoadError::Plan(_)));
    assert!(told.contains("step 0 (visit), draw") && told.contains("`questions` is missing"), "{told}");
}

#[test]
fn an_authority_that_is_no_address_is_refused() {
    let step = json!({"method": "GET", "path": "/"});
    let (told, _) = refused(&serde_json::to_vec(&job("127.0.0.1", vec![step], 1.0, 1.0)).unwrap());
    assert!(told.contains("127.0.0.1 is no address"), "{told}");
}

#[test]
fn the_end_of_the_input_stops_a_load_whose_requests_hang() {
    let server = start_server(|_| async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Response::new(Full::default())
    });
    let step = json!({"method": "GET", "path": "/", "timeout": "50s"});
    let mut running = Running::start(&job(&server.authority, vec![step], 100.0, 60.0));
    thread::park_timeout(Duration::from_millis(300));
    running.input = pipe().unwrap().1;
    let from = Instant::now();
    let report = running.finish();
    assert!(from.elapsed() < PROMPT, "{:?}", from.elapsed());
    assert!(report.counts.scheduled >= 10 && report.counts.scheduled < 1_000, "{:?}", report.counts);
}

#[test]
fn the_end_of_the_input_leaves_the_rows_that_there_are() {
    let server = start_server(|_| async { Response::new(Full::default()) });
    let mut running =
        Running::start(&job(&server.authority, vec![json!({"method": "GET", "path": "/"})], 500.0, 60.0));
    thread::park_timeout(Duration::from_millis(550));
    running.input = pipe().unwrap().1;
    let report = running.finish();
    let ok = report.rows.iter().filter(|row| row.class == Class::Ok).count() as u64;
    assert!(ok >= 100 && report.counts.scheduled - ok < 30, "{ok} of {}", report.counts.scheduled);
}

#[test]
fn the_end_of_the_input_ends_a_load_whose_reader_is_stuck() {
    let (input_read, mut input) = pipe().unwrap();
    let (output, output_write) = pipe().unwrap();
    // No arrival is let in, so rows come as fast as the schedule.
    let mut flood = job("127.0.0.1:1", vec![json!({"method": "GET", "path": "/"})], 100_000.0, 60.0);
    flood.plan.in_flight = 0;
    let line = serde_json::to_string(&flood).unwrap() + "\n";
    std::io::Write::write_all(&mut input, line.as_bytes()).unwrap();
    let load = thread::spawn(move || gauntlet_load::serve(input_read, output_write));
    thread::park_timeout(Duration::from_millis(2_500));
    drop(input);
    let from = Instant::now();
    load.join().unwrap().unwrap();
    assert!(from.elapsed() < PROMPT, "{:?}", from.elapsed());
    drop(output);
}

#[test]
fn rows_that_a_stuck_reader_refuses_are_counted_and_the_load_goes_on() {
    let mut flood = job("127.0.0.1:1", vec![json!({"method": "GET", "path": "/"})], 250_000.0, 1.0);
    flood.plan.in_flight = 0;
    let running = Running::start(&flood);
    // Nothing is read while the load lasts.
    thread::park_timeout(Duration::from_millis(2_000));
    let report = running.finish();
    assert!(report.counts.rows_refused > 0, "{:?}", report.counts);
    assert_eq!(report.counts.scheduled, 249_999);
    assert_eq!(report.rows.len() as u64 + report.counts.rows_refused, report.counts.scheduled);
}

#[test]
fn a_load_whose_reader_is_gone_stops_by_itself() {
    let (input_read, mut input) = pipe().unwrap();
    let (output, output_write) = pipe().unwrap();
    let mut endless = job("127.0.0.1:1", vec![json!({"method": "GET", "path": "/"})], 100.0, 3_600.0);
    endless.plan.in_flight = 0;
    let line = serde_json::to_string(&endless).unwrap() + "\n";
    std::io::Write::write_all(&mut input, line.as_bytes()).unwrap();
    let load = thread::spawn(move || gauntlet_load::serve(input_read, output_write));
    drop(output);
    assert!(matches!(load.join().unwrap(), Err(LoadError::Output(_))));
    drop(input);
}
