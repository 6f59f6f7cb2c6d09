//! The audit against a server that loses and doubles what it acknowledged.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use gauntlet_core::evidence::{Class, Operation, Request};
use gauntlet_load::AUDIT_STEP;
use http::{Method, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::stage::{Report, Running, job, start_server};

/// The n-th write is acknowledged and lost, kept twice, kept with an error for an answer, or kept.
const FATES: [&str; 4] = ["lost", "doubled", "unknown", "kept"];

/// Runs a load of writes; the first look-ups of the audit fail as often as told.
fn audited(failures: u32) -> (Report, BTreeMap<String, &'static str>) {
    let (notes, fates) = (Mutex::new(Vec::<(String, Value)>::new()), Arc::new(Mutex::new(BTreeMap::new())));
    let (held, failing) = (Arc::new((notes, Arc::clone(&fates))), Arc::new(AtomicU32::new(failures)));
    let server = start_server(move |request: http::Request<Incoming>| {
        let (held, failing) = (Arc::clone(&held), Arc::clone(&failing));
        async move {
            let (head, body) = request.into_parts();
            let (notes, fates) = &*held;
            if head.method == Method::POST {
                let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
                let key = body["key"].as_str().unwrap().to_owned();
                let mut fates = fates.lock().unwrap();
                let fate = FATES[fates.len() % 4];
                fates.insert(key.clone(), fate);
                let copies = if fate == "doubled" { 2 } else { usize::from(fate != "lost") };
                notes.lock().unwrap().extend(vec![(key, body["note"].clone()); copies]);
                let status = if fate == "unknown" { 500 } else { 200 };
                return Response::builder().status(status).body(Full::default()).unwrap();
            }
            if failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                return Response::builder().status(503).body(Full::default()).unwrap();
            }
            let key = head.uri.query().unwrap().strip_prefix("key=").unwrap();
            let notes = notes.lock().unwrap();
            let found: Vec<Value> =
                notes.iter().filter(|(k, _)| k == key).map(|(_, note)| json!({"note": note})).collect();
            Response::new(Full::new(Bytes::from(json!({"items": found}).to_string())))
        }
    });
    let write = json!({"method": "POST", "path": "/notes", "body": {"key": "{{uuid}}", "note": "{{fresh}}"},
        "mark": {"write": {"key": "{{uuid}}", "value": "{{fresh}}"}}});
    let mut job = job(&server.authority, vec![write], 200.0, 0.5);
    job.plan.audit = serde_json::from_value(
        json!({"path": "/notes?key={{key}}", "found": {"list": "/items", "value": "/note"}}),
    )
    .unwrap();
    let report = Running::start(&job).finish();
    let fates = std::mem::take(&mut *fates.lock().unwrap());
    (report, fates)
}

fn split(report: &Report) -> (BTreeMap<&str, &Request>, Vec<&Request>) {
    let (writes, audits): (Vec<_>, Vec<_>) =
        report.rows.iter().partition(|row| row.operation == Operation::Write);
    (writes.into_iter().map(|row| (row.key.as_str(), row)).collect(), audits)
}

#[test]
fn an_audit_finds_what_was_lost_doubled_and_kept_in_spite_of_an_error() {
    let (report, fates) = audited(0);
    let (writes, audits) = split(&report);
    assert_eq!((writes.len(), audits.len(), fates.len()), (99, 99, 99));
    let last_write = writes.values().map(|row| row.done_us).max().unwrap();
    for row in audits {
        assert_eq!((row.class, row.operation, row.step), (Class::Ok, Operation::Audit, AUDIT_STEP));
        assert!(row.intended_us == row.sent_us && row.sent_us >= last_write, "{row:?}");
        let written = writes[row.key.as_str()].value.clone();
        let expected = match fates[&row.key] {
            "lost" => String::new(),
            "doubled" => format!("{written}\n{written}"),
            _ => written,
        };
        assert_eq!(row.value, expected, "{row:?}");
    }
    assert_eq!(report.counts.sent, 99, "the audit's requests are not counted");
}

#[test]
fn an_audit_asks_once_more_for_what_it_did_not_learn() {
    let (report, _) = audited(10);
    let (_, audits) = split(&report);
    assert_eq!(audits.len(), 99);
    assert!(audits.iter().all(|row| row.class == Class::Ok));
}

#[test]
fn what_an_audit_never_learns_is_said_so() {
    let (report, _) = audited(10_000);
    let (_, audits) = split(&report);
    assert_eq!(audits.len(), 99, "one row a key");
    assert!(
        audits.iter().all(|row| row.class == Class::WrongStatus && row.status == 503 && row.value.is_empty())
    );
}
