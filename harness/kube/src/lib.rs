//! Everything of Gauntlet that names Kubernetes.
