//! Everything of Gauntlet that names Kubernetes.
//!
//! Reading order:
//!
//! - [`client`]: how an API server is reached

pub mod client;
mod told;

pub use client::{connect, in_cluster};
pub use told::within;
