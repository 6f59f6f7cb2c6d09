//! Where on a cluster a run stands: which cluster, which namespace, and whether the run made it.

use std::path::PathBuf;

use gauntlet_core::{name::Name, port::Trouble, system::Stranger};
use k8s_openapi::{
    api::core::v1::Namespace,
    jiff::{SignedDuration, Timestamp},
};
use serde::{Deserialize, Serialize};

pub use crate::cluster::tools::NAMESPACE as TOOLS;
/// The label that every object of a run bears, with the run's name: its mark.
pub const RUN_LABEL: &str = "gauntlet.dev/run";
/// The label that a deployment bears which stays, with the name of its system.
pub const DEPLOYED_LABEL: &str = "gauntlet.dev/deployed-by";
/// The annotation of a run's namespace: after this moment (RFC 3339) the janitor removes it, unless somebody holds it.
pub const EXPIRES: &str = "gauntlet.dev/expires";
/// The container that opens connections, in a component's pod or in one of its own.
pub const PROBE: &str = "gauntlet-probe";
pub use crate::api::apply::FIELD_MANAGER as MANAGER;

/// The ground of a run on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The run's name.
    pub run: String,
    /// The kubeconfig file; none: what `KUBECONFIG` names, or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; none: the current one.
    pub context: Option<String>,
    /// Where the system is.
    pub namespace: String,
    /// Whether the run made it.
    pub mode: Mode,
}

/// Whether a run makes its system or finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The run deploys this kustomization into a namespace of its own, and removes it afterwards.
    Provision {
        /// Its directory.
        overlay: PathBuf,
    },
    /// The system runs already; set-up verifies it, and nothing of it is ever removed.
    Attach,
}

/// How long a namespace stays whose run nobody ends: longer than any run.
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(6);

/// When a namespace expires that is made now.
pub(crate) fn expires() -> Result<String, Trouble> {
    let expires = Timestamp::now().checked_add(EXPIRES_AFTER);
    expires.map(|expires| expires.to_string()).map_err(|error| Trouble::failed("tell the time", error))
}

impl Site {
    /// The name of a run's objects in the namespace of the tools.
    pub fn object(run: &str) -> String {
        format!("run-{run}")
    }

    /// The pod that plays a stranger. Its namespace may be others' too.
    pub fn probe(&self, stranger: &Name) -> String {
        format!("{PROBE}-{}-{stranger}", self.run)
    }

    /// Where a stranger stands.
    pub fn namespace_of<'a>(&'a self, stranger: &'a Stranger) -> &'a str {
        stranger.namespace.as_deref().unwrap_or(&self.namespace)
    }

    /// Whether a namespace bears this run's mark: only such a one is removed.
    pub(crate) fn marks(&self, namespace: &Namespace) -> bool {
        namespace.metadata.labels.as_ref().and_then(|labels| labels.get(RUN_LABEL)) == Some(&self.run)
    }

    /// Whether the run made the namespace.
    pub fn is_provisioned(&self) -> bool {
        matches!(self.mode, Mode::Provision { .. })
    }
}
