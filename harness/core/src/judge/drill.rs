//! `drill`: what was lost, for how long, and that nothing else was. Clients' own records say it: no server's clock is asked.
//!
//! - Every write that was acknowledged before the backup began is found by the audit; every acknowledged write that is not found
//!   was acknowledged after that, and sent before the data were destroyed.
//! - RPO: from the acknowledgement of the oldest write that is missing to the destruction; their number, and how old the newest
//!   of them was, are told besides.
//! - RTO: from the beginning of the destruction to the end of the first right answer of a request that was sent when it was
//!   over, and that reads or writes a record. Full service is back when the last request without a right answer has ended;
//!   that a record which is lost is not found is right.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    evidence::{Class, Event, Evidence, Operation, Request, TroubleKind, What},
    judge::{
        Finding, Judge, JudgeKind, State, bound,
        register::{Register, Wrong},
        show,
    },
    kind::Stage,
    plan::{DrillPlan, Measure, Objective, Plan},
    step::StepId,
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "drill",
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
}

/// What became of one drill. Times are of the load's clock.
struct Course {
    plan: DrillPlan,
    entering: BTreeMap<StepId, u64>,
    entered: BTreeMap<StepId, u64>,
    failed: Option<String>,
    kept: Option<String>,
}

/// What was measured.
struct Measured {
    backup_us: u64,
    destroyed_us: u64,
    /// When writes that are missing were acknowledged, oldest first.
    missing_us: Vec<u64>,
    /// Acknowledged between the end of the backup and the destruction.
    after: u64,
    /// Writes that the backup should have held, and whatever else is wrong.
    unexplained: Vec<String>,
    answer_us: Option<u64>,
    whole_us: Option<u64>,
}

impl Drills {
    fn new(plan: &Plan) -> Self {
        let course = |plan: &DrillPlan| Course {
            plan: plan.clone(),
            entering: BTreeMap::new(),
            entered: BTreeMap::new(),
            failed: None,
            kept: None,
        };
        let of = |objective: &&Objective| matches!(objective.measure, Measure::Rpo | Measure::Rto);
        Self {
            drills: plan.drills.iter().map(course).collect(),
            objectives: plan.objectives.iter().filter(of).cloned().collect(),
            register: Register::default(),
            zero_us: None,
            interrupted: false,
            right: vec![],
            wrong: vec![],
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
        match (row.class, row.operation) {
            (_, Operation::Audit) => {}
            (Class::Ok, Operation::Read | Operation::Write) => self.right.push((row.sent_us, row.done_us)),
            (Class::Ok, _) => {}
            _ if row.class.was_sent() => self.wrong.push((row.sent_us, row.done_us, row.key.as_str().into())),
            _ => {}
        }
    }
}

impl Course {
    fn event(&mut self, at_us: u64, what: &What) {
        let mine = |step: &StepId| self.plan.track.steps.iter().any(|one| one.id == *step);
        match what {
            What::Entering { step, .. } if mine(step) => {
                _ = self.entering.entry(step.clone()).or_insert(at_us)
            }
            What::Entered { step } if mine(step) => _ = self.entered.entry(step.clone()).or_insert(at_us),
            What::Trouble { kind: TroubleKind::Drill, step: Some(step), why } if mine(step) => {
                self.failed.get_or_insert(why.clone());
            }
            What::Kept { step, what, .. } if mine(step) => self.kept = Some(what.clone()),
            _ => {}
        }
    }

    fn at(&self, times: &BTreeMap<StepId, u64>, stage: Stage) -> Option<u64> {
        times.get(&stage.of(&self.plan.track.name)).copied()
    }

    /// None: it did not come to its end.
    fn measured(&self, all: &Drills) -> Option<Measured> {
        let backup_us = self.at(&self.entering, Stage::Backup)?;
        let backed_up_us = self.at(&self.entered, Stage::Backup)?;
        let destroyed_us = self.at(&self.entering, Stage::Destroy)?;
        let gone_us = self.at(&self.entered, Stage::Destroy)?;
        let restored_us = self.at(&self.entered, Stage::Restore)?;
        let mut missing_us: Vec<u64> = vec![];
        let mut missing = BTreeSet::new();
        let mut unexplained = vec![];
        for (key, wrong) in all.register.wrong() {
            let acknowledged = all.register.acknowledged_us(key);
            match (&wrong, acknowledged) {
                // A write in flight may be acknowledged while the database goes; what came after the restore must be there.
                (Wrong::Lost, Some(at)) if (backup_us..=restored_us).contains(&at) => {
                    missing_us.push(at);
                    missing.insert(key);
                }
                // After the restore a reader is told the truth: it is gone.
                (Wrong::MissedByRead, Some(at)) if (backup_us..=restored_us).contains(&at) => {}
                (Wrong::Lost, Some(at)) if at > restored_us => {
                    unexplained.push(format!("{key} was acknowledged after the restore, and is lost"));
                }
                (Wrong::Lost, Some(at)) => {
                    let before = show::time((backup_us - at) as f64);
                    unexplained.push(format!(
                        "{key} was acknowledged {before} before the backup began, and is lost"
                    ));
                }
                (wrong, _) => unexplained.push(format!("{key}: {wrong:?}")),
            }
        }
        missing_us.sort_unstable();
        let between = |at: &u64| (backed_up_us..destroyed_us).contains(at);
        let after = all.register.acknowledgements().filter(between).count() as u64;
        let answers = all.right.iter().filter(|(sent, _)| *sent >= gone_us);
        let answer_us = answers.map(|(_, done)| *done).min();
        let failures =
            all.wrong.iter().filter(|(sent, _, key)| *sent >= destroyed_us && !missing.contains(&**key));
        let whole_us = failures.map(|(_, done, _)| *done).max();
        Some(Measured { backup_us, destroyed_us, missing_us, after, unexplained, answer_us, whole_us })
    }

    fn whole(&self, measured: Option<&Measured>, all: &Drills) -> Finding {
        let unseen = if all.interrupted { State::Unknown } else { State::Invalid };
        let kept = self.kept.as_ref().map(|kept| format!("; {kept}")).unwrap_or_default();
        let (state, said, samples, why) = match (&self.failed, measured) {
            (Some(why), _) => (State::Missed, "not restored".to_owned(), 1, why.clone()),
            (None, None) => (unseen, "nothing".to_owned(), 0, "it did not come to its end".to_owned()),
            (None, Some(measured)) => self.judged(measured, all),
        };
        Finding {
            judge: KIND.name.into(),
            what: "drill restores all but the newest writes".into(),
            at: Some(self.plan.title.clone()),
            state,
            measured: said,
            samples,
            detail: format!("{}: {why}{kept}", self.plan.title),
        }
    }

    fn judged(&self, measured: &Measured, all: &Drills) -> (State, String, u64, String) {
        let known = all.register.acknowledgements().count() as u64;
        let unaudited = all.register.unaudited();
        let lost = measured.missing_us.len() as u64;
        let said = format!("{lost} of {} lost", show::count(known, "acknowledged write"));
        let (state, why) = if !measured.unexplained.is_empty() {
            (State::Missed, show::examples(measured.unexplained.clone(), 5))
        } else if measured.answer_us.is_none() {
            (State::Missed, "after the restore no request on a record had a right answer".to_owned())
        } else if unaudited > 0 {
            (State::Unknown, format!("{unaudited} acknowledged writes were not audited"))
        } else if lost < measured.after {
            let why = format!(
                "{} acknowledged after the backup, and only {lost} are lost: what was destroyed did not hold them",
                show::count(measured.after, "write was")
            );
            (State::Invalid, why)
        } else if measured.after < self.plan.lose {
            (State::Unknown, format!("only {} writes were acknowledged after the backup", measured.after))
        } else {
            let why = format!(
                "{} acknowledged after the backup ended; all that is lost came after it began",
                measured.after
            );
            (State::Met, why)
        };
        (state, said, known, why)
    }

    fn objective(&self, objective: &Objective, measured: Option<&Measured>) -> Finding {
        let open =
            bound::open(KIND.name, objective, Some(&self.plan.title), "the drill did not come to its end");
        let Some(measured) = measured else { return open };
        let span = |us: u64| show::time(us as f64);
        let (value, said, detail) = match objective.measure {
            Measure::Rpo => {
                let (Some(oldest), Some(newest)) = (measured.missing_us.first(), measured.missing_us.last())
                else {
                    return Finding { detail: "nothing is lost: nothing to measure".into(), ..open };
                };
                let age = |at: &u64| measured.destroyed_us.saturating_sub(*at);
                let count = show::count(measured.missing_us.len() as u64, "write");
                let detail = format!(
                    "{count} lost; the oldest was acknowledged {} before the destruction, the newest {}; the backup began {} before it",
                    span(age(oldest)),
                    span(age(newest)),
                    span(measured.destroyed_us.saturating_sub(measured.backup_us)),
                );
                (age(oldest), format!("{} ({count})", span(age(oldest))), detail)
            }
            _ => {
                let Some(answer) = measured.answer_us else {
                    let detail = "no right answer came after the destruction".to_owned();
                    return Finding { state: State::Missed, detail, samples: 1, ..open };
                };
                let took = answer.saturating_sub(measured.destroyed_us);
                let whole =
                    measured.whole_us.unwrap_or(answer).max(answer).saturating_sub(measured.destroyed_us);
                let detail = format!(
                    "first right answer on a record after {}, full service after {}",
                    span(took),
                    span(whole)
                );
                (took, span(took), detail)
            }
        };
        let samples = measured.missing_us.len().max(1) as u64;
        let finding = Finding { measured: said, samples, detail, ..open };
        let holds = objective.comparison.holds(value as f64, objective.bound);
        bound::close(finding, objective, holds)
    }
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
            findings.extend(
                self.objectives.iter().map(|objective| drill.objective(objective, measured.as_ref())),
            );
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::Drills;
    use crate::{
        act::Ability,
        evidence::{Class, Event, Evidence, Operation, Request, TroubleKind, What},
        judge::{Finding, Judge, State},
        kind::Stage,
        plan::{Known, Plan, plan},
        scenario, system,
    };

    fn planned() -> Plan {
        let system = "format: 1\nname: x\ncomponents:\n  store: { ports: [sql], ready: { postgres: { port: sql, user: u, database: d } } }\n\
                      endpoint: { component: store, port: sql }\n\
                      behaviours: { put: { steps: [{ method: PUT, path: '/{{uuid}}', mark: { write: { key: '{{uuid}}', value: v } } }] } }\n\
                      audit: { path: '/{{key}}', found: { list: /items, value: /v } }\n";
        let text = "hypothesis: h\nsystem: s.yml\nphases: { drill: 100s }\ndrills: [{ logical: store, at: drill + 10s, lose: 3 }]\n\
                    may-lose: [store]\nload: [{ behaviour: put, arrivals: { constant: 10/s } }]\nobjectives: [rpo < 5s, rto < 20s]\n";
        let system = system::read(system).unwrap();
        let abilities = BTreeSet::from([Ability::Start, Ability::Exec]);
        let known = Known { system: &system, target: "any", abilities, slack: Duration::ZERO };
        plan("x", &scenario::read(text).unwrap(), &known).unwrap()
    }

    /// The backup from 10 to 12, the destruction from 16 to 17, the restore to 20.
    fn events() -> Vec<Event> {
        let track = "logical-1".parse().unwrap();
        let times = [
            (Stage::Backup, 10, 12),
            (Stage::Write, 12, 16),
            (Stage::Destroy, 16, 17),
            (Stage::Restore, 17, 20),
        ];
        let at = |second: u64, what| Event { at_us: 5_000_000 + second * 1_000_000, what };
        let mut all = vec![at(0, What::LoadBegan)];
        for (stage, from, to) in times {
            all.push(at(from, What::Entering { step: stage.of(&track), acts: vec![] }));
            all.push(at(to, What::Entered { step: stage.of(&track) }));
        }
        all
    }

    fn row(operation: Operation, second: u64, key: &str, class: Class, value: &str) -> Request {
        Request {
            intended_us: second * 1_000_000,
            sent_us: second * 1_000_000,
            done_us: second * 1_000_000 + 1_000,
            step: 0,
            arm: String::new(),
            status: 200,
            class,
            bytes: 1,
            operation,
            key: key.into(),
            value: value.into(),
        }
    }

    /// A write a second; those of these seconds are not found afterwards; none is acknowledged from 16 to 20.
    fn rows(lost: std::ops::Range<u64>) -> Vec<Request> {
        let class = |second| if (16..=20).contains(&second) { Class::WrongStatus } else { Class::Ok };
        let key = |second: u64| format!("k{second}");
        let mut all: Vec<_> =
            (0..30).map(|second| row(Operation::Write, second, &key(second), class(second), "v")).collect();
        let found =
            |second: &u64| if lost.contains(second) || class(*second) != Class::Ok { "" } else { "v" };
        all.extend((0..30).map(|second| row(Operation::Audit, 90, &key(second), Class::Ok, found(&second))));
        all
    }

    fn findings(events: &[Event], rows: &[Request]) -> Vec<Finding> {
        let mut judge = Drills::new(&planned());
        events.iter().for_each(|event| judge.see(Evidence::Event(event)));
        rows.iter().for_each(|row| judge.see(Evidence::Request(row)));
        judge.findings()
    }

    #[test]
    fn what_came_after_the_backup_is_lost_and_nothing_else() {
        let all = findings(&events(), &rows(12..16));
        let states: Vec<_> = all.iter().map(|finding| (finding.state, finding.measured.as_str())).collect();
        assert_eq!(
            states,
            [
                (State::Met, "4 of 25 acknowledged writes lost"),
                (State::Met, "4.00 s (4 writes)"),
                (State::Met, "5.00 s")
            ],
            "{all:#?}"
        );
        assert!(
            all[2].detail.contains("full service after 4.00 s")
                || all[2].detail.contains("full service after 5.00 s"),
            "{}",
            all[2].detail
        );
    }

    #[test]
    fn one_write_too_many_is_told_with_its_key() {
        let all = findings(&events(), &rows(9..16));
        assert_eq!(all[0].state, State::Missed);
        assert!(
            all[0].detail.contains("k9 was acknowledged 999.0 ms before the backup began"),
            "{}",
            all[0].detail
        );
    }

    #[test]
    fn a_write_that_is_lost_after_the_restore_is_no_loss_of_the_drill() {
        let mut rows = rows(12..16);
        let late = rows.iter_mut().find(|row| row.operation == Operation::Audit && row.key == "k25");
        late.unwrap().value.clear();
        let all = findings(&events(), &rows);
        assert_eq!(all[0].state, State::Missed, "{all:#?}");
        assert!(all[0].detail.contains("k25 was acknowledged after the restore"), "{}", all[0].detail);
    }

    #[test]
    fn data_that_were_never_gone_prove_no_restore() {
        let all = findings(&events(), &rows(13..16));
        assert_eq!(all[0].state, State::Invalid, "{all:#?}");
    }

    #[test]
    fn without_a_right_answer_afterwards_nothing_is_restored() {
        let before: Vec<_> = rows(12..16)
            .into_iter()
            .filter(|row| row.sent_us < 20_000_000 || row.operation == Operation::Audit)
            .collect();
        let all = findings(&events(), &before);
        assert_eq!((all[0].state, all[2].state), (State::Missed, State::Missed), "{all:#?}");
    }

    #[test]
    fn a_restore_that_failed_is_missed_and_one_that_never_came_is_no_evidence() {
        let short = &events()[..6];
        assert_eq!(findings(short, &rows(12..16))[0].state, State::Invalid);
        let step = Some(Stage::Restore.of(&"logical-1".parse().unwrap()));
        let why = What::Trouble { kind: TroubleKind::Drill, step, why: "refused: a byte is wrong".into() };
        let failed: Vec<_> = short.iter().cloned().chain([Event { at_us: 30_000_000, what: why }]).collect();
        let all = findings(&failed, &rows(12..16));
        assert_eq!((all[0].state, all[1].state), (State::Missed, State::Unknown));
        assert!(all[0].detail.contains("a byte is wrong"));
    }
}
