//! Whose records are found again: every write by who acknowledged it, every read by the record that it asks for.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use super::{SECOND_US, Whose};
use crate::evidence::{Class, Operation, Request};

/// What the load wrote and read so far.
#[derive(Debug, Default)]
pub(super) struct Records {
    written: HashMap<Box<str>, Written>,
    /// By the second in which they ended.
    reads: BTreeMap<u64, Vec<Read>>,
}

#[derive(Debug, Default)]
struct Written {
    /// More than one: nobody can tell which must be found.
    values: Vec<Box<str>>,
    /// By whom first, and when.
    acknowledged: Option<(Whose, u64)>,
}

#[derive(Debug)]
struct Read {
    key: Box<str>,
    sent_us: u64,
    /// None: the answer said that there is nothing.
    found: Option<Box<str>>,
}

impl Records {
    /// Takes a request that was sent.
    pub(super) fn see(&mut self, row: &Request, whose: Whose) {
        match row.operation {
            _ if row.key.is_empty() => {}
            Operation::Write => self.write(row, (row.class == Class::Ok).then_some(whose)),
            Operation::Read => self.read(row),
            Operation::None | Operation::Audit => {}
        }
    }

    fn write(&mut self, row: &Request, by: Option<Whose>) {
        let written = self.written.entry(row.key.as_str().into()).or_default();
        if !written.values.iter().any(|value| **value == *row.value) {
            written.values.push(row.value.as_str().into());
        }
        if let Some(by) = by
            && written.acknowledged.is_none_or(|(_, at_us)| row.done_us < at_us)
        {
            written.acknowledged = Some((by, row.done_us));
        }
    }

    fn read(&mut self, row: &Request) {
        let Some(found) = row.found() else { return };
        let (key, sent_us) = (row.key.as_str().into(), row.sent_us);
        let of_second = self.reads.entry(row.done_us / SECOND_US).or_default();
        of_second.push(Read { key, sent_us, found: found.map(Into::into) });
    }

    /// The reads that ended in these seconds of a record that had been acknowledged: the second, by whom, whether it is
    /// lost. A write that was acknowledged before a read was sent has come when that read's second is judged.
    pub(super) fn read_back(&self, seconds: Range<u64>) -> impl Iterator<Item = (u64, Whose, bool)> {
        let reads =
            self.reads.range(seconds).flat_map(|(second, reads)| reads.iter().map(|read| (*second, read)));
        reads.filter_map(|(second, read)| {
            let written = self.written.get(&read.key)?;
            let (by, _) = written.acknowledged.filter(|(_, at_us)| *at_us < read.sent_us)?;
            let [value] = written.values.as_slice() else { return None };
            Some((second, by, read.found.as_ref() != Some(value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Records, Whose};
    use crate::evidence::{Class, Operation, Request};

    fn row(sent_us: u64, operation: Operation, class: Class, value: &str) -> Request {
        Request {
            intended_us: sent_us,
            sent_us,
            done_us: sent_us + 1_000,
            step: 0,
            arm: String::new(),
            status: if class == Class::WrongStatus { 404 } else { 200 },
            class,
            bytes: 1,
            operation,
            key: "k".into(),
            value: value.into(),
        }
    }

    const WRITE: Operation = Operation::Write;
    const READ: Operation = Operation::Read;

    fn read_back(rows: &[(Whose, Request)]) -> Vec<(u64, Whose, bool)> {
        let mut records = Records::default();
        rows.iter().for_each(|(whose, row)| records.see(row, *whose));
        records.read_back(0..10).collect()
    }

    #[test]
    fn what_is_gone_is_charged_to_who_acknowledged_it_whoever_says_so() {
        let wrote = (Whose::Canary, row(1_000_000, WRITE, Class::Ok, "a"));
        let read = |class, value| (Whose::Baseline, row(2_000_000, READ, class, value));
        for (read, lost) in [
            (read(Class::Ok, "a"), false),
            (read(Class::Ok, "b"), true),
            (read(Class::WrongStatus, ""), true),
        ] {
            assert_eq!(read_back(&[wrote.clone(), read.clone()]), [(2, Whose::Canary, lost)]);
            // Rows of several workers come in any order.
            assert_eq!(read_back(&[read, wrote.clone()]), [(2, Whose::Canary, lost)]);
        }
        assert_eq!(read_back(&[wrote, read(Class::Timeout, "")]), []);
    }

    #[test]
    fn who_may_not_expect_it_yet_or_cannot_know_it_says_nothing() {
        let missed = (Whose::Own(0), row(2_000_000, READ, Class::WrongStatus, ""));
        let write = |sent_us, class, value| (Whose::Canary, row(sent_us, WRITE, class, value));
        assert_eq!(read_back(std::slice::from_ref(&missed)), []);
        assert_eq!(read_back(&[write(1_000_000, Class::Timeout, "a"), missed.clone()]), []);
        assert_eq!(
            read_back(&[write(1_999_500, Class::Ok, "a"), missed.clone()]),
            [],
            "sent before it was told"
        );
        let twice = [write(1_000_000, Class::Ok, "a"), write(1_100_000, Class::Timeout, "b"), missed];
        assert_eq!(read_back(&twice), []);
    }

    #[test]
    fn the_first_who_acknowledged_a_record_answers_for_it() {
        let write = |whose, sent_us| (whose, row(sent_us, WRITE, Class::Ok, "a"));
        let read = (Whose::Own(0), row(2_000_000, READ, Class::Ok, "a"));
        let both = [write(Whose::Canary, 1_200_000), write(Whose::Baseline, 1_000_000), read];
        assert_eq!(read_back(&both), [(2, Whose::Baseline, false)]);
    }
}
