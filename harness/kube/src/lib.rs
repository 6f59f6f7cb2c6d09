//! Everything of Gauntlet that names Kubernetes.
//!
//! Reading order:
//! - [`api`]: how an API server is reached and asked, given objects, and waited for
//! - [`node`]: what stands on the nodes and in pods: an agent signals a container's processes, an eye sees them, a probe opens
//!   connections; each is asked over a kept exec
//! - [`run`]: where a run stands, what acts there, what is in force and who holds it; [`witness`]: what sees
//! - [`deploy`]: a system that stays, manifests, causes and diagnostics
//! - [`cluster`]: kind clusters of this machine; nodes, and the tools on any cluster
//! - [`members`]: the sidecar that keeps an HAProxy's servers equal to the endpoints of a Service
//!
//! Invariants:
//!
//! - Agent and eye share no code: who acts does not vouch for it.
//! - Nothing listens: who may exec into the tools may ask them.
//! - Whatever asks the API server has a budget.

pub mod api;
pub mod cluster;
pub mod deploy;
pub mod members;
pub mod node;
pub mod run;
pub mod witness;

pub use api::apply::Applier;
pub use api::client::{connect, in_cluster, in_cluster_to_watch};
pub use kube::Client;
pub use run::hold::Hold;
pub use run::ledger::KubeLedger;
pub use run::queries::KubeQueries;
pub use run::site::{Mode, Site};
pub use run::target::KubeTarget;
pub use witness::KubeWitness;
