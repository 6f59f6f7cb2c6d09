//! The reference causal service: average treatment effects over HTTP, experiments that are stored and run.
//!
//! Start at [`serve::serve`], which puts a replica together and takes it apart; then read a request's way in `http`.
//!
//! - [`config`]: every setting with unit, default and meaning.
//! - [`serve`], [`lifecycle`], [`app`]: start, drain, end; readiness; what requests share.
//! - [`http`]: routes, the guard around them, errors on the wire, the OpenAPI document.
//! - [`question`], [`answer`], [`experiment`]: what goes over the wire, and the canonical form of a question.
//! - [`compute`]: questions to the engine, off the serving threads.
//! - [`cache`]: answers in Redis. [`store`]: experiments and runs in PostgreSQL. [`breaker`]: for both.
//! - [`jobs`]: the worker that computes runs under a lease.
//! - [`changes`]: what another build changes: the defects of a build for tests, and nothing in a release.
//! - [`telemetry`]: logs and metrics.
//! - [`oracle`]: questions with known answers, as data. [`cli`]: the command line.
//!
//! Invariants:
//! - A write is acknowledged only after its commit; when the outcome is unknown, the answer is 503.
//! - An outage of Redis costs time, never an answer. An outage of PostgreSQL costs 503 where it is needed, in bounded
//!   time, and effects are still computed.
//! - Every wait has a bound: bodies, Redis, connections, statements, requests, draining.
//! - An answer depends on the question only: not on the order of nodes, the replica, the threads, or the cache.
//! - Absent: state that only one replica has, secrets in logs, labels that a client can invent, in-memory stand-ins.

pub mod answer;
pub mod app;
pub mod breaker;
pub mod cache;
pub mod changes;
pub mod cli;
pub mod compute;
pub mod config;
#[cfg(feature = "defects")]
pub mod defects;
pub mod experiment;
pub mod http;
pub mod jobs;
pub mod lifecycle;
pub mod oracle;
pub mod question;
mod random;
pub mod serve;
pub mod store;
pub mod telemetry;
