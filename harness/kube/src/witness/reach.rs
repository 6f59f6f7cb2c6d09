//! What can be reached from where a probe stands. Destinations are pods, not Services: policies are about pods.

use std::{collections::BTreeMap, net::SocketAddr};

use gauntlet_core::{
    name::Name,
    port::Trouble,
    proof::{Query, Reading},
    scenario::Destination,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Api;

use super::{ABSENT, ANSWERS_WITHIN, KubeWitness, RUNNING};
use crate::{
    api::told::within,
    node::{line::Line, probe},
    run::site::PROBE,
};

impl KubeWitness {
    /// Whether the probe of a source is there.
    pub(super) async fn probe(&self, source: &Name) -> Result<String, Trouble> {
        let Some((pods, name)) = self.place(source).await? else { return Ok(ABSENT.to_owned()) };
        let pod = within(ANSWERS_WITHIN, format!("see the probe from {source}"), pods.get_opt(&name)).await?;
        Ok(pod.and_then(|pod| status(&pod)).map_or(ABSENT.to_owned(), |status| told(&status)))
    }

    /// Opens connections from there, all at once.
    pub(super) async fn reach(
        &self,
        ask: &Query,
        source: &Name,
        to: &[Destination],
    ) -> Result<Reading, Trouble> {
        let place = self.place(source).await?;
        let (pods, pod) = place.ok_or_else(|| Trouble::failed(ask, format!("{source} has no pod")))?;
        let mut question = probe::Question { to: vec![] };
        for one in to {
            question.to.push(self.address(ask, one).await?);
        }
        let seen = Line::to_probe(&pods, &pod, PROBE).await?.ask(&question).await?.seen;
        if seen.len() != to.len() {
            return Err(Trouble::failed(ask, format!("{} answers for {} questions", seen.len(), to.len())));
        }
        let seen: BTreeMap<_, _> = to.iter().cloned().zip(seen).collect();
        Ok(Reading::of_reach(&seen))
    }

    /// The pod in which a source's probe stands; none: the component has none any more.
    async fn place(&self, source: &Name) -> Result<Option<(Api<Pod>, String)>, Trouble> {
        let stranger = self.system.kube.as_ref().and_then(|kube| kube.strangers.get(source));
        if let Some(stranger) = stranger {
            let namespace = self.site.namespace_of(stranger);
            return Ok(Some((Api::namespaced(self.client.clone(), namespace), self.site.probe(source))));
        }
        let first = self.pods.replicas(source).await?.into_iter().next();
        let pods = Api::namespaced(self.client.clone(), &self.site.namespace);
        Ok(first.map(|replica| (pods, replica.pod)))
    }

    /// `HOST:PORT` of a destination: of a component's last pod, so that a source that has two does not ask itself.
    async fn address(&self, ask: &Query, to: &Destination) -> Result<String, Trouble> {
        let Some(port) = &to.port else {
            let address = self.system.kube.as_ref().and_then(|kube| kube.addresses.get(&to.name));
            return address
                .cloned()
                .ok_or_else(|| Trouble::refused(ask, format!("{to} is no name of `kube.addresses`")));
        };
        let last = self.pods.replicas(&to.name).await?.pop();
        let last = last.ok_or_else(|| Trouble::failed(ask, format!("{} has no pod", to.name)))?;
        let number = last.port(port).map_err(|why| Trouble::refused(ask, why))?;
        let address =
            last.address.ok_or_else(|| Trouble::failed(ask, format!("{} has no address", last.pod)))?;
        Ok(SocketAddr::new(address, number).to_string())
    }
}

/// Of the probe among a pod's containers.
fn status(pod: &Pod) -> Option<ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status.container_statuses.iter().chain(&status.ephemeral_container_statuses).flatten();
    all.into_iter().find(|status| status.name == PROBE).cloned()
}

fn told(status: &ContainerStatus) -> String {
    let state = status.state.clone().unwrap_or_default();
    let why = |reason: Option<String>, word: &str| {
        reason.map_or(word.to_owned(), |reason| format!("{word}: {reason}"))
    };
    match (state.running, state.waiting, state.terminated) {
        (Some(_), _, _) => RUNNING.to_owned(),
        (None, Some(waiting), _) => why(waiting.reason, "waiting"),
        (None, None, Some(ended)) => why(ended.reason, "ended"),
        (None, None, None) => "waiting".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Pod, status, told};

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({ "status": status })).unwrap()
    }

    #[test]
    fn a_probe_is_found_beside_the_containers_of_a_pod_or_alone() {
        let one = |name: &str, state: serde_json::Value| json!([{ "name": name, "image": "i", "imageID": "i", "ready": true, "restartCount": 0, "state": state }]);
        let beside = pod(json!({
            "containerStatuses": one("web", json!({ "running": {} })),
            "ephemeralContainerStatuses": one("gauntlet-probe", json!({ "waiting": { "reason": "ErrImageNeverPull" } })),
        }));
        assert_eq!(told(&status(&beside).unwrap()), "waiting: ErrImageNeverPull");
        let alone = pod(json!({ "containerStatuses": one("gauntlet-probe", json!({ "running": {} })) }));
        assert_eq!(told(&status(&alone).unwrap()), "running");
        assert_eq!(status(&pod(json!({ "containerStatuses": one("web", json!({})) }))), None);
    }
}
