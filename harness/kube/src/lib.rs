//! Everything of Gauntlet that names Kubernetes.
//!
//! Reading order:
//! - [`client`]: how an API server is reached
//! - [`agent`]: signals a container's processes, on their node; [`eye`]: sees them; [`idle`]: what both do meanwhile
//! - [`line`](mod@line): a kept exec into one of them, one question and one answer at a time; [`lines`]: all of a run
//! - [`probe`]: opens connections from inside a pod
//! - [`tools`](mod@tools): the objects that bring agents, eyes and the janitor into a cluster; [`deploy`]: a system that stays
//! - [`documents`], [`apply`], [`wait`]: objects are read from manifests, put into a cluster, taken out; rollouts awaited
//! - [`site`]: where a run stands; [`target`] acts there, [`witness`] sees; [`ledger`], [`hold`]: what is in force, who holds it
//! - [`cluster`]: kind clusters of this machine; nodes, and the tools on any cluster
//! - [`members`]: the sidecar that keeps an HAProxy's servers equal to the endpoints of a Service
//!
//! Invariants:
//!
//! - [`agent`] and [`eye`] share no code: who acts does not vouch for it.
//! - Nothing listens: who may exec into the tools may ask them.
//! - Whatever asks the API server has a budget.

pub mod agent;
pub mod apply;
pub mod client;
pub mod cluster;
pub mod deploy;
mod desk;
pub mod documents;
mod events;
pub mod expired;
pub mod eye;
mod forward;
mod ground;
pub mod hold;
pub mod idle;
pub mod leases;
pub mod ledger;
pub mod line;
pub mod lines;
pub mod manifests;
pub mod members;
mod patience;
mod pods;
pub mod probe;
mod probes;
mod queries;
mod retry;
pub mod site;
#[cfg(test)]
mod staged;
pub mod target;
mod told;
pub mod tools;
#[cfg(test)]
mod typed;
pub mod wait;
pub mod witness;
mod workload;

pub use apply::Applier;
pub use client::{connect, in_cluster};
pub use hold::Hold;
pub use kube::Client;
pub use ledger::KubeLedger;
pub use queries::KubeQueries;
pub use site::{Mode, Site};
pub use target::KubeTarget;
pub use witness::KubeWitness;
