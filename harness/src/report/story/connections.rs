//! Who reached what, against what was wanted: every source against every destination.

use gauntlet_core::{
    evidence::{Event, What},
    plan::{Plan, connections::is_open},
};
use serde::Serialize;

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionStory {
    /// The source.
    pub from: String,
    /// The destination.
    pub to: String,
    /// Whether it must be open.
    pub wanted_open: bool,
    /// `open`, or how it was closed: `refused`, `silent`, ...; none: it was not looked at.
    pub seen: Option<String>,
}

impl ConnectionStory {
    /// Whether it is as it must be.
    pub fn is_right(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| is_open(seen) == self.wanted_open)
    }
}

pub(super) fn fold(plan: &Plan, events: &[Event]) -> Vec<ConnectionStory> {
    let row = |from: &str| {
        events.iter().rev().find_map(|event| match &event.what {
            What::Reached { from: one, seen } if one.as_str() == from => Some(seen),
            _ => None,
        })
    };
    let cells = plan.connections.iter().flat_map(|reach| {
        let seen = row(reach.from.as_str());
        reach.wanted.iter().map(move |(to, wanted)| ConnectionStory {
            from: reach.from.to_string(),
            to: to.to_string(),
            wanted_open: *wanted,
            seen: seen.and_then(|seen| seen.get(to)).cloned(),
        })
    });
    cells.collect()
}
