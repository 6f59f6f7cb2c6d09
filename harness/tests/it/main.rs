//! Integration tests: real processes, one binary.

#![cfg(test)]

mod ground;
mod target;
mod database;
mod ingress;
mod journal;
mod report;
mod synthetic;
mod crash;
mod layout;
mod machine;
mod sigkill;
mod stage;
