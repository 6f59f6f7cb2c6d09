//! Integration tests: real processes, one binary.

mod ground;
mod target;
mod database;
mod ingress;
mod journal;
mod report;
mod synthetic;
