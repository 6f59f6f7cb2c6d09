//! Integration tests: real processes, one binary.

#![cfg(test)]

mod backup;
mod canary;
mod cli;
#[path = "../shared/conformance.rs"]
mod conformance;
mod crash;
mod database;
mod drill;
mod ground;
mod ingress;
mod journal;
mod kept;
mod layout;
mod machine;
mod report;
mod rollout;
mod sigkill;
mod stage;
mod synthetic;
mod target;
