//! `drill`: what was lost, for how long, and that nothing else was. Clients' own records say it: no server's clock is asked.
//!
//! - Every write that was acknowledged before the backup began is found by the audit; every acknowledged write that is not found
//!   was acknowledged after that, and before the restore had ended. Where the log reaches to the destruction only what was
//!   acknowledged after that may be missing, and where the component keeps no records nothing.
//! - RPO: from the acknowledgement of the oldest write that is missing to the destruction; their number, and how old the newest
//!   of them was, are told besides.
//! - RTO: from the beginning of the destruction to the end of the first right answer of a request that was sent when it was
//!   over, and that reads or writes a record. Full service is back when the last request without a right answer has ended
//!   (that a record which is lost is not found is right), and the last second is over that an objective of latency would miss.
//! - What users have of the backup itself: their latency and errors while it was taken, beside those before the first drill.

use crate::{
    evidence::{Class, Event, Evidence, Operation, Request, What},
    judge::{self, Finding, Judge, JudgeKind, level::Answer, register::Register},
    kind::Stage,
    plan::{Measure, Objective, Plan},
};

mod course;
mod loss;
mod say;

pub use self::course::Account;
use self::course::Course;
pub use super::level::Level;

/// What it is called in findings.
pub const NAME: &str = "drill";

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: NAME,
    about: "a drill restores, loses nothing but what came after its backup, and says how much and for how long",
    asked: false,
    make: |plan| Box::new(Drills::new(plan)),
};

struct Drills {
    drills: Vec<Course>,
    objectives: Vec<Objective>,
    register: Register,
    zero_us: Option<u64>,
    interrupted: bool,
    /// Of requests that read or write a record and had a right answer: when they were sent and done.
    right: Vec<(u64, u64)>,
    /// When requests without a right answer were sent and had ended, and of which record.
    wrong: Vec<(u64, u64, Box<str>)>,
    /// Of every request that was sent: how users fared.
    answers: Vec<Answer>,
    /// What latency is full service: quantile and bound.
    levels: Vec<(f64, f64)>,
    /// Judged load, from when to when.
    judged: Vec<(u64, u64)>,
}

impl Drills {
    fn new(plan: &Plan) -> Self {
        let of = |objective: &&Objective| matches!(objective.measure, Measure::Rpo | Measure::Rto);
        Self {
            drills: plan.drills.iter().map(Course::new).collect(),
            objectives: plan.objectives.iter().filter(of).cloned().collect(),
            register: Register::default(),
            zero_us: None,
            interrupted: false,
            right: vec![],
            wrong: vec![],
            answers: vec![],
            levels: plan.objectives.iter().filter_map(level_of).collect(),
            judged: judge::course::Course::new(plan).judged().collect(),
        }
    }

    fn event(&mut self, event: &Event) {
        if event.what == What::LoadBegan {
            self.zero_us.get_or_insert(event.at_us);
        }
        self.interrupted |= event.what == What::Interrupted;
        let Some(at_us) = self.zero_us.and_then(|zero| event.at_us.checked_sub(zero)) else { return };
        self.drills.iter_mut().for_each(|drill| drill.event(at_us, &event.what));
    }

    fn row(&mut self, row: &Request) {
        self.register.see(row);
        self.answers.extend(Answer::of(row));
        match (row.class, row.operation) {
            (_, Operation::Audit) => {}
            (Class::Ok, Operation::Read | Operation::Write) => self.right.push((row.sent_us, row.done_us)),
            (Class::Ok, _) => {}
            _ if row.class.was_sent() => self.wrong.push((row.sent_us, row.done_us, row.key.as_str().into())),
            _ => {}
        }
    }
}

fn level_of(objective: &Objective) -> Option<(f64, f64)> {
    match objective.measure {
        Measure::Latency { quantile, behaviour: None } => Some((quantile, objective.bound)),
        _ => None,
    }
}

/// What every drill of a run measured.
pub fn accounts<'a>(plan: &Plan, evidence: impl Iterator<Item = Evidence<'a>>) -> Vec<Account> {
    let mut drills = Drills::new(plan);
    evidence.for_each(|piece| drills.see(piece));
    drills.drills.iter().map(|drill| drill.account(&drills)).collect()
}

impl Judge for Drills {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.event(event),
            Evidence::Request(row) if !self.drills.is_empty() => self.row(row),
            Evidence::Request(_) | Evidence::Metric(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![];
        for drill in &self.drills {
            let measured = drill.measured(self);
            findings.push(drill.whole(measured.as_ref(), self));
            // Nothing to measure where nothing is destroyed.
            let asked = self.objectives.iter().filter(|_| drill.plan.step(Stage::Destroy).is_some());
            findings.extend(asked.map(|objective| drill.objective(objective, measured.as_ref())));
        }
        findings
    }
}

#[cfg(test)]
mod tests;
