//! Where a system is on Kubernetes. This describes no object: manifests do. It says where they are, and which pods belong
//! to a component.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;

/// The label of a component's pods, unless it has a `select` of its own.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// The system on Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kube {
    /// Kustomizations by name, directories beside this file. A run deploys the first one into a namespace of its own.
    #[serde(default)]
    pub overlays: IndexMap<Name, String>,
    /// The only namespaces in which a system that runs already may be tested. A run's own namespace needs no entry.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// The Secret that is generated for each deployment. Its values come from `secrets` and are in no file.
    #[serde(default)]
    pub secret: Option<GeneratedSecret>,
    /// The components whose pods ask the API server. A NetworkPolicy is made for them, for no selector can name it.
    #[serde(default)]
    pub api_server: Vec<Name>,
    /// Pods that are none of the system's, made to try `connections` from where they stand.
    #[serde(default)]
    pub strangers: IndexMap<Name, Stranger>,
    /// `HOST:PORT` of what is no component, as the system's pods name it, by the name that `connections` use.
    #[serde(default)]
    pub addresses: BTreeMap<Name, String>,
    /// `HOST:PORT` where the endpoint is reached from outside the cluster, such as a NodePort published on 127.0.0.1.
    pub endpoint: String,
}

/// A Secret that is generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratedSecret {
    /// Its name.
    pub name: String,
    /// Its keys. In a value stands `{{ secret.NAME }}` (dashes become underscores) for a drawn secret.
    pub keys: BTreeMap<String, String>,
}

/// A pod that is none of the system's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stranger {
    /// Its namespace; the system's own unless said. One that is not there is made for the run.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its labels, such as those that a policy lets in.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Which pods are a component's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pods {
    /// A label selector; `app.kubernetes.io/component=COMPONENT` unless said.
    #[serde(default)]
    pub select: Option<String>,
    /// The container of such a pod; that of the component's name unless said.
    #[serde(default)]
    pub container: Option<String>,
}

/// The label selector of a component's pods, and the name of their container.
pub fn pods(component: &Name, said: Option<&Pods>) -> (String, String) {
    let select = said.and_then(|pods| pods.select.clone());
    let container = said.and_then(|pods| pods.container.clone());
    (
        select.unwrap_or_else(|| format!("{COMPONENT_LABEL}={component}")),
        container.unwrap_or_else(|| component.to_string()),
    )
}
