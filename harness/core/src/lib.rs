//! The pure core of Gauntlet: what a scenario means, what a run will do, and what its evidence says.
//!
//! Reading order:
//!
//! - [`mod@unit`], [`name`], [`seed`], [`secrets`]: quantities with units, names, seeded draws, values that are never shown
//! - [`yaml`]: files with places, and mistakes that name place, reason and mend
//! - [`act`], [`proof`], [`step`], [`receipt`]: everything that acts is a step
//! - [`port`]: the doors to the world: target, witness, ledger, and what a target answers
//! - [`system`]: the system file; [`scenario`]: the scenario file
//! - [`kind`]: the words of a scenario, and the steps that each stands for
//! - [`plan`]: everything resolved before anything is touched
//! - [`evidence`]: events, samples, requests, and seconds as a fold of requests
//! - [`stats`], [`judge`]: from evidence to findings and a verdict; [`outcome`]: its exit code
//!
//! Start with [`step`], then [`kind`].
//!
//! Invariants:
//!
//! - No clock, socket, file, process or runtime: data in, data out.
//! - `judge` never imports `kind`, `scenario` or `port`: a verdict needs a plan and evidence only.
//! - A word of the scenario never names a target.
//! - Nothing passes on no data: every finding states its samples.

pub mod act;
pub mod evidence;
pub mod judge;
pub mod kind;
pub mod name;
pub mod outcome;
pub mod plan;
pub mod port;
pub mod proof;
pub mod receipt;
pub mod scenario;
pub mod secrets;
pub mod seed;
pub mod stats;
pub mod step;
pub mod system;
pub mod unit;
pub mod yaml;
