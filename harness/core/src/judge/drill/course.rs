//! What became of one drill: when its stages began and ended, and what was measured.

use std::collections::BTreeMap;

use super::{
    Drills, Level,
    loss::{Lost, Spans},
};
use crate::{
    evidence::{TroubleKind, What},
    judge::level,
    kind::{Loses, Stage},
    name::Name,
    plan::DrillPlan,
    step::StepId,
};

/// What became of one drill. Times are of the load's clock.
pub(super) struct Course {
    pub(super) plan: DrillPlan,
    pub(super) entering: BTreeMap<StepId, u64>,
    pub(super) entered: BTreeMap<StepId, u64>,
    pub(super) healed: BTreeMap<StepId, u64>,
    pub(super) failed: Option<String>,
    /// Where backups are, and what they are.
    pub(super) kept: Vec<(String, String)>,
    /// What was restored and is what was backed up.
    pub(super) compared: Vec<String>,
    /// Spoilt backups that were refused for the right reason, and what became of the others.
    pub(super) refused: u64,
    pub(super) accepted: Vec<String>,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) spans: Spans,
    /// When writes that are missing were acknowledged, oldest first.
    pub(super) missing_us: Vec<u64>,
    /// Acknowledged between the end of the backup and the destruction.
    pub(super) after: u64,
    /// Writes that the backup should have held, and whatever else is wrong.
    pub(super) unexplained: Vec<String>,
    /// Reads that found nothing while the data were gone.
    pub(super) seen_gone: u64,
    pub(super) answer_us: Option<u64>,
    pub(super) whole_us: Option<u64>,
}

impl Course {
    pub(super) fn new(plan: &DrillPlan) -> Self {
        Self {
            plan: plan.clone(),
            entering: BTreeMap::new(),
            entered: BTreeMap::new(),
            healed: BTreeMap::new(),
            failed: None,
            kept: vec![],
            compared: vec![],
            refused: 0,
            accepted: vec![],
        }
    }

    pub(super) fn event(&mut self, at_us: u64, what: &What) {
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
            What::Kept { step, at, what } if mine(step) => self.kept.push((at.clone(), what.clone())),
            What::Compared { step, what } if mine(step) => self.compared.push(what.clone()),
            What::Offered { step, what, expected, refused } if mine(step) => match refused {
                Some(why) if why == expected => self.refused += 1,
                Some(why) => self.accepted.push(format!("{what} was refused as {why}, not as {expected}")),
                None => self.accepted.push(format!("{what} was accepted")),
            },
            _ => {}
        }
    }

    pub(super) fn at(&self, times: &BTreeMap<StepId, u64>, stage: Stage) -> Option<u64> {
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

    pub(super) fn measured(&self, all: &Drills) -> Option<Measured> {
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
        let failed = failures.map(|(_, done, _)| *done).max();
        let slow =
            |(quantile, bound): &(f64, f64)| level::last_above(&all.answers, own.clone(), *quantile, *bound);
        let whole_us = failed.max(all.levels.iter().filter_map(slow).max());
        let Lost { unexplained, seen_gone, missing_us, .. } = lost;
        Some(Measured { spans, missing_us, after, unexplained, seen_gone, answer_us, whole_us })
    }

    /// How users fared while the backup was taken, and before any drill began. None: one of the two was not seen.
    pub(super) fn effect(&self, all: &Drills) -> Option<(Level, Level)> {
        let during = (self.at(&self.entering, Stage::Backup)?, self.at(&self.entered, Stage::Backup)?);
        let began = |drill: &Self| drill.entering.values().min().copied();
        let first = all.drills.iter().filter_map(began).min()?;
        let before: Vec<_> = all.judged.iter().map(|(from, to)| (*from, first.min(*to))).collect();
        Some((Level::of(&all.answers, &[during])?, Level::of(&all.answers, &before)?))
    }

    pub(super) fn account(&self, all: &Drills) -> Account {
        let measured = self.measured(all);
        let measured = measured.as_ref();
        let oldest_us = measured.and_then(|measured| Some(measured.before(*measured.missing_us.first()?)));
        let newest_us = measured.and_then(|measured| Some(measured.before(*measured.missing_us.last()?)));
        let answer_us = measured.and_then(|measured| Some(measured.took(measured.answer_us?)));
        let whole_us = measured.and_then(|measured| Some(measured.took(measured.whole_us?)));
        Account {
            title: self.plan.title.clone(),
            kind: self.plan.kind.clone(),
            components: self.plan.components.clone(),
            acknowledged: all.register.acknowledgements().count() as u64,
            lost: measured.map(|measured| measured.missing_us.len() as u64),
            oldest_us,
            newest_us,
            answer_us,
            whole_us: whole_us.max(answer_us),
            backups: self.kept.iter().map(|(at, _)| at.clone()).collect(),
            effect: self.effect(all),
            refused: self.refused,
            offered: self.refused + self.accepted.len() as u64,
        }
    }
}

impl Measured {
    /// How long before the destruction that was; negative: after it.
    pub(super) fn before(&self, at_us: u64) -> i64 {
        self.spans.destroyed_us.cast_signed().saturating_sub(at_us.cast_signed())
    }

    /// How long after the destruction that was.
    pub(super) fn took(&self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.spans.destroyed_us)
    }
}

/// What a drill measured, for whoever tells it. None: it did not come so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What it is called.
    pub title: String,
    /// The word.
    pub kind: Name,
    /// The components.
    pub components: Vec<Name>,
    /// Writes that were acknowledged in the whole run.
    pub acknowledged: u64,
    /// Those of them that the drill lost.
    pub lost: Option<u64>,
    /// How long before the destruction the oldest of these was acknowledged: the RPO. Negative: after it.
    pub oldest_us: Option<i64>,
    /// The same of the newest.
    pub newest_us: Option<i64>,
    /// From the destruction to the first right answer on a record: the RTO.
    pub answer_us: Option<u64>,
    /// From the destruction to full service.
    pub whole_us: Option<u64>,
    /// Where the backups are, below the run's directory.
    pub backups: Vec<String>,
    /// How users fared while the backup was taken, and before the first drill began.
    pub effect: Option<(Level, Level)>,
    /// Spoilt backups that were refused for the right reason.
    pub refused: u64,
    /// Spoilt backups.
    pub offered: u64,
}
