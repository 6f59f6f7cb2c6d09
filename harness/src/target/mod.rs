//! Targets: they act. `abilities`, `prepare`, `apply`, `leftovers`, whatever the catalogue of faults grows to.

use std::collections::BTreeSet;

use gauntlet_core::act::Ability;

pub mod fake;
pub mod local;

/// One line of the list of targets.
pub struct TargetKind {
    /// The word of `--target`.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What it can do.
    pub abilities: fn() -> BTreeSet<Ability>,
}

/// Where a system can run.
pub const TARGETS: &[TargetKind] = &[TargetKind {
    name: "local",
    about: "processes of this machine, each in a private directory; no root, no Docker",
    abilities: local::abilities,
}];
