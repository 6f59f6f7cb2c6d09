//! What is missing of the records that were acknowledged, and whether a drill may have lost it.

use std::collections::BTreeSet;

use crate::judge::{
    register::{Register, Wrong},
    show,
};

/// When writes may be lost, and when data were gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    /// From when on an acknowledged write may be missing; none: never.
    pub(super) may_lose: Option<u64>,
    pub(super) backup_us: u64,
    pub(super) backed_up_us: u64,
    pub(super) destroyed_us: u64,
    /// From when on a right answer proves that something was restored.
    pub(super) gone_us: u64,
    pub(super) restored_us: u64,
}

/// What is missing.
#[derive(Debug, Default)]
pub(super) struct Lost<'a> {
    pub(super) keys: BTreeSet<&'a str>,
    /// When they were acknowledged, oldest first.
    pub(super) missing_us: Vec<u64>,
    pub(super) unexplained: Vec<String>,
    /// Reads that found nothing while the data were gone.
    pub(super) seen_gone: u64,
}

impl Spans {
    /// What is missing because of this drill; of what others may lose they tell.
    pub(super) fn lost<'a>(self, register: &'a Register, others: &[Self]) -> Lost<'a> {
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
