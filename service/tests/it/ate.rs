//! Effects: right, cached bit for bit, refused with a reason, and never more at once than the service can bear.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Half;
use crate::process::eventually;
use crate::world::{World, question};

const ATE: &str = "/api/v1/interventions/ate";

#[tokio::test]
async fn a_hit_is_the_miss_bit_for_bit_on_every_replica_and_in_any_order() {
    let world = World::without_postgres().await;
    let (one, two) = (world.start("one", &[]), world.start("two", &[("COMPUTE_THREADS", "2")]));
    let miss = one.post(ATE, &question(5000, 1)).await;
    assert_eq!((miss.status, miss.header("x-replica")), (200, Some("one")));
    assert_eq!(miss.header("x-version"), Some(env!("CARGO_PKG_VERSION")));
    let mut turned = question(5000, 1);
    turned["model"]["nodes"].as_array_mut().unwrap().reverse();
    turned["model"]["edges"].as_array_mut().unwrap().reverse();
    let hit = two.post(ATE, &turned).await;
    let (miss, hit) = (miss.json(), hit.json());
    assert_eq!((&miss["cached"], &hit["cached"]), (&json!(false), &json!(true)));
    assert_eq!(miss["backend"], "cpu");
    assert!((miss["estimate"].as_f64().unwrap() + 1.5).abs() < 0.2, "{miss}");
    for field in ["estimate", "standard_error", "confidence_interval", "samples"] {
        assert_eq!(miss[field].to_string(), hit[field].to_string(), "{field}");
    }
    assert_eq!(one.metric("cache_lookups_total{result=\"miss\"}").await, 1.0);
    assert_eq!(two.metric("cache_lookups_total{result=\"hit\"}").await, 1.0);
    assert_eq!(two.metric("cache_hit_rate").await, 1.0);
    assert_eq!(one.metric("causal_computation_duration_seconds_count").await, 1.0);
    assert!(one.metric("memory_usage_bytes").await > 1e6);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_code_and_field() {
    let world = World::without_postgres().await;
    let replica = world.start("one", &[]);
    let mut cycle = question(10, 1);
    cycle["model"]["edges"].as_array_mut().unwrap().push(json!({"from": "c", "to": "a", "weight": 1}));
    let reply = replica.post(ATE, &cycle).await;
    assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_value"));
    assert!(reply.text.contains("a -> b -> c -> a"), "{}", reply.text);
    let reply = replica.post(ATE, &question(1, 1)).await;
    assert_eq!((reply.status, &reply.json()["error"]["field"]), (422, &json!("samples")));
    let mut unknown = question(10, 1);
    unknown["sed"] = json!(1);
    assert_eq!(replica.post(ATE, &unknown).await.code(), "invalid_body");
    let text = |kind: &'static str, body: &'static str| {
        let replica = &replica;
        async move {
            let reply = replica.post_text(ATE, &[("content-type", kind)], body).await;
            (reply.status, reply.code())
        }
    };
    assert_eq!(text("application/json", "{").await, (400, "invalid_json".to_owned()));
    assert_eq!(text("text/plain", "{}").await, (415, "unsupported_media_type".to_owned()));
    let large = format!("{{\"model\":\"{}\"}}", "x".repeat(1024 * 1024));
    let reply = replica.post_text(ATE, &[], &large).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    let reply = replica.get(ATE).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    assert_eq!(replica.get("/nowhere").await.code(), "no_such_route");
    let series = "http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}";
    assert_eq!(replica.metric(series).await, 1.0);
}

#[tokio::test]
async fn one_request_too_many_is_refused_at_once_but_probes_are_answered() {
    let world = World::without_postgres().await;
    let replica = world.start("one", &[("MAX_CONCURRENT_REQUESTS", "2")]);
    let body = question(10, 1).to_string();
    let halves = [Half::send(replica.port, ATE, &body).await, Half::send(replica.port, ATE, &body).await];
    eventually("two requests are in flight", || async {
        (replica.metric("http_requests_in_flight").await >= 2.0).then_some(())
    })
    .await;
    let begun = Instant::now();
    let refused = replica.post(ATE, &question(10, 2)).await;
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!((refused.status, refused.code().as_str()), (503, "overloaded"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(replica.get("/health").await.status, 200);
    for half in halves {
        assert!(half.finish_keeping_alive().await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(replica.post(ATE, &question(10, 2)).await.status, 200);
}
