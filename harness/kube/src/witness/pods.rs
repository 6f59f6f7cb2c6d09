//! The pods of a namespace, as a watch of the API server tells them. Nothing is asked again and again.

use std::{collections::BTreeMap, future, net::IpAddr, sync::Arc, time::Duration};

use futures_util::StreamExt;
use gauntlet_core::{
    name::Name,
    port::Trouble,
    system::{System, kubernetes::pods},
};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, reflector, watcher},
};
use tokio::{task::AbortHandle, time::timeout};

use crate::{
    api::watch::{Steady, wanted},
    deploy::cause,
};

/// How long the first list may take.
const LISTED_WITHIN: Duration = Duration::from_secs(10);

/// A watched namespace.
pub(super) struct Pods {
    store: reflector::Store<Pod>,
    system: Arc<System>,
    watching: AbortHandle,
}

/// One container of one pod, as it was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Replica {
    pub(super) pod: String,
    pub(super) node: String,
    /// The id of the container that runs: another one after each restart.
    pub(super) id: Option<String>,
    /// Why the kubelet starts it later; none: nothing holds it back, or what does not pass by itself.
    pub(super) held: Option<String>,
    /// Whether the pod's own readiness probe says so.
    pub(super) ready: bool,
    /// Its environment, as far as it is plain text.
    pub(super) env: BTreeMap<String, Option<String>>,
    pub(super) image: Option<String>,
    pub(super) address: Option<IpAddr>,
    ports: BTreeMap<String, u16>,
}

impl Pods {
    /// Begins to watch. It ends when this is dropped.
    pub(super) fn watch(client: &Client, namespace: &str, system: Arc<System>) -> Self {
        let (store, writer) = reflector::store();
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let stream = watcher(pods, wanted()).backoff(Steady).reflect(writer);
        let watched = stream.for_each(|event| {
            if let Err(error) = event {
                tracing::debug!("the watch of the pods: {error}");
            }
            future::ready(())
        });
        Self { store, system, watching: tokio::spawn(watched).abort_handle() }
    }

    async fn listed(&self, what: &str) -> Result<(), Trouble> {
        let listed = timeout(LISTED_WITHIN, self.store.wait_until_ready()).await;
        let listed =
            listed.map_err(|_| Trouble::failed(what, format!("not listed within {LISTED_WITHIN:?}")))?;
        listed.map_err(|error| Trouble::failed(what, error))
    }

    /// Whether there is a pod of that name, of whatever component. One that leaves still answers.
    pub(super) async fn has(&self, name: &str) -> Result<bool, Trouble> {
        self.listed(&format!("see whether {name} is a pod")).await?;
        Ok(self.store.state().iter().any(|pod| pod.metadata.name.as_deref() == Some(name)))
    }

    /// A component's replicas: by age, then by name. A pod that leaves is none any more.
    pub(super) async fn replicas(&self, component: &Name) -> Result<Vec<Replica>, Trouble> {
        self.listed(&format!("see the pods of {component}")).await?;
        let said = self.system.components.get(component).and_then(|component| component.kube.as_ref());
        let (select, container) = pods(component, said);
        let mut pods: Vec<Arc<Pod>> =
            self.store.state().into_iter().filter(|pod| is_there(pod) && bears(pod, &select)).collect();
        pods.sort_by_key(|pod| {
            (pod.metadata.creation_timestamp.as_ref().map(|born| born.0), pod.metadata.name.clone())
        });
        Ok(pods.iter().map(|pod| Replica::of(pod, &container)).collect())
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Replica {
    fn of(pod: &Pod, container: &str) -> Self {
        let spec = pod.spec.as_ref();
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let status = statuses.into_iter().flatten().find(|status| status.name == container);
        let runs = status.filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()));
        let id = runs.and_then(|status| status.container_id.as_deref()?.split_once("://"));
        let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
        let own = containers.iter().find(|one| one.name == container);
        let env = own.into_iter().flat_map(|one| one.env.iter().flatten());
        Self {
            pod: pod.metadata.name.clone().unwrap_or_default(),
            node: spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
            id: id.map(|(_, id)| id.to_owned()),
            held: status.and_then(held),
            ready: runs.is_some_and(|status| status.ready),
            env: env.map(|entry| (entry.name.clone(), entry.value.clone())).collect(),
            address: pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
            image: own.and_then(|one| one.image.clone()),
            ports: own.into_iter().flat_map(ports).collect(),
        }
    }

    /// The number of a port, by the name that the pod gives it.
    pub(super) fn port(&self, name: &Name) -> Result<u16, String> {
        let number = self.ports.get(name.as_str()).copied();
        number.ok_or_else(|| {
            format!("the container of {} has no port named {name:?}", self.pod, name = name.as_str())
        })
    }
}

/// `CrashLoopBackOff: back-off 40s, after Error, code 137`. An image or a Secret that is not there is nothing to wait for.
fn held(status: &ContainerStatus) -> Option<String> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    if cause(reason).is_some_and(|cause| cause.hopeless) {
        return None;
    }
    // The kubelet's words end with names that the reader knows.
    let message = waiting.message.as_deref().and_then(|text| text.split(" restarting ").next());
    let message = message.map(|text| format!(": {text}")).unwrap_or_default();
    let before = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let before = before
        .map(|end| format!(", after {}, code {}", end.reason.as_deref().unwrap_or("its end"), end.exit_code));
    Some(format!("{reason}{message}{}", before.unwrap_or_default()))
}

fn ports(container: &Container) -> impl Iterator<Item = (String, u16)> {
    let ports = container.ports.iter().flatten();
    ports.filter_map(|port| Some((port.name.clone()?, u16::try_from(port.container_port).ok()?)))
}

/// One that was evicted, or has ended, stays as an object and is no replica any more.
fn is_there(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

/// `a=b,c=d`, or `a` for a label of any value.
fn bears(pod: &Pod, select: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    select.split(',').all(|wanted| match wanted.trim().split_once('=') {
        Some((name, value)) => {
            labels.and_then(|labels| labels.get(name)).is_some_and(|is| is == value.trim_start_matches('='))
        }
        None => labels.is_some_and(|labels| labels.contains_key(wanted.trim())),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Pod, Replica, bears, is_there};

    #[test]
    fn a_container_that_the_kubelet_starts_later_says_why_and_when() {
        let replica = |waiting: serde_json::Value| {
            let status = json!({
                "name": "web", "image": "i", "imageID": "", "ready": false, "restartCount": 4,
                "containerID": "containerd://old", "state": { "waiting": waiting },
                "lastState": { "terminated": { "exitCode": 137, "reason": "Error" } },
            });
            let pod = json!({ "metadata": { "name": "web-1" }, "status": { "containerStatuses": [status] } });
            let replica = Replica::of(&serde_json::from_value(pod).unwrap(), "web");
            assert_eq!(replica.id, None);
            assert!(!replica.ready);
            replica.held
        };
        let message = "back-off 40s restarting failed container=web pod=web-1_shop(0123)";
        assert_eq!(
            replica(json!({ "reason": "CrashLoopBackOff", "message": message })).unwrap(),
            "CrashLoopBackOff: back-off 40s, after Error, code 137"
        );
        let creating = replica(json!({ "reason": "ContainerCreating" }));
        assert_eq!(creating.unwrap(), "ContainerCreating, after Error, code 137");
        assert_eq!(replica(json!({ "reason": "ErrImageNeverPull", "message": "not present" })), None);
        assert_eq!(replica(json!({})), None);
    }

    #[test]
    fn a_pod_that_was_evicted_is_no_replica() {
        let there = |phase: &str| {
            let pod = json!({ "metadata": { "name": "web-1" }, "status": { "phase": phase } });
            is_there(&serde_json::from_value(pod).unwrap())
        };
        assert_eq!(["Pending", "Running", "Failed", "Succeeded"].map(there), [true, true, false, false]);
    }

    #[test]
    fn a_selector_asks_for_every_label() {
        let pod: Pod =
            serde_json::from_value(json!({ "metadata": { "labels": { "app": "web", "tier": "x" } } }))
                .unwrap();
        assert!(bears(&pod, "app=web") && bears(&pod, "app==web,tier=x") && bears(&pod, "tier"));
        assert!(!bears(&pod, "app=web,tier=y") && !bears(&pod, "zone"));
    }
}
