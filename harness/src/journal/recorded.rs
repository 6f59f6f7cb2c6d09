//! Reading a journal: all that is known of a run, in the order in which judges want it.

use std::path::{Path, PathBuf};

use gauntlet_core::{
    evidence::{Began, Event, Evidence, JOURNAL_FORMAT, Request, Sample, What},
    judge::{self, Finding, State, Verdict},
    plan::Plan,
};
use serde_json::Value;

use super::{EVENTS, JournalError, METRICS, REQUESTS, lines, segment};

/// A run as its journal tells it.
#[derive(Debug, Clone)]
pub struct Recorded {
    dir: PathBuf,
    began: Began,
    events: Vec<Event>,
    samples: Vec<Sample>,
    requests: Vec<Request>,
    /// What the journal lacks because its run was killed; empty when it is whole.
    pub torn: Vec<String>,
}

impl Recorded {
    /// Reads the journal in a run's directory. What a killed run did not finish is left out and noted in `torn`.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(EVENTS);
        check_format(&path)?;
        let events = lines::read::<Event>(&path, "an event")?;
        let began = first(&path, &events.items)?;
        let samples = lines::read::<Sample>(&dir.join(METRICS), "a sample")?;
        let segments = segment::read_all(&dir.join(REQUESTS))?;
        let mut torn = Vec::new();
        if events.torn || !matches!(events.items.last(), Some(Event { what: What::Ended, .. })) {
            torn.push(format!("{EVENTS} does not end with `ended`"));
        }
        if samples.torn {
            torn.push(format!("{METRICS} breaks off within a line, or is missing"));
        }
        torn.extend(segments.torn);
        let mut samples = samples.items;
        samples.sort_by_key(|sample| sample.at_us);
        Ok(Self { dir: dir.to_owned(), began, events: events.items, samples, requests: segments.rows, torn })
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The first event.
    pub fn began(&self) -> &Began {
        &self.began
    }

    /// The plan of the run.
    pub fn plan(&self) -> &Plan {
        &self.began.plan
    }

    /// What the run did and saw, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Readings of metrics, by time.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Requests, by intended start.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// All of it, in the order in which judges want it.
    pub fn evidence(&self) -> impl Iterator<Item = Evidence<'_>> {
        let events = self.events.iter().map(Evidence::Event);
        let samples = self.samples.iter().map(Evidence::Metric);
        events.chain(samples).chain(self.requests.iter().map(Evidence::Request))
    }

    /// The verdict of the judges. A journal that is not whole is no ground for one: the harness itself has failed.
    pub fn judge(&self) -> Verdict {
        let mut findings = judge::judge(&self.began.plan, self.evidence()).findings;
        findings.extend(self.torn.iter().map(|torn| Finding {
            judge: "journal".into(),
            what: "the journal is whole".into(),
            at: None,
            state: State::Broken,
            measured: torn.clone(),
            samples: self.events.len() as u64,
            detail: "the run was killed, or its journal was changed".into(),
        }));
        Verdict::of(findings)
    }
}

/// Looks at the format before anything else is believed: another format may have other events.
fn check_format(path: &Path) -> Result<(), JournalError> {
    let none = || JournalError::NoBeginning { path: path.to_owned() };
    let line = lines::first(path)?.ok_or_else(none)?;
    let first: Value = serde_json::from_slice(&line).map_err(|_| none())?;
    if first.get("event").and_then(Value::as_str) != Some("began") {
        return Err(none());
    }
    match first.get("format").and_then(Value::as_u64) {
        Some(found) if found == u64::from(JOURNAL_FORMAT) => Ok(()),
        Some(found) => Err(JournalError::Format { path: path.to_owned(), found, known: JOURNAL_FORMAT }),
        None => Err(none()),
    }
}

fn first(path: &Path, events: &[Event]) -> Result<Began, JournalError> {
    let mut began = None;
    for (index, event) in events.iter().enumerate() {
        match &event.what {
            What::Began(_) if index > 0 => {
                return Err(JournalError::BeganTwice { path: path.to_owned(), line: index + 1 });
            }
            What::Began(first) => began = Some((**first).clone()),
            _ => {}
        }
    }
    began.ok_or_else(|| JournalError::NoBeginning { path: path.to_owned() })
}
