//! Every class of row, from a real cause.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use bytes::Bytes;
use gauntlet_core::evidence::{Class, Operation, Request};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::stage::{Report, Running, job, start_server};

fn get() -> Value {
    json!({"method": "GET", "path": "/", "timeout": "200ms"})
}

fn run(authority: &str, step: Value) -> Report {
    Running::start(&job(authority, vec![step], 20.0, 0.5)).finish()
}

/// What a server that always answers so gives.
fn answered(status: u16, body: impl Into<Bytes>, step: Value) -> Report {
    let body: Bytes = body.into();
    let server = start_server(move |_| {
        let mut response = Response::new(Full::new(body.clone()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert("x-replica", "service-7".parse().unwrap());
        async { response }
    });
    run(&server.authority, step)
}

/// What a server gives that says these bytes to every request and then does as told with the connection.
fn raw(said: &'static [u8], then: fn(TcpStream)) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut request = [0; 4_096];
                if stream.read(&mut request).unwrap_or(0) > 0 {
                    stream.write_all(said).unwrap();
                    then(stream);
                }
            });
        }
    });
    run(&authority, get())
}

fn all(report: &Report, class: Class) -> &Request {
    assert_eq!(report.rows.len(), 9, "nine arrivals, nine rows");
    for row in &report.rows {
        assert_eq!(row.class, class, "{row:?}");
        assert!(row.intended_us <= row.sent_us && row.sent_us <= row.done_us, "{row:?}");
    }
    let sent = if class.was_sent() { 9 } else { 0 };
    assert_eq!((report.counts.scheduled, report.counts.sent), (9, sent));
    &report.rows[0]
}

#[test]
fn an_expected_answer_is_ok_with_its_arm_and_size() {
    let report = answered(200, "hello", get());
    let row = all(&report, Class::Ok);
    assert_eq!((row.status, row.arm.as_str(), row.bytes), (200, "service-7", 5));
    assert_eq!((row.operation, row.step), (Operation::None, 0));
    assert_eq!(report.counts.connections, 1, "one after the other they share a connection");
}

#[test]
fn another_status_is_wrong() {
    let report = answered(503, "busy", get());
    assert_eq!(all(&report, Class::WrongStatus).status, 503);
}

#[test]
fn a_body_with_another_value_or_without_json_is_wrong() {
    let step = json!({"method": "GET", "path": "/", "expect": {"json": [{"at": "/ok", "is": true}]}});
    all(&answered(200, r#"{"ok": true}"#, step.clone()), Class::Ok);
    all(&answered(200, r#"{"ok": false}"#, step.clone()), Class::WrongBody);
    all(&answered(200, "ok", step), Class::WrongBody);
}

#[test]
fn a_body_over_the_limit_is_wrong_and_not_read_to_its_end() {
    let mut step = get();
    step["timeout"] = json!("5s");
    let report = answered(200, vec![b'x'; (16 << 20) + 1], step);
    let row = all(&report, Class::WrongBody);
    assert_eq!(row.status, 200);
    assert!(report.counts.connections >= 9, "their connections are not used again");
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout() {
    let server = start_server(|_| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Response::new(Full::default())
    });
    let report = run(&server.authority, get());
    let row = all(&report, Class::Timeout);
    assert!((200_000..400_000).contains(&row.raw_latency_us()), "{row:?}");
    assert_eq!(row.status, 0);
}

#[test]
fn an_answer_that_stops_half_way_is_a_timeout_with_the_status_that_came() {
    let report = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", |stream| {
        // Until the client closes it.
        let _ = (&stream).read(&mut [0; 16]);
    });
    let row = all(&report, Class::Timeout);
    assert_eq!((row.status, row.bytes), (200, 4));
}

#[test]
fn a_connection_that_breaks_half_way_is_a_reset() {
    let report = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", drop);
    let row = all(&report, Class::Reset);
    assert_eq!((row.status, row.bytes), (200, 4));
}

#[test]
fn a_connection_that_breaks_before_any_answer_is_a_reset() {
    assert_eq!(all(&raw(b"", drop), Class::Reset).status, 0);
}

#[test]
fn an_answer_that_is_no_http_is_a_reset() {
    all(&raw(b"220 smtp ready\r\n\r\n", drop), Class::Reset);
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    drop(listener);
    let report = run(&authority, get());
    all(&report, Class::Refused);
    assert_eq!(report.counts.connections, 0);
}

#[test]
fn arrivals_over_the_cap_are_dropped_and_counted() {
    let server = start_server(|_| async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        Response::new(Full::default())
    });
    let mut job = job(&server.authority, vec![json!({"method": "GET", "path": "/"})], 100.0, 0.5);
    job.plan.in_flight = 3;
    let report = Running::start(&job).finish();
    let capped: Vec<_> = report.rows.iter().filter(|row| row.class == Class::Capped).collect();
    assert!(capped.len() >= 40, "{}", capped.len());
    assert!(capped.iter().all(|row| row.status == 0 && row.done_us < 1_000_000));
    assert_eq!(report.counts.capped, capped.len() as u64);
    assert_eq!(report.counts.sent, report.counts.scheduled - report.counts.capped);
    assert_eq!((report.counts.in_flight_cap, report.counts.in_flight_peak), (3, 3));
    assert_eq!(report.rows.len() as u64, report.counts.scheduled);
}

#[test]
fn nothing_is_sent_while_there_is_nothing_to_recall() {
    let server = start_server(|_| async { Response::new(Full::default()) });
    let report =
        run(&server.authority, json!({"method": "GET", "path": "/{{recalled/id}}", "recall": "things"}));
    all(&report, Class::Unsent);
}
