//! Gauntlet: decides, with evidence, whether a service may be released.
//!
//! One way: a scenario and a system become a plan (pure, in `gauntlet-core`); a run *does* what the plan says and *sees*
//! what happens, into a journal; judges (pure again) *say* what the journal means; reports show it.
//!
//! Reading order:
//!
//! - [`run`]: one run, from a plan to a verdict; `run::enter` and `run::heal` are the only ways in and out
//! - [`layout`], [`ports`], [`record`], [`ledger`]: what a run owns, and what is needed to heal it
//! - [`target`]: what acts; [`witness`]: what sees, by its own way
//! - [`journal`]: the evidence on disk; [`logs`]: the components' logs, without secrets; [`artefacts`]: what programs wrote
//! - [`report`]: console, HTML, JSON, JUnit
//! - [`cli`]: one command, one file; [`scenarios`]: scenario files as tests
//!
//! Start with [`run::enter`](mod@run::enter).
//!
//! Invariants:
//!
//! - Nothing acts without a receipt in the ledger.
//! - [`witness`] and [`target`] share no code: who acts does not vouch for it.
//! - [`report`] and [`journal`] never talk to a target, a witness or the ledger.
//! - A live verdict is a replay: judges read the journal, never the run.
//! - Nothing here knows what the service computes.

pub mod artefacts;
pub mod cli;
mod digest;
pub mod journal;
pub mod layout;
pub mod ledger;
pub mod logs;
pub mod ports;
pub mod record;
pub mod report;
pub mod run;
pub mod scenarios;
pub mod target;
pub mod witness;
