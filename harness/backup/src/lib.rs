//! Backup sets: how they are made, verified, restored and kept, for drills and for every day.
//!
//! Reading order:
//!
//! - [`manifest`]: what a set says of itself; [`keys`]: whom it is sealed to
//! - [`call`]: every program call as data, and the door that runs it; [`local`]: on this machine
//! - [`postgres`], [`lsn`]: a server, and places in its write-ahead log
//! - [`set`]: a finished set on disk; `draft`: one in the making; `part`, `pipe`: streams in and out of it
//! - [`form`]: one form of backup a file: logical, point in time, Redis, configuration
//! - [`refusal`], [`policy`], [`verify`](mod@verify): what is refused, and why
//! - [`backup`](mod@backup), [`restore`](mod@restore), [`prune`](mod@prune): the verbs
//! - [`spoil`]: spoilt copies, which must be refused
//! - [`content`]: digests of what a database holds, and where two of them differ
//!
//! Start with [`backup`](mod@backup), then [`form::logical`].
//!
//! Invariants:
//!
//! - A set exists as a whole or not at all: it is written beside its place and renamed.
//! - A part is a stream: it is never in memory as a whole.
//! - No password is in an argument, a manifest or an error; a configuration is never written unsealed.
//! - A restore verifies first, and replaces its target only when all is there.
//! - Nothing here names a cluster: programs are reached through [`call::Programs`] only.

pub mod backup;
pub mod call;
pub mod content;
mod digest;
mod draft;
mod error;
pub mod form;
pub mod keys;
pub mod local;
pub mod lsn;
pub mod manifest;
mod part;
mod pipe;
pub mod policy;
pub mod postgres;
pub mod prune;
pub mod refusal;
pub mod restore;
pub mod set;
mod snapshot;
pub mod spoil;
pub mod verify;

pub use self::{
    backup::{About, Made, Source, backup, extend},
    error::Error,
    keys::{Keys, Seal},
    local::LocalPrograms,
    policy::Policy,
    prune::{Keep, Pruned, prune},
    refusal::Refusal,
    restore::{Restored, Target, restore},
    verify::{Verified, verify, verify_telling},
};
