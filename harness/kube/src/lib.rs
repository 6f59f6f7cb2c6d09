//! Everything of Gauntlet that names Kubernetes.
//!
//! Reading order:
//!
//! - [`client`]: how an API server is reached
//! - [`agent`]: signals a container's processes, on their node; [`eye`]: sees them; [`idle`]: what both do meanwhile

pub mod agent;
pub mod client;
mod desk;
pub mod eye;
pub mod idle;
#[cfg(test)]
mod staged;
mod told;

pub use client::{connect, in_cluster};
pub use told::within;
