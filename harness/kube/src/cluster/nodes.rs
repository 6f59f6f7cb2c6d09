//! Nodes: whether they are ready, since when, and what they run. Who may not read them learns nothing of them.

use std::collections::BTreeSet;

use gauntlet_core::{evidence::Machine, port::Trouble};
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use kube::{Api, Client, api::ListParams};

use crate::api::patience::ask;

/// All of them.
pub(crate) async fn list(client: &Client) -> Result<Vec<Node>, Trouble> {
    let nodes: Api<Node> = Api::all(client.clone());
    let all = ListParams::default();
    Ok(ask("list the nodes", || nodes.list(&all)).await?.items)
}

/// Those of these names that are there.
pub(crate) async fn named(client: &Client, names: &BTreeSet<String>) -> Result<Vec<Node>, Trouble> {
    let nodes: Api<Node> = Api::all(client.clone());
    let (nodes, found) = (&nodes, names.iter());
    let found = found.map(|name| ask(format!("look at node {name}"), move || nodes.get_opt(name)));
    let found = futures_util::future::try_join_all(found).await?;
    Ok(found.into_iter().flatten().collect())
}

/// Which of these nodes are not ready, and why. Nothing where the account may not read nodes.
pub(crate) async fn unready_of(client: &Client, names: &BTreeSet<String>) -> Vec<String> {
    let found = named(client, names).await.unwrap_or_else(|trouble| {
        tracing::debug!("{trouble}");
        vec![]
    });
    found.iter().filter_map(unready).collect()
}

/// Which nodes hold pods up: those that carry one of them and are not ready, and where a pod has none yet, all that are
/// not ready or take no pods.
pub(crate) async fn holding_up(client: &Client, pods: &[Pod]) -> Vec<String> {
    let carriers: BTreeSet<String> = pods.iter().filter_map(carrier).collect();
    if pods.iter().all(|pod| carrier(pod).is_some()) {
        return unready_of(client, &carriers).await;
    }
    let all = list(client).await.unwrap_or_else(|trouble| {
        tracing::debug!("{trouble}");
        vec![]
    });
    all.iter().filter_map(|node| unready(node).or_else(|| cordoned(node))).collect()
}

/// The node that a pod is on.
pub(crate) fn carrier(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone().filter(|name| !name.is_empty())
}

/// Whether pods can run there.
pub(crate) fn is_ready(node: &Node) -> bool {
    readiness(node).is_some_and(|ready| ready.status == "True")
}

/// In words, where it is not ready.
pub(crate) fn unready(node: &Node) -> Option<String> {
    let Machine { unready, since } = machine(node);
    unready.map(|why| format!("node {} is not ready since {since}: {why}", name(node)))
}

fn cordoned(node: &Node) -> Option<String> {
    let closed = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    closed.then(|| format!("node {} is cordoned: it takes no pods", name(node)))
}

/// How it is.
pub(crate) fn machine(node: &Node) -> Machine {
    let Some(ready) = readiness(node) else {
        return Machine { unready: Some("its kubelet never reported".into()), since: "its making".into() };
    };
    let since = ready.last_transition_time.as_ref().map_or_else(|| "?".into(), |time| time.0.to_string());
    let why = [ready.reason.as_deref(), ready.message.as_deref()];
    let why: Vec<&str> = why.into_iter().flatten().map(str::trim).filter(|text| !text.is_empty()).collect();
    Machine { unready: (ready.status != "True").then(|| why.join(": ")), since }
}

/// What it runs.
pub(crate) fn runs(node: &Node) -> String {
    let Some(info) = node.status.as_ref().and_then(|status| status.node_info.as_ref()) else {
        return "it never reported".into();
    };
    let platform = format!("{}/{}", info.operating_system, info.architecture);
    let kernel = format!("kernel {}", info.kernel_version);
    let parts = [&info.kubelet_version, &platform, &info.container_runtime_version, &kernel, &info.os_image];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    format!("kubelet {}", parts.join(", "))
}

/// Its name.
pub(crate) fn name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or("?")
}

fn readiness(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.iter().flatten().find(|one| one.type_ == "Ready")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use serde_json::{Value, from_value, json};

    use super::{carrier, cordoned, is_ready, machine, runs, unready};

    fn node(status: Value) -> Node {
        from_value(json!({ "metadata": { "name": "worker" }, "status": status })).unwrap()
    }

    #[test]
    fn a_node_that_is_not_ready_says_since_when_and_why() {
        let stopped = node(json!({ "conditions": [
            { "type": "MemoryPressure", "status": "Unknown" },
            { "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
              "message": "Kubelet stopped posting node status.", "lastTransitionTime": "2026-01-02T03:04:05Z" },
        ] }));
        assert_eq!(
            unready(&stopped).unwrap(),
            "node worker is not ready since 2026-01-02T03:04:05Z: NodeStatusUnknown: Kubelet stopped posting node status."
        );
        assert!(!is_ready(&stopped));
        let well = node(json!({ "conditions": [
            { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z" },
        ] }));
        assert!(is_ready(&well) && unready(&well).is_none());
        assert_eq!(machine(&well).since, "2026-01-02T03:04:05Z");
        assert!(unready(&node(json!({}))).unwrap().ends_with("never reported"));
    }

    #[test]
    fn a_cordoned_node_says_so() {
        let cordon = |closed: bool| -> Option<String> {
            cordoned(
                &from_value(json!({ "metadata": { "name": "a" }, "spec": { "unschedulable": closed } }))
                    .unwrap(),
            )
        };
        assert_eq!(cordon(true).unwrap(), "node a is cordoned: it takes no pods");
        assert_eq!((cordon(false), cordoned(&node(json!({})))), (None, None));
    }

    #[test]
    fn a_node_says_what_it_runs() {
        let info = json!({
            "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "containerd://2.2.9", "kernelVersion": "6.1",
            "kubeProxyVersion": "", "kubeletVersion": "v1.34.4", "machineID": "", "operatingSystem": "linux",
            "osImage": "Debian", "systemUUID": "",
        });
        assert_eq!(
            runs(&node(json!({ "nodeInfo": info }))),
            "kubelet v1.34.4, linux/amd64, containerd://2.2.9, kernel 6.1, Debian"
        );
        assert_eq!(runs(&node(json!({}))), "it never reported");
    }

    #[test]
    fn a_pod_that_is_on_no_node_has_no_carrier() {
        let pod = |spec: Value| from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
        assert_eq!(carrier(&pod(json!({ "containers": [], "nodeName": "worker" }))), Some("worker".into()));
        assert_eq!(carrier(&pod(json!({ "containers": [] }))), None);
    }
}
