//! How far a rollout is: which revision each pod is of, and what the controller says of its work.

use std::time::Duration;

use gauntlet_core::{
    name::Name,
    port::Trouble,
    system::{Change, Component, kubernetes::COMPONENT_LABEL, together},
};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::{Api, Client, api::ListParams};

use super::pods::Replica;
use crate::api::told::within;

/// What a controller says of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Whether it has seen the newest template.
    observed: bool,
    wanted: i32,
    all: i32,
    updated: i32,
    available: i32,
}

/// The revision of all replicas, when the controller is done with it as well; else how far it is.
pub(super) fn revision(component: &Component, replicas: &[Replica], progress: Option<Progress>) -> String {
    let told: Vec<String> = replicas.iter().map(|replica| told(component, replica)).collect();
    let pods = together(&told, usize::from(component.replicas));
    match progress {
        None => format!("{pods}; no workload"),
        Some(progress) if progress.is_done() => pods,
        Some(progress) => format!("{pods}; {}", progress.words()),
    }
}

fn told(component: &Component, replica: &Replica) -> String {
    component.told(|change| match change {
        Change::Setting(name, value) => {
            Some(replica.env.get(name).is_some_and(|is| is.as_deref() == Some(value)))
        }
        Change::Image(image) => Some(replica.image.as_deref() == Some(image)),
        Change::Program(_) => None,
    })
}

/// Asks the API server; none: the component has no workload.
pub(super) async fn progress(
    client: &Client,
    namespace: &str,
    component: &Name,
    limit: Duration,
) -> Result<Option<Progress>, Trouble> {
    let params = ListParams::default().labels(&format!("{COMPONENT_LABEL}={component}"));
    let what = format!("see the workload of {component}");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let found = within(limit, &what, deployments.list(&params)).await?.items.into_iter().next();
    if let Some(deployment) = found {
        let status = deployment.status.unwrap_or_default();
        return Ok(Some(Progress {
            observed: status.observed_generation >= deployment.metadata.generation,
            wanted: deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1),
            all: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
        }));
    }
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let found = within(limit, &what, sets.list(&params)).await?.items.into_iter().next();
    Ok(found.map(|set| {
        let status = set.status.unwrap_or_default();
        Progress {
            observed: status.observed_generation >= set.metadata.generation,
            wanted: set.spec.and_then(|spec| spec.replicas).unwrap_or(1),
            all: status.replicas,
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
        }
    }))
}

impl Progress {
    fn is_done(self) -> bool {
        let Self { observed, wanted, all, updated, available } = self;
        observed && [all, updated, available].iter().all(|count| *count == wanted)
    }

    fn words(self) -> String {
        let Self { observed, wanted, all, updated, available } = self;
        let seen = if observed { "" } else { "not observed yet, " };
        format!("{seen}{updated} updated and {available} available of {wanted} wanted, {all} in all")
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::system::{self, Component};

    use super::{Progress, Replica, revision};

    fn web() -> Component {
        let text = "format: 1\nname: x\ncomponents:\n  web: { replicas: 2, ports: [http], ready: { tcp: { port: http } },\n    \
                    revisions: { v2: { settings: { VERSION: v2 }, image: 'web:2' } } }\nendpoint: { component: web, port: http }\n";
        system::read(text).unwrap().components.shift_remove_index(0).unwrap().1
    }

    fn pod(version: Option<&str>, image: &str) -> Replica {
        let env = version.map(|value| ("VERSION".to_owned(), Some(value.to_owned())));
        let mut pod = Replica::default();
        (pod.env, pod.image) = (env.into_iter().collect(), Some(image.into()));
        pod
    }

    const DONE: Progress = Progress { observed: true, wanted: 2, all: 2, updated: 2, available: 2 };

    #[test]
    fn a_rollout_is_complete_when_pods_and_controller_say_so() {
        let new = || pod(Some("v2"), "web:2");
        let old = || pod(None, "web:1");
        assert_eq!(revision(&web(), &[new(), new()], Some(DONE)), "v2");
        assert_eq!(revision(&web(), &[old(), old()], Some(DONE)), "original");
        let half = Progress { all: 3, updated: 1, available: 2, ..DONE };
        assert_eq!(
            revision(&web(), &[old(), old(), new()], Some(half)),
            "original at 2 of 2, v2 at 1 of 2; 1 updated and 2 available of 2 wanted, 3 in all"
        );
        let unseen = Progress { observed: false, ..DONE };
        assert!(revision(&web(), &[new(), new()], Some(unseen)).starts_with("v2; not observed yet"));
        assert_eq!(revision(&web(), &[new(), new()], None), "v2; no workload");
        assert_eq!(
            revision(&web(), &[new(), pod(Some("v2"), "web:1")], Some(DONE)),
            "a mixture at 1 of 2, v2 at 1 of 2"
        );
    }
}
