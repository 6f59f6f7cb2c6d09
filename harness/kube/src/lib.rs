//! Everything of Gauntlet that names Kubernetes.
//!
//! - [`members`]: the sidecar that keeps an HAProxy's servers equal to the endpoints of a Service

pub mod members;
