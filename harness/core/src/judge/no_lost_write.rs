//! `no-lost-write`: every acknowledged write is found by the audit after the last phase, with its value; no read that
//! was sent after the acknowledgement misses it; and nothing is found that nobody wrote.

use super::{
    Finding, Judge, JudgeKind, State, bound,
    course::Course,
    register::{Register, Wrong},
    show,
};
use crate::{evidence::Evidence, plan::Plan};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "no-lost-write",
    about: "every acknowledged write is found again, with its value",
    asked: true,
    make: |plan| Box::new(NoLostWrite::new(plan)),
};

struct NoLostWrite {
    course: Course,
    register: Register,
}

impl NoLostWrite {
    fn new(plan: &Plan) -> Self {
        Self { course: Course::new(plan), register: Register::default() }
    }
}

fn words(key: &str, wrong: &Wrong) -> String {
    match wrong {
        Wrong::Lost => format!("{key} was acknowledged and is not there"),
        Wrong::Altered(value) => format!("{key} holds {value:?}, which nobody wrote there"),
        Wrong::FromNowhere(value) => format!("{key} holds {value:?} and was never written"),
        Wrong::MissedByRead => format!("a read did not find {key} after it was acknowledged"),
        Wrong::AlteredInRead(value) => {
            format!("a read found {value:?} under {key}, which nobody wrote there")
        }
    }
}

impl Judge for NoLostWrite {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.course.see(event),
            Evidence::Request(row) => self.register.see(row),
            Evidence::Metric(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let acknowledged = || self.register.written().filter(|(_, record)| record.acknowledged());
        let samples = acknowledged().count() as u64;
        let unaudited = acknowledged().filter(|(_, record)| record.found().is_none()).count() as u64;
        let unknown = self.register.written().count() as u64 - samples;
        let wrong = self.register.wrong();
        let lost = wrong.iter().filter(|(_, wrong)| *wrong == Wrong::Lost).count() as u64;
        let seen = format!(
            "{}, {} of unknown fate and {} were seen; {}",
            show::count(samples, "acknowledged write"),
            show::count(unknown, "write"),
            show::count(self.register.reads, "read"),
            self.course.kinds(),
        );
        let (state, why) = if !wrong.is_empty() {
            (State::Missed, show::examples(wrong.iter().map(|(key, wrong)| words(key, wrong)).collect(), 5))
        } else if samples == 0 {
            (State::Unknown, "nothing was acknowledged".into())
        } else if unaudited > 0 {
            let audits = show::count(self.register.failed_audits, "audit");
            (State::Unknown, format!("{unaudited} of them were not audited; {audits} failed"))
        } else if self.register.keyless > 0 {
            let keyless = show::count(self.register.keyless, "write");
            (State::Unknown, format!("{keyless} had no key to look for"))
        } else {
            (State::Met, "all of them were found".into())
        };
        let measured = format!(
            "{lost} of {} lost, {} otherwise wrong",
            show::count(samples, "write"),
            wrong.len() as u64 - lost
        );
        vec![bound::check(KIND.name, state, samples, measured, format!("{why}; {seen}"))]
    }
}

#[cfg(test)]
mod tests {
    use super::KIND;
    use crate::{
        evidence::{Class, Operation, Request},
        judge::{Finding, State, testing::Story},
        outcome::Outcome,
    };

    fn finding(story: &Story) -> Finding {
        story.finding(KIND.name, None)
    }

    #[test]
    fn writes_that_are_all_found_are_met_with_their_number() {
        let finding = finding(&Story::good());
        assert_eq!((finding.state, finding.samples), (State::Met, 1_000));
        assert!(finding.detail.contains("faults meanwhile: kill"), "{}", finding.detail);
        assert!(finding.detail.contains("490 reads"), "{}", finding.detail);
    }

    #[test]
    fn one_lost_write_of_a_thousand_fails_the_run() {
        let mut story = Story::good();
        story.spoil_only(Operation::Audit, |row| {
            if row.key == "key-117" {
                row.value.clear();
            }
        });
        let finding = finding(&story);
        assert_eq!(
            (finding.state, finding.measured.as_str()),
            (State::Missed, "1 of 1000 writes lost, 0 otherwise wrong")
        );
        assert!(finding.detail.contains("key-117 was acknowledged and is not there"), "{}", finding.detail);
        assert_eq!(story.verdict().outcome, Outcome::Failed);
    }

    #[test]
    fn a_lost_write_that_was_not_acknowledged_is_no_loss() {
        let mut story = Story::good();
        story.spoil(|row| row.class = if row.key == "key-117" { Class::Timeout } else { row.class });
        story.spoil_only(Operation::Audit, |row| {
            if row.key == "key-117" {
                row.value.clear();
            }
        });
        let finding = finding(&story);
        assert_eq!((finding.state, finding.samples), (State::Met, 999));
        assert!(finding.detail.contains("1 write of unknown fate"), "{}", finding.detail);
    }

    #[test]
    fn an_altered_value_a_stale_read_and_a_record_from_nowhere_are_found() {
        let spoils: [fn(&mut Story); 3] = [
            |story| {
                story.spoil_only(Operation::Audit, |row| {
                    row.value = row.value.replace("value-117", "value-118")
                })
            },
            |story| {
                let read = |row: &&mut Request| row.operation == Operation::Read;
                let row = story.requests.iter_mut().find(read).unwrap();
                (row.class, row.status) = (Class::WrongStatus, 404);
            },
            |story| {
                let stray = story.requests.last().unwrap().clone();
                story.requests.push(Request { key: "stray".into(), ..stray });
            },
        ];
        for (spoil, word) in spoils.into_iter().zip(["nobody wrote there", "did not find", "never written"]) {
            let mut story = Story::good();
            spoil(&mut story);
            let finding = finding(&story);
            assert_eq!(finding.state, State::Missed, "{word}");
            assert!(finding.detail.contains(word), "{}", finding.detail);
        }
    }

    #[test]
    fn a_write_without_a_key_leaves_both_checks_unknown() {
        let mut story = Story::good();
        story.spoil_only(Operation::Write, |row| {
            if row.key == "key-117" {
                row.key.clear();
            }
        });
        story.drop_rows(|row| row.key == "key-117");
        assert_eq!(finding(&story).state, State::Unknown);
        assert_eq!(story.state("no-duplicate", None), State::Unknown);
    }

    #[test]
    fn without_an_audit_or_without_writes_it_is_unknown() {
        let mut story = Story::good();
        story.drop_rows(|row| row.operation == Operation::Audit && row.key == "key-117");
        let told = finding(&story);
        assert_eq!(told.state, State::Unknown);
        assert!(told.detail.contains("1 of them were not audited"), "{}", told.detail);
        story.drop_rows(|row| row.operation != Operation::None);
        assert_eq!(finding(&story).state, State::Unknown);
    }
}
