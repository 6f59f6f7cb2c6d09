//! The pods of a component as its replicas: by age, then by name, so that a number means the same pod for as long as it
//! lives.

use gauntlet_core::{
    act::Object,
    name::Name,
    port::Trouble,
    system::{System, kubernetes::pods},
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{Api, api::ListParams};

use crate::api::patience::ask;

/// One container of one pod, as the API server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    /// The pod's name.
    pub(crate) pod: String,
    /// The pod's identity.
    pub(crate) uid: String,
    /// The node that it runs on.
    pub(crate) node: String,
    /// The container's name.
    pub(crate) container: String,
    /// The running container's id: 64 hex digits, another one after each restart. None: it does not run.
    pub(crate) id: Option<String>,
    /// How often it was restarted.
    pub(crate) restarts: i32,
    /// Whether it was chosen to be the next that its workload removes.
    pub(crate) leaves: bool,
}

/// The lower, the earlier a ReplicaSet removes this pod when it is scaled down.
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// That of a pod that is to leave.
pub(crate) const LEAVES: &str = "-1000";

/// The label selector of a component's pods, and their container.
pub(crate) fn selected(system: &System, component: &Name) -> (String, String) {
    let said = system.components.get(component).and_then(|component| component.kube.as_ref());
    pods(component, said)
}

/// Asks the API server for a component's replicas, in order.
pub(crate) async fn list(
    pods: &Api<Pod>,
    system: &System,
    component: &Name,
) -> Result<Vec<Replica>, Trouble> {
    let (select, container) = selected(system, component);
    let params = ListParams::default().labels(&select);
    let list = ask(format!("list the pods of {component}"), || pods.list(&params)).await?;
    Ok(replicas(&list.items, &container))
}

/// A component's replicas, in order. A pod that is being removed is none any more.
pub(crate) fn replicas<'a>(pods: impl IntoIterator<Item = &'a Pod>, container: &str) -> Vec<Replica> {
    let mut pods: Vec<&Pod> = pods.into_iter().filter(|pod| lives(pod)).collect();
    pods.sort_by_key(|pod| {
        let born = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (born, pod.metadata.name.clone())
    });
    pods.into_iter().map(|pod| replica(pod, container)).collect()
}

fn lives(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

pub(crate) fn replica(pod: &Pod, container: &str) -> Replica {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref());
    let status = statuses.unwrap_or_default().iter().find(|status| status.name == container);
    Replica {
        pod: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        container: container.to_owned(),
        id: status.and_then(running),
        restarts: status.map_or(0, |status| status.restart_count),
        leaves: pod
            .metadata
            .annotations
            .as_ref()
            .and_then(|notes| notes.get(DELETION_COST))
            .is_some_and(|cost| cost == LEAVES),
    }
}

/// `containerd://ID` of a container that runs.
fn running(status: &ContainerStatus) -> Option<String> {
    status.state.as_ref()?.running.as_ref()?;
    Some(status.container_id.as_ref()?.rsplit_once("://")?.1.to_owned())
}

/// A container on its node, in the words of a receipt: what a signal is pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) id: String,
    pub(crate) node: String,
}

impl Pinned {
    /// What a replica is pinned to, while it runs.
    pub(crate) fn of(replica: &Replica) -> Option<Self> {
        Some(Self { id: replica.id.clone()?, node: replica.node.clone() })
    }

    /// `container ID on NODE`.
    pub(crate) fn object(&self) -> Object {
        Object(format!("container {} on {}", self.id, self.node))
    }

    /// From `container ID on NODE`.
    pub(crate) fn parse(object: &Object) -> Option<Self> {
        match object.0.split(' ').collect::<Vec<_>>().as_slice() {
            ["container", id, "on", node] => Some(Self { id: (*id).to_owned(), node: (*node).to_owned() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Pinned, Pod, replicas};

    fn pod(name: &str, born: &str, more: serde_json::Value) -> Pod {
        let mut pod = json!({
            "metadata": { "name": name, "uid": format!("uid-{name}"), "creationTimestamp": born },
            "spec": { "nodeName": "worker", "containers": [] },
            "status": { "containerStatuses": [{
                "name": "web", "image": "x", "imageID": "x", "ready": true, "restartCount": 2,
                "containerID": format!("containerd://id-{name}"), "state": { "running": {} },
            }] },
        });
        for (key, value) in more.as_object().unwrap() {
            pod[key] = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn replicas_are_numbered_by_age_then_name_and_a_leaving_pod_is_none() {
        let leaving = json!({ "metadata": { "name": "a", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": "2026-01-01T00:01:00Z" } });
        let pods = [
            pod("c", "2026-01-01T00:00:01Z", json!({})),
            pod("b", "2026-01-01T00:00:01Z", json!({})),
            pod("d", "2026-01-01T00:00:00Z", json!({})),
            pod("a", "2026-01-01T00:00:00Z", leaving),
        ];
        let names: Vec<_> = replicas(&pods, "web").into_iter().map(|replica| replica.pod).collect();
        assert_eq!(names, ["d", "b", "c"]);
    }

    #[test]
    fn a_container_that_waits_has_no_id() {
        let waits = json!({ "status": { "containerStatuses": [{
            "name": "web", "image": "x", "imageID": "x", "ready": false, "restartCount": 3,
            "containerID": "containerd://old", "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        }] } });
        let found = replicas(&[pod("a", "2026-01-01T00:00:00Z", waits)], "web");
        assert_eq!((found[0].id.as_deref(), found[0].restarts), (None, 3));
    }

    #[test]
    fn an_object_reads_back() {
        let pinned = Pinned { id: "ab12".into(), node: "kind-worker".into() };
        assert_eq!(Pinned::parse(&pinned.object()), Some(pinned));
        assert_eq!(Pinned::parse(&gauntlet_core::act::Object("process 1 started 2".into())), None);
    }
}
