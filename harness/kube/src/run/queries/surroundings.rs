//! What a run stands on, for its record: images and their digests, the cluster's version, the nodes. Nothing secret: of the
//! way to the API server only host and port are told.

use std::collections::{BTreeMap, BTreeSet};

use gauntlet_core::{
    evidence::{Machine, Surroundings},
    name::Name,
    port::Trouble,
    system::System,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{Api, Client, api::ListParams};

use crate::{
    api::{
        client::{config, context},
        patience::ask,
    },
    cluster::nodes::{self, carrier},
    run::{pods::selected, site::Site},
};

/// Looks at all of it. `carriers` are the nodes that carried a pod at an earlier look: what became of them counts too.
pub(crate) async fn look(
    client: &Client,
    system: &System,
    site: &Site,
    mut carriers: BTreeSet<String>,
) -> Result<Surroundings, Trouble> {
    let mut known = cluster(client, site).await?;
    let api: Api<Pod> = Api::namespaced(client.clone(), &site.namespace);
    for component in system.components.keys() {
        let (select, container) = selected(system, component);
        let params = ListParams::default().labels(&select);
        let pods = ask(format!("list the pods of {component}"), || api.list(&params)).await?.items;
        let pods: Vec<Pod> =
            pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
        known.extend(images(component, &container, &pods));
        carriers.extend(pods.iter().filter_map(carrier));
    }
    let machines = match nodes::named(client, &carriers).await {
        Ok(found) => found,
        // An account may well be one of the namespace only.
        Err(trouble) => {
            known.insert("nodes".into(), format!("not known: {trouble}"));
            vec![]
        }
    };
    known.extend(machines.iter().map(|node| (format!("node/{}", nodes::name(node)), nodes::runs(node))));
    let machines: BTreeMap<String, Machine> =
        machines.iter().map(|node| (nodes::name(node).to_owned(), nodes::machine(node))).collect();
    Ok(Surroundings { known, machines, diagnostics: None })
}

async fn cluster(client: &Client, site: &Site) -> Result<BTreeMap<String, String>, Trouble> {
    let mut known = BTreeMap::from([("kubernetes/namespace".to_owned(), site.namespace.clone())]);
    let version = ask("ask for the cluster's version", || client.apiserver_version()).await?;
    let version = format!("{} ({})", version.git_version, version.platform);
    known.insert("kubernetes/version".to_owned(), version);
    let (kubeconfig, named) = (site.kubeconfig.as_deref(), site.context.as_deref());
    if let Ok(context) = context(kubeconfig, named) {
        known.insert("kubernetes/context".to_owned(), context);
    }
    if let Ok(config) = config(kubeconfig, named).await {
        let (host, port) = (config.cluster_url.host().unwrap_or("?"), config.cluster_url.port_u16());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        known.insert("kubernetes/api-server".to_owned(), format!("{host}{port}"));
    }
    Ok(known)
}

/// What each container of a component's pods runs: the image that was asked for, and what the runtime says it is. Where
/// pods differ, at how many of them.
fn images(component: &Name, own: &str, pods: &[Pod]) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::<String, BTreeMap<String, usize>>::new();
    for pod in pods {
        for (container, image) in containers(pod) {
            let key = if container == own {
                format!("image/{component}")
            } else {
                format!("image/{component}/{container}")
            };
            *seen.entry(key).or_default().entry(image).or_default() += 1;
        }
    }
    seen.into_iter().map(|(key, images)| (key, told(&images, pods.len()))).collect()
}

fn containers(pod: &Pod) -> Vec<(String, String)> {
    let Some(spec) = &pod.spec else { return vec![] };
    let status = pod.status.clone().unwrap_or_default();
    let statuses: Vec<ContainerStatus> =
        [status.init_container_statuses, status.container_statuses].into_iter().flatten().flatten().collect();
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.map(|container| {
        let of = statuses.iter().find(|status| status.name == container.name);
        let id = of.map(|status| status.image_id.as_str()).filter(|id| !id.is_empty());
        let image = container.image.as_deref().unwrap_or("?");
        (container.name.clone(), format!("{image} {}", id.unwrap_or("(not started)")))
    })
    .collect()
}

fn told(images: &BTreeMap<String, usize>, of: usize) -> String {
    if let (1, Some((image, _))) = (images.len(), images.first_key_value()) {
        return image.clone();
    }
    let shares: Vec<String> =
        images.iter().map(|(image, count)| format!("{image} at {count} of {of}")).collect();
    shares.join(", ")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{from_value, json};

    use super::images;

    fn pod(image: &str, id: &str) -> Pod {
        let status = |name: &str, image: &str, id: &str| json!({ "name": name, "image": image, "imageID": id, "ready": true, "restartCount": 0 });
        from_value(json!({
            "metadata": { "name": "p" },
            "spec": {
                "initContainers": [{ "name": "side", "image": "side:1" }],
                "containers": [{ "name": "web", "image": image }],
            },
            "status": {
                "initContainerStatuses": [status("side", "docker.io/side:1", "sha256:55")],
                "containerStatuses": [status("web", "docker.io/web", id)],
            },
        }))
        .unwrap()
    }

    #[test]
    fn every_container_has_its_image_and_digest_and_a_mixture_says_so() {
        let web = "web".parse().unwrap();
        let lines = |pods: &[Pod]| -> Vec<String> {
            images(&web, "web", pods).into_iter().map(|(key, image)| format!("{key}: {image}")).collect()
        };
        assert_eq!(
            lines(&[pod("web:1", "sha256:11"), pod("web:1", "sha256:11")]),
            ["image/web: web:1 sha256:11", "image/web/side: side:1 sha256:55"]
        );
        // The same tag on two nodes need not be the same image.
        assert_eq!(
            lines(&[pod("web:1", "sha256:11"), pod("web:1", "sha256:22"), pod("web:2", "")])[0],
            "image/web: web:1 sha256:11 at 1 of 3, web:1 sha256:22 at 1 of 3, web:2 (not started) at 1 of 3"
        );
        assert!(lines(&[]).is_empty());
    }
}
