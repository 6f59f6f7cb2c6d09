//! `no-duplicate`: no record stands under its key more than once, whether its write was acknowledged or not. A retry
//! that is not idempotent shows here.

use super::{Finding, Judge, JudgeKind, State, bound, course::Course, register::Register, show};
use crate::{evidence::Evidence, plan::Plan};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "no-duplicate",
    about: "no write is found more than once",
    asked: true,
    make: |plan| Box::new(NoDuplicate::new(plan)),
};

struct NoDuplicate {
    course: Course,
    register: Register,
}

impl NoDuplicate {
    fn new(plan: &Plan) -> Self {
        Self { course: Course::new(plan), register: Register::default() }
    }
}

impl Judge for NoDuplicate {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.course.see(event),
            Evidence::Request(row) => self.register.see(row),
            Evidence::Metric(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let audited =
            || self.register.written().filter_map(|(key, record)| Some((key, record, record.found()?)));
        let samples = audited().count() as u64;
        let twice = audited().filter(|(_, _, found)| found.len() > 1);
        let twice: Vec<String> =
            twice.map(|(key, _, found)| format!("{key} stands {} times", found.len())).collect();
        // A write that was not acknowledged is the one that somebody may have tried again.
        let open = self.register.written().filter(|(_, record)| record.found().is_none()).count() as u64;
        let measured =
            format!("{} of {}", show::count(twice.len() as u64, "duplicate"), show::count(samples, "record"));
        let (state, why) = if !twice.is_empty() {
            (State::Missed, show::examples(twice, 5))
        } else if samples == 0 {
            (State::Unknown, "no written record was audited".into())
        } else if open > 0 || self.register.keyless > 0 {
            let open = show::count(open, "written record");
            let keyless = show::count(self.register.keyless, "write");
            (State::Unknown, format!("{open} could not be audited; {keyless} had no key"))
        } else {
            (State::Met, "none stands more than once".into())
        };
        let seen = format!("{} audited; {}", show::count(samples, "written record"), self.course.kinds());
        vec![bound::check(KIND.name, state, samples, measured, format!("{why}; {seen}"))]
    }
}

#[cfg(test)]
mod tests {
    use super::KIND;
    use crate::{
        evidence::{Class, Operation},
        judge::{State, testing::Story},
        outcome::Outcome,
    };

    #[test]
    fn records_that_stand_once_are_met() {
        let finding = Story::good().finding(KIND.name, None);
        assert_eq!((finding.state, finding.samples), (State::Met, 1_000));
    }

    #[test]
    fn one_record_that_stands_twice_fails_the_run_acknowledged_or_not() {
        for class in [Class::Ok, Class::Timeout] {
            let mut story = Story::good();
            story.spoil(|row| row.class = if row.key == "key-117" { class } else { row.class });
            story.spoil_only(Operation::Audit, |row| {
                if row.key == "key-117" {
                    row.value = "value-117\nvalue-117".into();
                }
            });
            let finding = story.finding(KIND.name, None);
            assert_eq!(finding.state, State::Missed);
            assert!(finding.detail.contains("key-117 stands 2 times"), "{}", finding.detail);
            assert_eq!(story.state("no-lost-write", None), State::Met);
            assert_eq!(story.verdict().outcome, Outcome::Failed);
        }
    }

    #[test]
    fn a_write_of_unknown_fate_that_was_not_audited_leaves_it_unknown() {
        let mut story = Story::good();
        story.spoil(|row| row.class = if row.key == "key-117" { Class::Timeout } else { row.class });
        story.drop_rows(|row| row.operation == Operation::Audit && row.key == "key-117");
        let finding = story.finding(KIND.name, None);
        assert_eq!(finding.state, State::Unknown);
        assert!(finding.detail.contains("1 written record could not be audited"), "{}", finding.detail);
    }

    #[test]
    fn without_audits_it_is_unknown() {
        let mut story = Story::good();
        story.drop_rows(|row| row.operation == Operation::Audit);
        assert_eq!(story.state(KIND.name, None), State::Unknown);
    }
}
