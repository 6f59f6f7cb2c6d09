//! A run on a cluster.
//!
//! - [`site`]: where it stands; `ground`: its namespace, made and removed; `probes`: what opens connections from its pods
//! - [`target`] acts there, on `pods` as replicas and on the `workload` that makes them, and on `sets` beside them; `stand_in`: where programs run for a stopped one; `objects`: all that the system is made of, backed up and restored; [`abilities`]: what it can; `queries`: what it is asked besides
//! - [`ledger`]: what is in force; [`hold`], [`leases`]: who holds it; [`expired`]: grounds that nobody ends

pub mod abilities;
mod exec;
pub mod expired;
pub(crate) mod ground;
pub mod hold;
pub mod leases;
pub mod ledger;
mod objects;
pub(crate) mod pods;
pub(crate) mod probes;
pub(crate) mod queries;
mod secrets;
mod sets;
pub mod site;
mod stand_in;
pub mod target;
pub(crate) mod workload;
