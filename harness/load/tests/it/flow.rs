//! What a behaviour carries from request to request, and how often a request goes out.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use bytes::Bytes;
use gauntlet_core::evidence::{Class, Operation};
use http::{Method, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::stage::{Running, Server, job, start_server};

/// A server with a store: `POST /things` gives a number, `GET /things/N` gives back what was posted.
fn store() -> (Server, Arc<Mutex<Vec<Value>>>) {
    let things = Arc::new(Mutex::new(Vec::<Value>::new()));
    let held = Arc::clone(&things);
    let server = start_server(move |request: http::Request<Incoming>| {
        let things = Arc::clone(&held);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (status, answer) = match head.method {
                Method::POST => {
                    let mut things = things.lock().unwrap();
                    things.push(serde_json::from_slice(&body).unwrap());
                    (201, json!({"id": things.len()}))
                }
                _ => {
                    let id: usize = head.uri.path().rsplit('/').next().unwrap().parse().unwrap();
                    let found = things.lock().unwrap().get(id - 1).cloned();
                    // Every tenth thing is hidden from readers.
                    match found.filter(|_| !id.is_multiple_of(10)) {
                        Some(thing) => (200, json!({"id": id, "thing": thing})),
                        None => (404, json!(null)),
                    }
                }
            };
            let body = Full::new(Bytes::from(answer.to_string()));
            Response::builder().status(status).body(body).unwrap()
        }
    });
    (server, things)
}

fn create() -> Value {
    json!({
        "method": "POST", "path": "/things", "body": {"name": "{{uuid}}", "note": "{{fresh}}", "lot": "{{pick 3}}"},
        "expect": {"status": 201, "json": [{"at": "/id"}]},
        "capture": {"id": "/id"},
        "remember": {"pool": "things", "fields": {"id": "{{captured/id}}", "name": "{{uuid}}"}},
        "mark": {"write": {"key": "{{uuid}}", "value": "{{fresh}}"}},
    })
}

fn look_up(id: &str) -> Value {
    json!({
        "method": "GET", "path": format!("/things/{id}"), "recall": "things",
        "expect": {"json": [{"at": "/thing/name", "is": "{{recalled/name}}"}, {"at": "/id", "is": "{{recalled/id}}"}]},
        "mark": {"read": {"key": "{{recalled/name}}", "value": "/thing/note"}},
    })
}

#[test]
fn what_is_written_is_remembered_and_found_again() {
    let (server, things) = store();
    let report =
        Running::start(&job(&server.authority, vec![create(), look_up("{{recalled/id}}")], 200.0, 1.0))
            .finish();
    let things = things.lock().unwrap();
    let notes: BTreeMap<&str, String> =
        things.iter().map(|thing| (thing["name"].as_str().unwrap(), thing["note"].to_string())).collect();
    assert_eq!((things.len(), notes.len()), (199, 199), "every arrival has its own UUID");
    let (writes, reads): (Vec<_>, Vec<_>) = report.rows.iter().partition(|row| row.step == 0);
    assert_eq!((writes.len(), reads.len()), (199, 199));
    for row in &report.rows {
        let hidden = row.class == Class::WrongStatus && row.status == 404 && row.step == 1;
        assert!(row.class == Class::Ok || hidden, "{row:?}");
        assert_eq!(row.operation, [Operation::Write, Operation::Read][usize::from(row.step)]);
        let value = if hidden { "" } else { &notes[row.key.as_str()] };
        assert_eq!(row.value, value, "{row:?}");
    }
    assert!(reads.iter().any(|row| row.status == 404), "a read that finds nothing keeps its key");
}

#[test]
fn a_later_request_is_intended_when_the_one_before_it_has_ended() {
    let (server, _) = store();
    let read = json!({"method": "GET", "path": "/things/{{captured/id}}"});
    let report = Running::start(&job(&server.authority, vec![create(), read], 50.0, 0.5)).finish();
    let mut ends: Vec<u64> = report.rows.iter().filter(|row| row.step == 0).map(|row| row.done_us).collect();
    let mut begins: Vec<u64> =
        report.rows.iter().filter(|row| row.step == 1).map(|row| row.intended_us).collect();
    ends.sort_unstable();
    begins.sort_unstable();
    assert_eq!(begins, ends);
    assert_eq!(begins.len(), 24);
}

#[test]
fn the_first_request_that_goes_wrong_ends_the_behaviour() {
    let (server, _) = store();
    let mut failing = create();
    failing["expect"]["status"] = json!(200);
    let report = Running::start(&job(&server.authority, vec![failing, look_up("1")], 50.0, 0.5)).finish();
    assert!(report.rows.iter().all(|row| row.step == 0 && row.class == Class::WrongStatus));
    assert_eq!(report.counts.sent, report.counts.scheduled);
}

/// Answers so many requests on each connection and then closes it without a word; gives the paths that it saw.
fn closing(answers: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, paths) = (stream.unwrap(), Arc::clone(&paths));
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let mut left = answers;
                while let Some(first) = lines.find(|line| line.starts_with("GET ")) {
                    paths.lock().unwrap().push(first);
                    if left == 0 || stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err()
                    {
                        return;
                    }
                    left -= 1;
                    if left == 0 && answers > 1 {
                        return;
                    }
                }
            });
        }
    });
    (authority, seen)
}

#[test]
fn no_request_goes_out_twice_however_connections_end() {
    // One answer, then the next request is read and dropped; three answers, then closed while idle.
    for answers in [1, 3] {
        let (authority, seen) = closing(answers);
        let step = json!({"method": "GET", "path": "/{{uuid}}"});
        let report = Running::start(&job(&authority, vec![step], 300.0, 1.0)).finish();
        let mut paths = std::mem::take(&mut *seen.lock().unwrap());
        let all = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), all, "a request came twice");
        assert!(report.rows.iter().all(|row| matches!(row.class, Class::Ok | Class::Reset)));
        let ok = report.rows.iter().filter(|row| row.class == Class::Ok).count();
        assert!(ok * 2 >= report.rows.len() - 1, "{ok} of {}", report.rows.len());
        if answers == 1 {
            assert!(ok < report.rows.len(), "requests that were read and dropped must be resets");
        }
    }
}
