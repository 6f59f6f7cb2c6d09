//! `drill`: what was lost, for how long, and that nothing else was. Clients' own records say it: no server's clock is asked.
//!
//! - Every write that was acknowledged before the backup began is found by the audit; every acknowledged write that is not found
//!   was acknowledged after that, and before the restore had ended. Where the log reaches to the destruction only what was
//!   acknowledged after that may be missing, and where the component keeps no records nothing.
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
    kind::{Loses, Stage},
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
    healed: BTreeMap<StepId, u64>,
    failed: Option<String>,
    kept: Vec<String>,
    /// Spoilt backups that were refused for the right reason, and what became of the others.
    refused: u64,
    accepted: Vec<String>,
}

/// What was measured.
struct Measured {
    spans: Spans,
    /// When writes that are missing were acknowledged, oldest first.
    missing_us: Vec<u64>,
    /// Acknowledged between the end of the backup and the destruction.
    after: u64,
    /// Writes that the backup should have held, and whatever else is wrong.
    unexplained: Vec<String>,
    /// Reads that found nothing while the data were gone.
    seen_gone: u64,
    answer_us: Option<u64>,
    whole_us: Option<u64>,
}

/// When writes may be lost, and when data were gone.
#[derive(Debug, Clone, Copy)]
struct Spans {
    /// From when on an acknowledged write may be missing; none: never.
    may_lose: Option<u64>,
    backup_us: u64,
    backed_up_us: u64,
    destroyed_us: u64,
    /// From when on a right answer proves that something was restored.
    gone_us: u64,
    restored_us: u64,
}

/// What is missing.
#[derive(Debug, Default)]
struct Lost<'a> {
    keys: BTreeSet<&'a str>,
    /// When they were acknowledged, oldest first.
    missing_us: Vec<u64>,
    unexplained: Vec<String>,
    seen_gone: u64,
}

impl Spans {
    /// What is missing because of this drill; of what others may lose they tell.
    fn lost<'a>(self, register: &'a Register, others: &[Self]) -> Lost<'a> {
        let mut lost = Lost::default();
        let anothers = |at: u64| others.iter().any(|other| other.allows(at));
        for (key, wrong) in register.wrong() {
            match (&wrong, register.acknowledged_us(key)) {
                // Looked at below, with their times.
                (Wrong::MissedByRead, _) => {}
                // A write in flight may be acknowledged while the data go; what came after the restore must be there.
                (Wrong::Lost, Some(at)) if self.allows(at) => {
                    lost.missing_us.push(at);
                    lost.keys.insert(key);
                }
                (Wrong::Lost, Some(at)) if anothers(at) => _ = lost.keys.insert(key),
                (Wrong::Lost, Some(at)) => {
                    lost.unexplained.push(format!("{key} {}, and is lost", self.when(at)))
                }
                (wrong, _) => lost.unexplained.push(format!("{key}: {wrong:?}")),
            }
        }
        for (key, sent, done) in register.missed() {
            let gone = |spans: &Self| sent <= spans.restored_us && done >= spans.destroyed_us;
            if gone(&self) {
                lost.seen_gone += 1;
            } else if !lost.keys.contains(key) && !others.iter().any(gone) {
                // After the restore a reader of what is lost is told the truth.
                lost.unexplained.push(format!("{key}: {:?}", Wrong::MissedByRead));
            }
        }
        lost.missing_us.sort_unstable();
        lost
    }

    fn allows(self, at: u64) -> bool {
        self.may_lose.is_some_and(|from| (from..=self.restored_us).contains(&at))
    }

    /// When a write was acknowledged that must not be missing.
    fn when(self, at: u64) -> String {
        match self.may_lose {
            _ if at > self.restored_us => "was acknowledged after the restore".to_owned(),
            Some(from) => {
                let what = if from == self.destroyed_us { "destruction" } else { "backup" };
                format!(
                    "was acknowledged {} before the {what} began",
                    show::time(from.saturating_sub(at) as f64)
                )
            }
            None => "was acknowledged".to_owned(),
        }
    }
}

impl Drills {
    fn new(plan: &Plan) -> Self {
        let course = |plan: &DrillPlan| Course {
            plan: plan.clone(),
            entering: BTreeMap::new(),
            entered: BTreeMap::new(),
            healed: BTreeMap::new(),
            failed: None,
            kept: vec![],
            refused: 0,
            accepted: vec![],
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
            What::Healed { step } if mine(step) => _ = self.healed.entry(step.clone()).or_insert(at_us),
            What::Kept { step, what, .. } if mine(step) => self.kept.push(what.clone()),
            What::Offered { step, what, expected, refused } if mine(step) => match refused {
                Some(why) if why == expected => self.refused += 1,
                Some(why) => self.accepted.push(format!("{what} was refused as {why}, not as {expected}")),
                None => self.accepted.push(format!("{what} was accepted")),
            },
            _ => {}
        }
    }

    fn at(&self, times: &BTreeMap<StepId, u64>, stage: Stage) -> Option<u64> {
        times.get(&self.plan.step(stage)?.id).copied()
    }

    /// None: it did not come to its end.
    fn spans(&self) -> Option<Spans> {
        let ends = [Stage::Destroy, Stage::Stop];
        let destroyed_us = ends.iter().filter_map(|stage| self.at(&self.entering, *stage)).min()?;
        let stopped_us = self.at(&self.entered, Stage::Stop).unwrap_or(0);
        let gone_us = self.at(&self.entered, Stage::Destroy)?.max(stopped_us);
        // What was stopped is restored once it runs again.
        let restored_us = match self.plan.step(Stage::Stop) {
            Some(_) => self.at(&self.healed, Stage::Stop)?,
            None => self.at(&self.entered, Stage::Restore)?,
        };
        let backup = self.at(&self.entering, Stage::Backup).zip(self.at(&self.entered, Stage::Backup));
        let (backup_us, backed_up_us) = match backup {
            Some(backup) => backup,
            None => (destroyed_us, self.at(&self.entering, Stage::Write)?),
        };
        let may_lose = match self.plan.loses {
            Loses::SinceBackup => Some(backup_us),
            Loses::SinceDestruction => Some(destroyed_us),
            Loses::Nothing => None,
        };
        Some(Spans { may_lose, backup_us, backed_up_us, destroyed_us, gone_us, restored_us })
    }

    fn measured(&self, all: &Drills) -> Option<Measured> {
        let spans = self.spans()?;
        let others = all.drills.iter().filter(|other| other.plan.track.name != self.plan.track.name);
        let others: Vec<Spans> = others.filter_map(Course::spans).collect();
        let lost = spans.lost(&all.register, &others);
        let between = |at: &u64| (spans.backed_up_us..spans.destroyed_us).contains(at);
        let after = all.register.acknowledgements().filter(between).count() as u64;
        let answers = all.right.iter().filter(|(sent, _)| *sent >= spans.gone_us);
        let answer_us = answers.map(|(_, done)| *done).min();
        // What another drill breaks later is that one's.
        let next = others.iter().map(|other| other.destroyed_us).filter(|at| *at > spans.destroyed_us).min();
        let own = spans.destroyed_us..next.unwrap_or(u64::MAX);
        let failures =
            all.wrong.iter().filter(|(sent, _, key)| own.contains(sent) && !lost.keys.contains(&**key));
        let whole_us = failures.map(|(_, done, _)| *done).max();
        let Lost { unexplained, seen_gone, missing_us, .. } = lost;
        Some(Measured { spans, missing_us, after, unexplained, seen_gone, answer_us, whole_us })
    }

    fn whole(&self, measured: Option<&Measured>, all: &Drills) -> Finding {
        let unseen = if all.interrupted { State::Unknown } else { State::Invalid };
        let kept: String = self.kept.iter().map(|kept| format!("; {kept}")).collect();
        let (state, said, samples, why) = match (&self.failed, measured) {
            (Some(why), _) => (State::Missed, "not restored".to_owned(), 1, why.clone()),
            (None, _) if self.plan.step(Stage::Refuse).is_some() => self.refusals(unseen),
            (None, None) => (unseen, "nothing".to_owned(), 0, "it did not come to its end".to_owned()),
            (None, Some(measured)) => self.judged(measured, all),
        };
        Finding {
            judge: KIND.name.into(),
            what: self.what().into(),
            at: Some(self.plan.title.clone()),
            state,
            measured: said,
            samples,
            detail: format!("{}: {why}{kept}", self.plan.title),
        }
    }

    fn what(&self) -> &'static str {
        match self.plan.loses {
            _ if self.plan.step(Stage::Refuse).is_some() => "drill refuses every spoilt backup",
            Loses::SinceBackup => "drill restores all but the newest writes",
            Loses::SinceDestruction => "drill restores all that came before the destruction",
            Loses::Nothing => "drill loses no write",
        }
    }

    /// A drill that destroys nothing: every backup that was offered is refused for the right reason.
    fn refusals(&self, unseen: State) -> (State, String, u64, String) {
        let offered = self.refused + self.accepted.len() as u64;
        let said = format!("{} of {} refused", self.refused, show::count(offered, "spoilt backup"));
        let ended = self.at(&self.entered, Stage::Refuse).is_some();
        let (state, why) = match self.accepted.as_slice() {
            [] if !ended || offered == 0 => (unseen, "it did not come to its end".to_owned()),
            [] => (
                State::Met,
                "each for the right reason, when it was verified and when it was restored".to_owned(),
            ),
            accepted => (State::Missed, show::examples(accepted.to_vec(), 5)),
        };
        (state, said, offered, why)
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
        } else if self.plan.loses == Loses::SinceDestruction && lost + measured.seen_gone == 0 {
            (State::Invalid, "nobody saw that anything was gone: nothing was destroyed".to_owned())
        } else if self.plan.loses == Loses::SinceBackup && lost < measured.after {
            let why = format!(
                "{} acknowledged after the backup, and only {lost} are lost: what was destroyed did not hold them",
                show::count(measured.after, "write was")
            );
            (State::Invalid, why)
        } else if measured.after < self.plan.lose {
            (State::Unknown, format!("only {} writes were acknowledged after the backup", measured.after))
        } else {
            let rest = match self.plan.loses {
                Loses::SinceBackup => "all that is lost came after it began",
                Loses::SinceDestruction => "all that is lost came after the destruction began",
                Loses::Nothing => "none is lost",
            };
            (State::Met, format!("{} acknowledged after the backup ended; {rest}", measured.after))
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
                    return nothing_lost(self.plan.loses, open, objective);
                };
                let age = |at: &u64| measured.spans.destroyed_us.saturating_sub(*at);
                let count = show::count(measured.missing_us.len() as u64, "write");
                let detail = format!(
                    "{count} lost; the oldest was acknowledged {} before the destruction, the newest {}; the backup began {} before it",
                    span(age(oldest)),
                    span(age(newest)),
                    span(measured.spans.destroyed_us.saturating_sub(measured.spans.backup_us)),
                );
                (age(oldest), format!("{} ({count})", span(age(oldest))), detail)
            }
            _ => {
                let Some(answer) = measured.answer_us else {
                    let detail = "no right answer came after the destruction".to_owned();
                    return Finding { state: State::Missed, detail, samples: 1, ..open };
                };
                let took = answer.saturating_sub(measured.spans.destroyed_us);
                let whole = measured
                    .whole_us
                    .unwrap_or(answer)
                    .max(answer)
                    .saturating_sub(measured.spans.destroyed_us);
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

/// Where the newest writes cannot but be lost, none that is lost is no measurement.
fn nothing_lost(loses: Loses, open: Finding, objective: &Objective) -> Finding {
    if loses == Loses::SinceBackup {
        return Finding { detail: "nothing is lost: nothing to measure".into(), ..open };
    }
    let detail = "no acknowledged write is missing".to_owned();
    let finding = Finding { measured: "0 s (0 writes)".into(), samples: 1, detail, ..open };
    let holds = objective.comparison.holds(0.0, objective.bound);
    bound::close(finding, objective, holds)
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
        of("logical: store", "rpo < 5s, rto < 20s")
    }

    fn of(drill: &str, objectives: &str) -> Plan {
        let system = "format: 1\nname: x\ncomponents:\n  store: { ports: [sql], ready: { postgres: { port: sql, user: u, database: d } } }\n\
                      endpoint: { component: store, port: sql }\n\
                      behaviours: { put: { steps: [{ method: PUT, path: '/{{uuid}}', mark: { write: { key: '{{uuid}}', value: v } } }] } }\n\
                      audit: { path: '/{{key}}', found: { list: /items, value: /v } }\n";
        let lose = if drill.starts_with("refusals") { "" } else { "may-lose: [store]\n" };
        let text = format!(
            "hypothesis: h\nsystem: s.yml\nphases: {{ drill: 100s }}\ndrills: [{{ {drill}, at: drill + 10s, lose: 3 }}]\n\
             {lose}load: [{{ behaviour: put, arrivals: {{ constant: 10/s }} }}]\nobjectives: [{objectives}]\n"
        );
        let system = system::read(system).unwrap();
        let abilities = BTreeSet::from([Ability::Start, Ability::Exec, Ability::Files]);
        let known = Known { system: &system, target: "any", abilities, slack: Duration::ZERO };
        plan("x", &scenario::read(&text).unwrap(), &known).unwrap()
    }

    /// The backup from 10 to 12, the destruction from 16 to 17, the restore to 20; what was stopped runs again then.
    fn events_of(plan: &Plan) -> Vec<Event> {
        let at = |second: u64, what| Event { at_us: 5_000_000 + second * 1_000_000, what };
        let mut all = vec![at(0, What::LoadBegan)];
        for (stage, step) in plan.drills[0].steps() {
            let (from, to) = match stage {
                Stage::Hold => (9, 10),
                Stage::Backup => (10, 12),
                Stage::Write => (12, 16),
                Stage::Destroy | Stage::Stop => (16, 17),
                Stage::Extend | Stage::Refuse | Stage::Restore => (17, 20),
            };
            all.push(at(from, What::Entering { step: step.id.clone(), acts: vec![] }));
            all.push(at(to, What::Entered { step: step.id.clone() }));
            all.push(at(20, What::Healed { step: step.id.clone() }));
        }
        all
    }

    fn events() -> Vec<Event> {
        events_of(&planned())
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
        findings_of(&planned(), events, rows)
    }

    fn findings_of(plan: &Plan, events: &[Event], rows: &[Request]) -> Vec<Finding> {
        let mut judge = Drills::new(plan);
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
        let step = planned().drills[0].step(Stage::Restore).map(|step| step.id.clone());
        let why = What::Trouble { kind: TroubleKind::Drill, step, why: "refused: a byte is wrong".into() };
        let failed: Vec<_> = short.iter().cloned().chain([Event { at_us: 30_000_000, what: why }]).collect();
        let all = findings(&failed, &rows(12..16));
        assert_eq!((all[0].state, all[1].state), (State::Missed, State::Unknown));
        assert!(all[0].detail.contains("a byte is wrong"));
    }

    #[test]
    fn a_log_that_reaches_to_the_destruction_loses_nothing_before_it() {
        let plan = of("point-in-time: store", "rpo < 1s, rto < 20s");
        // Acknowledged at 16 and later it may be missing: the server was emptied, and went on for a while.
        let mut late = rows(0..0);
        let emptied = |row: &&mut Request| row.key == "k16";
        late.iter_mut().filter(emptied).for_each(|row| {
            row.class = Class::Ok;
            row.value = if row.operation == Operation::Audit { String::new() } else { "v".into() };
        });
        let all = findings_of(&plan, &events_of(&plan), &late);
        assert_eq!(all[0].state, State::Met, "{all:#?}");
        assert_eq!(all[1].measured, "0 us (1 write)", "{all:#?}");
        let early = findings_of(&plan, &events_of(&plan), &rows(14..16));
        assert_eq!(early[0].state, State::Missed);
        assert!(early[0].detail.contains("before the destruction began"), "{}", early[0].detail);
    }

    #[test]
    fn what_is_read_while_tables_are_empty_is_no_loss_but_shows_that_they_were() {
        let plan = of("point-in-time: store", "rto < 20s");
        let seen = |second| {
            let read = row(Operation::Read, second, "k3", Class::WrongStatus, "");
            rows(0..0).into_iter().chain([Request { status: 404, ..read }]).collect::<Vec<_>>()
        };
        assert_eq!(findings_of(&plan, &events_of(&plan), &rows(0..0))[0].state, State::Invalid);
        assert_eq!(findings_of(&plan, &events_of(&plan), &seen(17))[0].state, State::Met);
        let after = findings_of(&plan, &events_of(&plan), &seen(25));
        assert_eq!(after[0].state, State::Missed, "{after:#?}");
    }

    #[test]
    fn what_keeps_no_records_may_lose_none() {
        let plan = of("configuration: store", "rpo < 1ms, rto < 20s");
        let none = findings_of(&plan, &events_of(&plan), &rows(0..0));
        assert_eq!([none[0].state, none[1].state, none[2].state], [State::Met; 3], "{none:#?}");
        let one = findings_of(&plan, &events_of(&plan), &rows(15..16));
        assert_eq!(one[0].state, State::Missed, "{one:#?}");
    }

    #[test]
    fn one_spoilt_backup_that_is_accepted_is_one_too_many() {
        let plan = of("refusals: store", "errors < 1%");
        let offered = |refused: Option<&str>| {
            let step = plan.drills[0].step(Stage::Refuse).unwrap().id.clone();
            let (what, expected) = ("dump, empty".into(), "empty".into());
            let what = What::Offered { step, what, expected, refused: refused.map(str::to_owned) };
            Event { at_us: 23_000_000, what }
        };
        let told = |more: Vec<Event>| {
            let all: Vec<_> = events_of(&plan).into_iter().chain(more).collect();
            findings_of(&plan, &all, &rows(0..0)).swap_remove(0)
        };
        assert_eq!(told(vec![]).state, State::Invalid);
        let right = told(vec![offered(Some("empty"))]);
        assert_eq!((right.state, right.measured.as_str()), (State::Met, "1 of 1 spoilt backup refused"));
        assert_eq!(told(vec![offered(Some("empty")), offered(None)]).state, State::Missed);
        let wrong = told(vec![offered(Some("foreign"))]);
        assert!(
            wrong.state == State::Missed && wrong.detail.contains("as foreign, not as empty"),
            "{wrong:?}"
        );
    }
}
