//! What was measured of a drill, as findings.

use super::{
    Drills, KIND,
    course::{Course, Measured},
};
use crate::{
    judge::{Finding, State, bound, show},
    kind::{Loses, Stage},
    plan::{Measure, Objective},
};

impl Course {
    pub(super) fn whole(&self, measured: Option<&Measured>, all: &Drills) -> Finding {
        let unseen = if all.interrupted { State::Unknown } else { State::Invalid };
        let kept = self.kept.iter().map(|(_, kept)| kept).chain(&self.compared);
        let kept: String = kept.map(|kept| format!("; {kept}")).collect();
        let effect = self
            .effect(all)
            .map(|(during, before)| format!("; while it was backed up: {during}; before: {before}"));
        let effect = effect.unwrap_or_default();
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
            detail: format!("{}: {why}{kept}{effect}", self.plan.title),
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

    pub(super) fn objective(&self, objective: &Objective, measured: Option<&Measured>) -> Finding {
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
                let count = show::count(measured.missing_us.len() as u64, "write");
                let (oldest, newest) = (measured.before(*oldest), measured.before(*newest));
                let detail = format!(
                    "{count} lost; the oldest was acknowledged {} the destruction, the newest {} it; the backup began {} it",
                    when(oldest),
                    when(newest),
                    when(measured.before(measured.spans.backup_us)),
                );
                let value = u64::try_from(oldest).unwrap_or(0);
                (value, format!("{} ({count})", span(value)), detail)
            }
            _ => {
                let Some(answer) = measured.answer_us else {
                    let detail = "no right answer came after the destruction".to_owned();
                    return Finding { state: State::Missed, detail, samples: 1, ..open };
                };
                let took = measured.took(answer);
                let whole = measured.took(measured.whole_us.unwrap_or(answer).max(answer));
                let restored = measured.took(measured.spans.restored_us);
                let detail = format!(
                    "first right answer on a record after {}, all restored and running after {}, full service after {}",
                    span(took),
                    span(restored),
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

/// `4.97 s before`, or `0.31 s after`.
fn when(before_us: i64) -> String {
    let side = if before_us < 0 { "after" } else { "before" };
    format!("{} {side}", show::time(before_us.unsigned_abs() as f64))
}
