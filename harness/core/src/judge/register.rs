//! The register: every record that the load wrote, and what was found of it. The checks of correctness share it.
//!
//! A write with a right answer is acknowledged. Any other that was sent is unknown: its record may be there or not.

use std::collections::HashMap;

use crate::evidence::{Class, Operation, Request};

/// All records, by key.
#[derive(Debug, Default)]
pub(super) struct Register {
    records: HashMap<Box<str>, Record>,
    /// Reads that did not show what was known to be written at that point.
    suspects: Vec<Suspect>,
    /// Reads with an answer to compare.
    pub(super) reads: u64,
    /// Audits without a right answer.
    pub(super) failed_audits: u64,
    /// Writes that were sent without a key: nobody can tell what became of them.
    pub(super) keyless: u64,
}

/// One record.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Values that were sent; more than one only when a key was written twice.
    written: Vec<Box<str>>,
    /// When the first right answer to a write had arrived.
    acknowledged_us: Option<u64>,
    /// What the audit found; none: it was not audited.
    found: Option<Vec<Box<str>>>,
}

/// A read that did not show what was written.
#[derive(Debug)]
struct Suspect {
    key: Box<str>,
    sent_us: u64,
    done_us: u64,
    /// None: the answer said that there is nothing.
    value: Option<Box<str>>,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    /// Acknowledged, and not found by the audit.
    Lost,
    /// Found with a value that nobody wrote under that key.
    Altered(String),
    /// Found under a key that nobody wrote.
    FromNowhere(String),
    /// Acknowledged before a read was sent that found nothing.
    MissedByRead,
    /// A read found a value that nobody wrote under that key.
    AlteredInRead(String),
}

impl Register {
    /// Takes a row.
    pub(super) fn see(&mut self, row: &Request) {
        match row.operation {
            Operation::None => {}
            Operation::Write => self.write(row),
            Operation::Read => self.read(row),
            Operation::Audit => self.audit(row),
        }
    }

    fn write(&mut self, row: &Request) {
        if !row.class.was_sent() {
            return;
        }
        if row.key.is_empty() {
            self.keyless += 1;
            return;
        }
        let record = self.records.entry(row.key.as_str().into()).or_default();
        if !record.wrote(&row.value) {
            record.written.push(row.value.as_str().into());
        }
        if row.class == Class::Ok {
            let done_us = record.acknowledged_us.map_or(row.done_us, |at| at.min(row.done_us));
            record.acknowledged_us = Some(done_us);
        }
    }

    fn read(&mut self, row: &Request) {
        let Some(value) = row.found() else { return };
        self.reads += 1;
        let known = self.records.get(row.key.as_str());
        if value.is_none_or(|value| !known.is_some_and(|record| record.wrote(value))) {
            let value = value.map(Into::into);
            let (key, sent_us, done_us) = (row.key.as_str().into(), row.sent_us, row.done_us);
            self.suspects.push(Suspect { key, sent_us, done_us, value });
        }
    }

    fn audit(&mut self, row: &Request) {
        if row.class != Class::Ok {
            self.failed_audits += 1;
            return;
        }
        let values = row.value.split('\n').map(Into::into);
        let found = if row.value.is_empty() { Vec::new() } else { values.collect() };
        self.records.entry(row.key.as_str().into()).or_default().found = Some(found);
    }

    /// Records that were written, whatever came of it.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.records
            .iter()
            .filter(|(_, record)| !record.written.is_empty())
            .map(|(key, record)| (&**key, record))
    }

    /// When the write of a record was acknowledged first.
    pub(super) fn acknowledged_us(&self, key: &str) -> Option<u64> {
        self.records.get(key).and_then(|record| record.acknowledged_us)
    }

    /// When each acknowledged write was.
    pub(super) fn acknowledgements(&self) -> impl Iterator<Item = u64> {
        self.records.values().filter_map(|record| record.acknowledged_us)
    }

    /// Acknowledged writes that nobody looked for.
    pub(super) fn unaudited(&self) -> u64 {
        let open = |record: &&Record| record.acknowledged() && record.found.is_none();
        self.records.values().filter(open).count() as u64
    }

    /// All that is wrong, by key, in order.
    pub(super) fn wrong(&self) -> Vec<(&str, Wrong)> {
        let audited = self.records.iter().filter_map(|(key, record)| Some((&**key, record.wrong()?)));
        let read = self.suspects.iter().filter_map(|suspect| Some((&*suspect.key, self.confirmed(suspect)?)));
        let mut all: Vec<_> = audited.chain(read).collect();
        all.sort_unstable();
        all
    }

    /// The reads that found nothing where a write had been acknowledged: the key, when they were sent, and when done.
    pub(super) fn missed(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let missed = |suspect: &&Suspect| self.confirmed(suspect) == Some(Wrong::MissedByRead);
        self.suspects.iter().filter(missed).map(|suspect| (&*suspect.key, suspect.sent_us, suspect.done_us))
    }

    /// A suspect looked at again, when all writes are known.
    fn confirmed(&self, suspect: &Suspect) -> Option<Wrong> {
        // A record that the run did not write may hold anything.
        let record = self.records.get(&suspect.key).filter(|record| !record.written.is_empty())?;
        match &suspect.value {
            Some(value) => (!record.wrote(value)).then(|| Wrong::AlteredInRead(value.to_string())),
            None => {
                record.acknowledged_us.is_some_and(|at| at <= suspect.sent_us).then_some(Wrong::MissedByRead)
            }
        }
    }
}

impl Record {
    fn wrote(&self, value: &str) -> bool {
        self.written.iter().any(|written| **written == *value)
    }

    /// Whether a write had a right answer.
    pub(super) fn acknowledged(&self) -> bool {
        self.acknowledged_us.is_some()
    }

    /// What the audit found; none: it was not audited.
    pub(super) fn found(&self) -> Option<&[Box<str>]> {
        self.found.as_deref()
    }

    fn wrong(&self) -> Option<Wrong> {
        let found = self.found.as_deref()?;
        let strange = found.iter().find(|value| !self.wrote(value));
        match strange {
            Some(value) if self.written.is_empty() => Some(Wrong::FromNowhere(value.to_string())),
            Some(value) => Some(Wrong::Altered(value.to_string())),
            None => (found.is_empty() && self.acknowledged()).then_some(Wrong::Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Register, Wrong};
    use crate::{
        evidence::{Class, Operation, Request},
        judge::testing::Story,
    };

    /// A row of an operation at a moment; it takes 10 us.
    fn row(operation: Operation, at: u64, class: Class, value: &str) -> Request {
        let any = Story::good().requests.swap_remove(0);
        let status = if class == Class::Ok { 200 } else { 404 };
        let (key, value) = ("k".into(), value.into());
        Request {
            intended_us: at,
            sent_us: at,
            done_us: at + 10,
            operation,
            class,
            status,
            key,
            value,
            ..any
        }
    }

    fn wrong(rows: &[Request]) -> Vec<Wrong> {
        let mut register = Register::default();
        rows.iter().for_each(|row| register.see(row));
        register.wrong().into_iter().map(|(_, wrong)| wrong).collect()
    }

    #[test]
    fn a_read_may_miss_a_write_that_was_not_acknowledged_yet() {
        let write = row(Operation::Write, 100, Class::Ok, "v");
        assert_eq!(wrong(&[write.clone(), row(Operation::Read, 109, Class::WrongStatus, "")]), []);
        assert_eq!(wrong(&[write, row(Operation::Read, 110, Class::WrongStatus, "")]), [Wrong::MissedByRead]);
    }

    #[test]
    fn a_read_is_compared_with_writes_that_come_later_in_the_table() {
        let write = row(Operation::Write, 100, Class::Ok, "v");
        assert_eq!(wrong(&[row(Operation::Read, 100, Class::Ok, "v"), write.clone()]), []);
        let other = row(Operation::Read, 100, Class::Ok, "w");
        assert_eq!(wrong(&[other, write]), [Wrong::AlteredInRead("w".into())]);
    }

    #[test]
    fn a_read_of_a_record_that_the_run_did_not_write_says_nothing() {
        assert_eq!(wrong(&[row(Operation::Read, 100, Class::Ok, "v")]), []);
        assert_eq!(wrong(&[row(Operation::Read, 100, Class::WrongStatus, "")]), []);
    }

    #[test]
    fn an_unknown_write_may_be_found_or_not_but_not_altered() {
        let write = row(Operation::Write, 100, Class::Timeout, "v");
        assert_eq!(wrong(&[write.clone(), row(Operation::Audit, 900, Class::Ok, "")]), []);
        assert_eq!(wrong(&[write.clone(), row(Operation::Audit, 900, Class::Ok, "v")]), []);
        let altered = row(Operation::Audit, 900, Class::Ok, "w");
        assert_eq!(wrong(&[write, altered]), [Wrong::Altered("w".into())]);
    }

    #[test]
    fn a_write_that_was_never_sent_wrote_nothing() {
        let write = row(Operation::Write, 100, Class::Capped, "v");
        let audit = row(Operation::Audit, 900, Class::Ok, "v");
        assert_eq!(wrong(&[write, audit]), [Wrong::FromNowhere("v".into())]);
    }

    #[test]
    fn writes_without_a_key_are_counted_and_are_no_record() {
        let mut register = Register::default();
        let write = row(Operation::Write, 100, Class::Ok, "v");
        register.see(&Request { key: String::new(), ..write });
        assert_eq!((register.keyless, register.written().count()), (1, 0));
    }

    #[test]
    fn a_failed_audit_finds_nothing_out() {
        let write = row(Operation::Write, 100, Class::Ok, "v");
        assert_eq!(wrong(&[write, row(Operation::Audit, 900, Class::Timeout, "")]), []);
    }
}
