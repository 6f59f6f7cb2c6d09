//! Connections: what could be reached from every place, against what must be. A row is one finding.

use std::collections::BTreeMap;

use super::{Finding, Judge, JudgeKind, State};
use crate::{
    evidence::{Evidence, What},
    name::Name,
    plan::{Plan, Reach, connections::is_open},
    scenario::Destination,
};

/// The kind.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "connections",
    about: "who reaches what is what the scenario allows, and nothing else",
    asked: false,
    make: |plan| Box::new(Connections::new(plan)),
};

struct Connections {
    rows: Vec<Reach>,
    seen: BTreeMap<Name, BTreeMap<Destination, String>>,
    interrupted: bool,
}

impl Connections {
    fn new(plan: &Plan) -> Self {
        Self { rows: plan.connections.clone(), seen: BTreeMap::new(), interrupted: false }
    }

    fn row(&self, row: &Reach) -> Finding {
        let seen = self.seen.get(&row.from);
        let (state, detail) = match seen {
            // Of a run that was ended early nothing more is said.
            None if self.interrupted => (State::Unknown, "not looked at".to_owned()),
            None => (State::Invalid, "not looked at".to_owned()),
            Some(seen) if !row.is_whole(seen) => (State::Invalid, "not all of it was looked at".to_owned()),
            Some(seen) => told(row, seen),
        };
        let empty = BTreeMap::new();
        let seen = seen.unwrap_or(&empty);
        let open = seen.values().filter(|seen| is_open(seen)).count();
        let must = row.wanted.values().filter(|open| **open).count();
        Finding {
            judge: KIND.name.into(),
            what: "connections".into(),
            at: Some(format!("from {}", row.from)),
            state,
            measured: format!("{open} open, {} closed", seen.len() - open),
            samples: seen.len() as u64,
            detail: format!("{detail} (wanted: {must} open, {} closed)", row.wanted.len() - must),
        }
    }
}

fn told(row: &Reach, seen: &BTreeMap<Destination, String>) -> (State, String) {
    let (open, closed) = row.differs(seen);
    let shown = |to: &&Destination| match seen.get(*to) {
        Some(seen) => format!("{to} ({seen})"),
        None => to.to_string(),
    };
    let list = |all: &[&Destination]| all.iter().map(shown).collect::<Vec<_>>().join(", ");
    let mut wrong = vec![];
    if !open.is_empty() {
        wrong.push(format!("open and must not be: {}", list(&open)));
    }
    if !closed.is_empty() {
        wrong.push(format!("closed and must not be: {}", list(&closed)));
    }
    if !wrong.is_empty() {
        return (State::Missed, wrong.join("; "));
    }
    let reached: Vec<_> =
        row.wanted.iter().filter(|(_, open)| **open).map(|(to, _)| to.to_string()).collect();
    let reached = if reached.is_empty() { "nothing".to_owned() } else { reached.join(", ") };
    (State::Met, format!("reaches {reached} and nothing else of the table"))
}

impl Judge for Connections {
    fn see(&mut self, evidence: Evidence<'_>) {
        let Evidence::Event(event) = evidence else { return };
        match &event.what {
            What::Reached { from, seen } => _ = self.seen.insert(from.clone(), seen.clone()),
            What::Interrupted => self.interrupted = true,
            _ => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.rows.iter().map(|row| self.row(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        evidence::What,
        judge::{State, testing::Story},
        outcome::Outcome,
    };

    const FROM: Option<&str> = Some("from proxy");

    fn spoilt(to: &str, seen: Option<&str>) -> Story {
        let mut story = Story::good();
        for event in &mut story.events {
            if let What::Reached { seen: all, .. } = &mut event.what {
                match seen {
                    Some(seen) => _ = all.insert(to.parse().unwrap(), seen.to_owned()),
                    None => _ = all.remove(&to.parse().unwrap()),
                }
            }
        }
        story
    }

    #[test]
    fn what_is_open_and_must_not_be_fails_and_so_does_what_is_closed_and_must_not_be() {
        let story = spoilt("database:sql", Some("open"));
        let finding = story.finding("connections", FROM);
        assert_eq!(finding.state, State::Missed);
        assert_eq!(finding.detail, "open and must not be: database:sql (open) (wanted: 1 open, 1 closed)");
        assert_eq!(story.verdict().outcome, Outcome::Failed);
        let story = spoilt("service:http", Some("silent"));
        assert_eq!(story.state("connections", FROM), State::Missed);
        assert!(story.finding("connections", FROM).detail.contains("service:http (silent)"));
    }

    #[test]
    fn refused_and_silent_are_both_closed() {
        assert_eq!(spoilt("database:sql", Some("refused")).state("connections", FROM), State::Met);
    }

    #[test]
    fn what_was_not_looked_at_is_no_evidence() {
        let story = spoilt("database:sql", None);
        assert_eq!(story.state("connections", FROM), State::Invalid);
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Reached { .. }));
        assert_eq!(story.state("connections", FROM), State::Invalid);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn connections_alone_are_something_to_judge() {
        let mut story = Story::good();
        story.plan.objectives.clear();
        story.plan.checks.clear();
        assert_eq!(story.verdict().outcome, Outcome::Passed);
        story.plan.connections.clear();
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }
}
