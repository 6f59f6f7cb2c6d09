//! The workload of a component: the Deployment or StatefulSet that makes its pods, found by its label.

use gauntlet_core::{name::Name, port::Trouble, system::kubernetes::COMPONENT_LABEL};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::api::patience::ask;

pub(crate) mod revise;

/// What makes a component's pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// How many pods it is told to have.
    pub(crate) replicas: i32,
}

/// Which kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pods that are alike.
    Deployment,
    /// Pods with names and volumes of their own.
    StatefulSet,
}

/// The workload that bears a component's label; none: there is no such.
pub(crate) async fn find(
    client: &Client,
    namespace: &str,
    component: &Name,
) -> Result<Option<Workload>, Trouble> {
    let params = ListParams::default().labels(&format!("{COMPONENT_LABEL}={component}"));
    let what = format!("find the workload of {component} in {namespace}");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let found = ask(&what, || deployments.list(&params)).await?.items.into_iter().next();
    if let Some(deployment) = found {
        let replicas = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let name = deployment.metadata.name.unwrap_or_default();
        return Ok(Some(Workload { kind: Kind::Deployment, name, replicas }));
    }
    let found = ask(&what, || sets.list(&params)).await?.items.into_iter().next();
    Ok(found.map(|set| Workload {
        kind: Kind::StatefulSet,
        name: set.metadata.name.unwrap_or_default(),
        replicas: set.spec.and_then(|spec| spec.replicas).unwrap_or(1),
    }))
}

impl Workload {
    /// Tells it another number of pods.
    pub(crate) async fn scale(&self, client: &Client, namespace: &str, replicas: i32) -> Result<(), Trouble> {
        let scale = json!({ "spec": { "replicas": replicas } });
        let (patch, params) = (Patch::Merge(&scale), PatchParams::default());
        let what = format!("scale {} to {replicas}", self.name);
        match self.kind {
            Kind::Deployment => {
                let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
                ask(what, || api.patch_scale(&self.name, &params, &patch)).await?;
            }
            Kind::StatefulSet => {
                let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
                ask(what, || api.patch_scale(&self.name, &params, &patch)).await?;
            }
        }
        Ok(())
    }
}
