//! Waiting for rollouts, by watch; and when one does not come, why.

use std::{pin::pin, time::Duration};

use futures_util::{StreamExt, future::try_join_all};
use gauntlet_core::port::Trouble;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::{ContainerStateTerminated, ContainerStatus, Pod},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{DynamicObject, Selector},
    runtime::{WatchStreamExt, watcher::watch_object},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    api::{
        told::{told, within},
        watch::Steady,
    },
    cluster::nodes,
};

/// How long it may take to ask why.
const ASK: Duration = Duration::from_secs(5);

/// Waits until every Deployment, StatefulSet and DaemonSet among the objects has rolled out, side by side.
pub async fn rollouts(client: &Client, objects: &[DynamicObject], limit: Duration) -> Result<(), Trouble> {
    let waits = objects.iter().filter_map(|object| {
        let (kind, name) = (&object.types.as_ref()?.kind, object.metadata.name.as_ref()?);
        let namespace = object.metadata.namespace.as_deref().unwrap_or(client.default_namespace());
        ["Deployment", "StatefulSet", "DaemonSet"]
            .contains(&kind.as_str())
            .then(|| rollout(client, kind, namespace, name, limit))
    });
    try_join_all(waits).await.map(drop)
}

/// Waits until a `Deployment`, `StatefulSet` or `DaemonSet` has rolled out. The error says what its pods wait for.
pub async fn rollout(
    client: &Client,
    kind: &str,
    namespace: &str,
    name: &str,
    limit: Duration,
) -> Result<(), Trouble> {
    match kind {
        "Deployment" => rolled::<Deployment>(client, namespace, name, limit).await,
        "StatefulSet" => rolled::<StatefulSet>(client, namespace, name, limit).await,
        "DaemonSet" => rolled::<DaemonSet>(client, namespace, name, limit).await,
        other => {
            Err(Trouble::refused(format!("rollout of {other} {name}"), "nothing of that kind rolls out"))
        }
    }
}

// What has pods that are replaced one after the other.
trait Rolls: Resource<DynamicType = (), Scope = NamespaceResourceScope> {
    // What is still to come; nothing: it has rolled out.
    fn missing(&self) -> Option<String>;
    fn selector(&self) -> Option<&LabelSelector>;
}

async fn rolled<K>(client: &Client, namespace: &str, name: &str, limit: Duration) -> Result<(), Trouble>
where
    K: Rolls + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let mut last = ("nothing was seen of it".to_owned(), None);
    let watching = async {
        let mut seen = pin!(watch_object(api, name).backoff(Steady));
        while let Some(seen) = seen.next().await {
            match seen {
                Ok(Some(object)) => match object.missing() {
                    None => return,
                    Some(missing) => last = (missing, object.selector().cloned()),
                },
                Ok(None) => last = ("it does not exist".to_owned(), None),
                Err(error) => last.0 = told(&error),
            }
        }
    };
    if timeout(limit, watching).await.is_ok() {
        return Ok(());
    }
    let (mut why, selector) = last;
    if let Some(selector) = selector {
        why = format!("{why}; {}", waiting(client, namespace, &selector).await);
    }
    let what = format!("rollout of {} {namespace}/{name}", K::kind(&()));
    Err(Trouble::failed(what, format!("not done within {limit:?}: {why}")))
}

async fn waiting(client: &Client, namespace: &str, selector: &LabelSelector) -> String {
    let selector = Selector::try_from(selector.clone()).unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = within(ASK, "its pods", pods.list(&ListParams::default().labels_from(&selector))).await;
    let pods = match pods {
        Ok(pods) => pods.items,
        Err(error) => return error.to_string(),
    };
    let unready = pods.iter().map(|pod| (pod, reasons(pod))).filter(|(_, reasons)| !reasons.is_empty());
    let mut lines: Vec<String> = unready
        .map(|(pod, why)| format!("pod {}: {}", pod.metadata.name.as_deref().unwrap_or("?"), why.join(", ")))
        .collect();
    let more = lines.len().saturating_sub(3);
    lines.truncate(3);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.extend(nodes::holding_up(client, &pods).await);
    if lines.is_empty() { format!("none of its {} pods says why", pods.len()) } else { lines.join("; ") }
}

/// Why a pod is not ready; nothing when it is.
pub fn reasons(pod: &Pod) -> Vec<String> {
    let Some(status) = &pod.status else { return vec!["it has no status yet".to_owned()] };
    let condition = |kind: &str| status.conditions.iter().flatten().find(|one| one.type_ == kind);
    if condition("Ready").is_some_and(|ready| ready.status == "True") {
        return vec![];
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let mut reasons: Vec<String> = containers.filter_map(of_container).collect();
    for kind in ["PodScheduled", "Ready"] {
        let unmet = condition(kind).filter(|one| one.status != "True" && reasons.is_empty());
        reasons.extend(unmet.map(|one| said(one.reason.as_deref().unwrap_or(kind), one.message.as_deref())));
    }
    if reasons.is_empty() {
        reasons.push(status.phase.clone().unwrap_or_else(|| "no reason is given".to_owned()));
    }
    reasons
}

fn of_container(status: &ContainerStatus) -> Option<String> {
    let state = status.state.as_ref()?;
    let before = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let why = match (&state.waiting, &state.terminated) {
        (Some(waiting), _) => {
            let reason = waiting.reason.as_deref().filter(|reason| *reason != "PodInitializing")?;
            match before {
                // How it ended says more than that it will be started again.
                Some(before) => format!("{reason} ({})", end(before)),
                None => said(reason, waiting.message.as_deref()),
            }
        }
        (None, Some(ended)) if ended.exit_code != 0 => end(ended),
        _ => return None,
    };
    Some(format!("container {}: {why}", status.name))
}

fn end(of: &ContainerStateTerminated) -> String {
    let reason = of.reason.as_deref().unwrap_or("ended");
    let last = of.message.as_deref().and_then(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
    said(&format!("{reason}, code {}", of.exit_code), last)
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message.map(str::trim) {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason.to_owned(),
    }
}

fn behind(generation: Option<i64>, observed: Option<i64>) -> Option<String> {
    (observed < generation).then(|| "its controller has not seen it yet".to_owned())
}

fn fewer(have: Option<i32>, want: i32, what: &str) -> Option<String> {
    let have = have.unwrap_or(0);
    (have < want).then(|| format!("{have} of {want} pods are {what}"))
}

impl Rolls for Deployment {
    fn missing(&self) -> Option<String> {
        let want = self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = self.status.clone().unwrap_or_default();
        let old = status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0);
        behind(self.metadata.generation, status.observed_generation)
            .or_else(|| fewer(status.updated_replicas, want, "updated"))
            .or_else(|| fewer(status.available_replicas, want, "available"))
            .or_else(|| (old > 0).then(|| format!("{old} old pods are not gone")))
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }
}

impl Rolls for StatefulSet {
    fn missing(&self) -> Option<String> {
        let spec = self.spec.clone().unwrap_or_default();
        let want = spec.replicas.unwrap_or(1);
        let strategy = spec.update_strategy.unwrap_or_default();
        let kept = strategy.rolling_update.and_then(|rolling| rolling.partition).unwrap_or(0);
        let by_hand = strategy.type_.as_deref() == Some("OnDelete");
        let status = self.status.clone().unwrap_or_default();
        let updated = if by_hand || status.update_revision == status.current_revision {
            None
        } else {
            fewer(status.updated_replicas, want - kept, "updated")
        };
        behind(self.metadata.generation, status.observed_generation)
            .or(updated)
            .or_else(|| fewer(status.ready_replicas, want, "ready"))
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }
}

impl Rolls for DaemonSet {
    fn missing(&self) -> Option<String> {
        let status = self.status.clone().unwrap_or_default();
        let want = status.desired_number_scheduled;
        behind(self.metadata.generation, status.observed_generation)
            .or_else(|| fewer(status.updated_number_scheduled, want, "updated"))
            .or_else(|| fewer(status.number_available, want, "available"))
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::Pod,
    };
    use serde_json::{Value, from_value, json};

    use super::{Rolls, reasons};

    fn deployment(status: Value) -> Option<String> {
        let spec = json!({ "replicas": 3, "selector": {}, "template": {} });
        from_value::<Deployment>(json!({ "metadata": { "generation": 2 }, "spec": spec, "status": status }))
            .unwrap()
            .missing()
    }

    #[test]
    fn a_deployment_is_done_when_only_new_pods_serve() {
        let seen = |updated: i32, available: i32, all: i32| {
            deployment(json!({
                "observedGeneration": 2, "replicas": all,
                "updatedReplicas": updated, "availableReplicas": available,
            }))
        };
        assert_eq!(deployment(json!({})).unwrap(), "its controller has not seen it yet");
        assert_eq!(seen(1, 3, 4).unwrap(), "1 of 3 pods are updated");
        assert_eq!(seen(3, 2, 4).unwrap(), "2 of 3 pods are available");
        assert_eq!(seen(3, 3, 4).unwrap(), "1 old pods are not gone");
        assert_eq!(seen(3, 3, 3), None);
    }

    #[test]
    fn a_stateful_set_is_done_above_its_partition() {
        let missing = |partition: i32, updated: i32, ready: i32| {
            let strategy = json!({ "rollingUpdate": { "partition": partition } });
            let set: StatefulSet = from_value(json!({
                "metadata": { "generation": 1 },
                "spec": {
                    "replicas": 3, "selector": {}, "serviceName": "x", "template": {}, "updateStrategy": strategy,
                },
                "status": {
                    "observedGeneration": 1, "replicas": 3, "updatedReplicas": updated, "readyReplicas": ready,
                    "currentRevision": "a", "updateRevision": "b",
                },
            }))
            .unwrap();
            set.missing()
        };
        assert_eq!(missing(0, 2, 3).unwrap(), "2 of 3 pods are updated");
        assert_eq!(missing(2, 1, 2).unwrap(), "2 of 3 pods are ready");
        assert_eq!(missing(2, 1, 3), None);
    }

    #[test]
    fn a_daemon_set_is_done_on_every_node() {
        let status = json!({
            "currentNumberScheduled": 3, "desiredNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 3,
            "observedGeneration": 1, "updatedNumberScheduled": 3, "numberAvailable": 2,
        });
        let set: DaemonSet =
            from_value(json!({ "metadata": { "generation": 1 }, "status": status })).unwrap();
        assert_eq!(set.missing().unwrap(), "2 of 3 pods are available");
    }

    fn pod(status: Value) -> Vec<String> {
        reasons(&from_value::<Pod>(json!({ "metadata": { "name": "p" }, "status": status })).unwrap())
    }

    #[test]
    fn a_pod_says_what_it_waits_for() {
        let container = |state: Value, last: Value| {
            json!({ "containerStatuses": [{
                "name": "app", "ready": false, "restartCount": 1, "image": "i", "imageID": "", "state": state,
                "lastState": last,
            }] })
        };
        let pull = json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } });
        assert_eq!(pod(container(pull, json!({}))), ["container app: ImagePullBackOff: no such image"]);
        let crash = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let before =
            json!({ "terminated": { "exitCode": 3, "reason": "Error", "message": "begun\nno such word\n" } });
        assert_eq!(
            pod(container(crash, before)),
            ["container app: CrashLoopBackOff (Error, code 3: no such word)"]
        );
        let condition = |kind: &str, reason: &str| json!({ "type": kind, "status": "False", "reason": reason, "message": "no node fits" });
        assert_eq!(
            pod(json!({ "conditions": [condition("PodScheduled", "Unschedulable")] })),
            ["Unschedulable: no node fits"]
        );
        assert_eq!(
            pod(json!({ "conditions": [{ "type": "Ready", "status": "True" }] })),
            Vec::<String>::new()
        );
        assert_eq!(pod(json!({ "phase": "Pending" })), ["Pending"]);
    }
}
