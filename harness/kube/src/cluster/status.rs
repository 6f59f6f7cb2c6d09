//! How a cluster is: its nodes, the tools, and the images that were loaded.

use std::time::Duration;

use gauntlet_core::port::Trouble;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::Node,
};
use kube::{Api, Client, api::ListParams};

use super::nodes;
use crate::{api::told::within, cluster::tools::NAMESPACE};

const ASK: Duration = Duration::from_secs(10);

/// What a person wants to know, a line each; and whether the tools are ready.
pub async fn status(client: &Client) -> Result<(Vec<String>, bool), Trouble> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = within(ASK, "listing nodes", nodes.list(&ListParams::default())).await?.items;
    let mut lines: Vec<String> = nodes.iter().map(of_node).collect();
    let agents: Api<DaemonSet> = Api::namespaced(client.clone(), NAMESPACE);
    let janitors: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let agents = within(ASK, "asking for the agents", agents.get_opt("agent")).await?;
    let janitor = within(ASK, "asking for the janitor", janitors.get_opt("janitor")).await?;
    let agents = agents.map(|set| {
        let status = set.status.clone().unwrap_or_default();
        Part {
            ready: status.number_available.unwrap_or(0),
            wanted: status.desired_number_scheduled,
            image: image(set.spec.and_then(|spec| spec.template.spec)),
        }
    });
    let janitor = janitor.map(|deployment| Part {
        ready: deployment.status.and_then(|status| status.available_replicas).unwrap_or(0),
        wanted: 1,
        image: image(deployment.spec.and_then(|spec| spec.template.spec)),
    });
    let ready = [&agents, &janitor].iter().all(|part| part.as_ref().is_some_and(Part::is_ready));
    lines.push(Part::line("agents", agents));
    lines.push(Part::line("janitor", janitor));
    if !ready {
        lines.push("the tools are not ready: `gauntlet cluster install` brings them".into());
    }
    Ok((lines, ready))
}

struct Part {
    ready: i32,
    wanted: i32,
    image: String,
}

impl Part {
    fn is_ready(&self) -> bool {
        self.wanted > 0 && self.ready >= self.wanted
    }

    fn line(name: &str, part: Option<Self>) -> String {
        match part {
            Some(part) => format!("{name:<28} {} of {} ready  {}", part.ready, part.wanted, part.image),
            None => format!("{name:<28} not installed"),
        }
    }
}

fn image(pod: Option<k8s_openapi::api::core::v1::PodSpec>) -> String {
    let first = pod.and_then(|pod| pod.containers.into_iter().next());
    first.and_then(|container| container.image).unwrap_or_default()
}

fn of_node(node: &Node) -> String {
    let status = node.status.clone().unwrap_or_default();
    let version = status.node_info.map(|info| info.kubelet_version).unwrap_or_default();
    let zone = node.metadata.labels.as_ref().and_then(|all| all.get("topology.kubernetes.io/zone"));
    let images =
        status.images.unwrap_or_default().into_iter().flat_map(|image| image.names.unwrap_or_default());
    let ours = images.filter(|name| name.contains("gauntlet/") && !name.contains('@')).count();
    let name = nodes::name(node);
    let state = if nodes::is_ready(node) { "ready" } else { "not ready" };
    let zone = zone.map(|zone| format!("  {zone}")).unwrap_or_default();
    format!("{name:<28} {state}  {version}  {ours} images of gauntlet{zone}")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use serde_json::{from_value, json};

    use super::{Part, of_node};

    #[test]
    fn a_node_is_one_line() {
        let node: Node = from_value(json!({
            "metadata": { "name": "worker", "labels": { "topology.kubernetes.io/zone": "zone-a" } },
            "status": {
                "conditions": [{ "type": "Ready", "status": "True" }],
                "images": [{ "names": ["docker.io/gauntlet/harness:1", "docker.io/gauntlet/harness@sha256:0"] }],
            },
        }))
        .unwrap();
        assert_eq!(of_node(&node), "worker                       ready    1 images of gauntlet  zone-a");
    }

    #[test]
    fn tools_that_nobody_wants_are_not_ready() {
        assert!(!Part { ready: 0, wanted: 0, image: String::new() }.is_ready());
        assert!(Part { ready: 3, wanted: 3, image: String::new() }.is_ready());
        assert_eq!(Part::line("janitor", None), "janitor                      not installed");
    }
}
