//! How far a step came, as its events tell it: entered, proved, in force for long enough, gone.

use crate::{
    evidence::{Event, Side, What},
    step::{End, Step},
};

/// The share of its time that a fault must have been in force: one cut shorter is not the one that was planned.
const IN_FORCE: f64 = 0.8;

/// How far a step came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    wants_effect: u64,
    wants_gone: u64,
    lasts_us: u64,
    entered_us: Option<u64>,
    healing_us: Option<u64>,
    healed: bool,
    /// Whether its acts began.
    pub(super) entering: bool,
    /// Proofs of its effect that were seen.
    pub(super) effects: u64,
    /// Proofs that nothing is left of it that were seen.
    pub(super) gone: u64,
}

impl Progress {
    /// Nothing of it has happened yet.
    pub(super) fn of(step: &Step) -> Self {
        let lasts_us = match step.end {
            End::After(lasts) => u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX),
            End::Gate(_) | End::Track | End::Keep => 0,
        };
        let (wants_effect, wants_gone) = (step.effect.len() as u64, step.gone.len() as u64);
        Self { wants_effect, wants_gone, lasts_us, ..Self::default() }
    }

    /// Takes an event of this step.
    pub(super) fn take(&mut self, event: &Event) {
        match &event.what {
            // What is entered again is not healed any more.
            What::Entering { .. } => {
                let Self { wants_effect, wants_gone, lasts_us, .. } = *self;
                *self = Self { wants_effect, wants_gone, lasts_us, entering: true, ..Self::default() };
            }
            What::Entered { .. } => self.entered_us = Some(event.at_us),
            What::Healing { .. } => self.healing_us = Some(event.at_us),
            What::Healed { .. } => self.healed = true,
            What::Proved { side: Side::Effect, .. } => self.effects += 1,
            What::Proved { side: Side::Gone, .. } => self.gone += 1,
            _ => {}
        }
    }

    /// Whether it was in force, and every proof of that was seen.
    pub(super) fn took_effect(self) -> bool {
        self.entered_us.is_some() && self.effects >= self.wants_effect
    }

    /// Whether it is undone, and every proof of that was seen.
    pub(super) fn is_gone(self) -> bool {
        self.healed && self.gone >= self.wants_gone
    }

    /// Whether its undoing has begun.
    pub(super) fn is_healing(self) -> bool {
        self.healing_us.is_some() || self.healed
    }

    /// Whether it was begun and its undoing never ended.
    pub(super) fn is_open(self) -> bool {
        self.entering && !self.healed
    }

    /// Whether it was undone before its time.
    pub(super) fn was_cut_short(self) -> bool {
        let in_force = self.entered_us.zip(self.healing_us).map(|(from, to)| to.saturating_sub(from));
        in_force.is_some_and(|us| (us as f64) < self.lasts_us as f64 * IN_FORCE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Progress;
    use crate::{
        evidence::{Event, Side, What},
        judge::testing::Story,
        proof::Reading,
        step::{End, Step},
    };

    fn pause() -> Step {
        let kill = Story::good().plan.faults.remove(0).track.steps.remove(0);
        Step { end: End::After(Duration::from_secs(8)), ..kill }
    }

    fn progress(events: &[(u64, &str)]) -> Progress {
        let step = pause().id;
        let proved = |side| What::Proved {
            step: step.clone(),
            side,
            proof: "seen".into(),
            reading: Reading("so".into()),
        };
        let mut progress = Progress::of(&pause());
        for (second, word) in events {
            let step = step.clone();
            let what = match *word {
                "entering" => What::Entering { step, acts: vec![] },
                "effect" => proved(Side::Effect),
                "entered" => What::Entered { step },
                "healing" => What::Healing { step },
                "gone" => proved(Side::Gone),
                "healed" => What::Healed { step },
                other => panic!("{other}"),
            };
            progress.take(&Event { at_us: second * 1_000_000, what });
        }
        progress
    }

    const WHOLE: [(u64, &str); 6] =
        [(1, "entering"), (2, "effect"), (2, "entered"), (10, "healing"), (11, "gone"), (11, "healed")];

    #[test]
    fn a_step_that_ran_its_course_took_effect_lasted_and_is_gone() {
        let whole = progress(&WHOLE);
        assert!(whole.took_effect() && whole.is_gone() && !whole.was_cut_short() && !whole.is_open());
    }

    #[test]
    fn a_step_that_is_entered_again_is_open_again() {
        let again = progress(&[&WHOLE[..], &[(20, "entering")]].concat());
        assert!(again.is_open() && !again.is_gone() && !again.took_effect());
    }

    #[test]
    fn every_proof_must_have_been_seen() {
        let mut two = pause();
        two.effect.extend(two.effect.clone());
        let mut progress = progress(&WHOLE);
        progress.wants_effect = Progress::of(&two).wants_effect;
        assert!(!progress.took_effect());
    }

    #[test]
    fn a_fault_that_was_undone_early_was_cut_short() {
        let early = progress(&[(1, "entering"), (2, "effect"), (2, "entered"), (7, "healing")]);
        assert!(early.was_cut_short());
    }
}
