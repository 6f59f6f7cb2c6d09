//! Notices early that a deployment cannot come: what a pod waits for, or why none is made, will not pass by itself.

use std::time::Duration;

use gauntlet_core::port::Trouble;
use k8s_openapi::{
    api::core::v1::{Event, Pod},
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, Client, api::ListParams};
use tokio::time::{Instant, sleep};

use super::cause::cause;
use crate::api::{told::within, wait::reasons};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const ASK: Duration = Duration::from_secs(5);
/// A registry that stumbles, or a Secret that comes a moment later, passes by itself.
const GRACE: Duration = Duration::from_secs(15);
/// How far the cluster's clock may be behind.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// Answers why the pods with these labels cannot come, once it is hopeless; else never.
pub(crate) async fn hopeless(client: &Client, namespace: &str, labels: &str) -> String {
    let began = Timestamp::now();
    let mut since: Option<(&'static str, Instant)> = None;
    loop {
        sleep(LOOK_EVERY).await;
        // Who cannot look now looks again; whoever waits for the rollout has a limit.
        let Ok(told) = signs(client, namespace, labels, began - SKEW).await else { continue };
        let lost =
            told.into_iter().find_map(|why| Some((cause(&why).filter(|cause| cause.hopeless)?.name, why)));
        since = match (lost, since) {
            (None, _) => None,
            (Some((name, why)), Some((before, at))) if name == before && at.elapsed() >= GRACE => {
                return why;
            }
            (Some((name, _)), Some((before, at))) if name == before => Some((before, at)),
            (Some((name, _)), _) => Some((name, Instant::now())),
        };
    }
}

// What its pods wait for, and why a controller cannot make one.
async fn signs(
    client: &Client,
    namespace: &str,
    labels: &str,
    after: Timestamp,
) -> Result<Vec<String>, Trouble> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = within(ASK, "its pods", pods.list(&ListParams::default().labels(labels))).await?;
    let mut told: Vec<String> = pods
        .items
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .flat_map(|pod| {
            let name = pod.metadata.name.clone().unwrap_or_default();
            reasons(pod).into_iter().map(move |why| format!("pod {name}: {why}"))
        })
        .collect();
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let uncreated = ListParams::default().fields("reason=FailedCreate,type=Warning");
    let events = within(ASK, "its events", events.list(&uncreated)).await?;
    told.extend(events.items.into_iter().filter(|event| is_after(event, after)).map(shown));
    Ok(told)
}

fn is_after(event: &Event, after: Timestamp) -> bool {
    let micros = event.event_time.as_ref().map(|time| time.0);
    event.last_timestamp.as_ref().map(|time| time.0).or(micros).is_some_and(|at| at >= after)
}

fn shown(event: Event) -> String {
    let of = &event.involved_object;
    let (kind, name) = (of.kind.as_deref().unwrap_or("?"), of.name.as_deref().unwrap_or("?"));
    format!("{kind} {name}: {}", event.message.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::{is_after, shown};

    #[test]
    fn only_what_was_told_since_counts() {
        let event: super::Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": { "kind": "StatefulSet", "name": "store" },
            "message": "create Pod store-0 failed: exceeded quota", "lastTimestamp": "2026-01-01T00:00:10Z",
        }))
        .unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(is_after(&event, at("2026-01-01T00:00:10Z")));
        assert!(!is_after(&event, at("2026-01-01T00:00:11Z")));
        assert_eq!(shown(event), "StatefulSet store: create Pod store-0 failed: exceeded quota");
    }
}
