//! What the templates of one arrival are filled with.
//!
//! Choices (picks, drawn items, behaviours) repeat with the seed. UUIDs and fresh numbers must never repeat, not even
//! when the same seed runs twice against one database or one long-lived cache: a salt from the operating system,
//! drawn once a run, is mixed into both.

use gauntlet_core::seed::{Draws, Seed};

use crate::{
    compile::{DataSets, Slot},
    recall::Item,
    schedule::Arrival,
    value::{Datum, Shown},
};

/// What sets the UUIDs and fresh numbers of this run apart from those of every other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Salt {
    uuid: [u64; 2],
    fresh: u64,
}

/// The values of one arrival.
pub(crate) struct Bindings {
    uuid: String,
    fresh: u64,
    pick: u64,
    /// The drawn item of each data binding.
    pub(crate) drawn: Vec<usize>,
    /// Captures, by slot.
    pub(crate) captured: Vec<Option<Datum>>,
    /// The recalled item.
    pub(crate) recalled: Option<Item>,
    /// The key that an audit asks for.
    pub(crate) key: Option<String>,
    /// What further choices of this arrival are drawn from.
    pub(crate) draws: Draws,
}

/// Something that a template needs is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing;

const FIRST_FRESH: u64 = 1_000_000;
/// Fresh numbers stay exact in JSON: below 2^53, with room for 2^39 arrivals behind the salt.
const SALTS: u64 = (1 << 53) - (1 << 40);

impl Salt {
    /// From the operating system.
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        Ok(Self { uuid: [getrandom::u64()?, getrandom::u64()?], fresh: getrandom::u64()? % SALTS })
    }
}

impl Bindings {
    /// For an arrival, before its first request.
    pub(crate) fn of(arrival: &Arrival, salt: &Salt, drawn: usize, captured: usize) -> Self {
        let mut draws = arrival.seed.stream("choices");
        let (high, low) = (draws.bits() ^ salt.uuid[0], draws.bits() ^ salt.uuid[1]);
        Self {
            uuid: uuid(high, low),
            fresh: FIRST_FRESH + salt.fresh + arrival.ordinal,
            pick: draws.bits(),
            drawn: vec![0; drawn],
            captured: vec![None; captured],
            recalled: None,
            key: None,
            draws,
        }
    }

    /// For the audit of one key: nothing else is known.
    pub(crate) fn for_key(key: String) -> Self {
        Self {
            uuid: String::new(),
            fresh: 0,
            pick: 0,
            drawn: Vec::new(),
            captured: Vec::new(),
            recalled: None,
            key: Some(key),
            draws: Seed(0).stream("audit"),
        }
    }

    /// The value of a slot.
    pub(crate) fn show<'a>(&'a self, slot: &Slot, data: &'a DataSets) -> Result<Shown<'a>, Missing> {
        match slot {
            Slot::Uuid => Ok(Shown::Text(&self.uuid)),
            Slot::Fresh => Ok(Shown::Number(self.fresh)),
            // Multiply-shift, as `Draws::below` does.
            Slot::Pick(bound) => {
                Ok(Shown::Number(((u128::from(self.pick) * u128::from(*bound)) >> 64) as u64))
            }
            Slot::Key => self.key.as_deref().map(Shown::Text).ok_or(Missing),
            Slot::Captured(slot) => {
                self.captured.get(*slot).and_then(Option::as_ref).map(Datum::show).ok_or(Missing)
            }
            Slot::Recalled(field) => {
                self.recalled.as_ref().and_then(|item| item.get(*field)).map(Datum::show).ok_or(Missing)
            }
            Slot::Drawn { binding, column } => {
                let item = *self.drawn.get(*binding).ok_or(Missing)?;
                data.cell(*column, item).map(Datum::show).ok_or(Missing)
            }
        }
    }
}

/// Version 4, variant 1: what random UUIDs look like.
fn uuid(high: u64, low: u64) -> String {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & (u64::MAX >> 2)) | (1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use gauntlet_core::seed::Seed;

    use super::{Bindings, Salt, uuid};
    use crate::{
        compile::{DataSets, Slot},
        schedule::Arrival,
        value::Shown,
    };

    pub(crate) fn bindings(ordinal: u64, salt: &Salt) -> Bindings {
        let arrival = Arrival { at_us: 0, behaviour: 0, ordinal, seed: Seed(ordinal) };
        Bindings::of(&arrival, salt, 1, 1)
    }

    fn shown(bindings: &Bindings, slot: Slot) -> String {
        format!("{:?}", bindings.show(&slot, &DataSets::default()).unwrap())
    }

    #[test]
    fn a_uuid_has_the_shape_of_a_random_one() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn arrivals_share_no_uuid_and_no_fresh_number() {
        let salt = Salt::draw().unwrap();
        let all: Vec<Bindings> = (0..5_000).map(|n| bindings(n, &salt)).collect();
        for slot in [Slot::Uuid, Slot::Fresh] {
            let seen: BTreeSet<String> = all.iter().map(|b| shown(b, slot.clone())).collect();
            assert_eq!(seen.len(), all.len(), "{slot:?}");
        }
    }

    #[test]
    fn two_runs_with_one_seed_pick_alike_but_share_no_uuid_and_no_fresh_number() {
        let [one, two] = [Salt::draw().unwrap(), Salt::draw().unwrap()].map(|salt| bindings(3, &salt));
        assert_eq!(shown(&one, Slot::Pick(1_000)), shown(&two, Slot::Pick(1_000)));
        assert_ne!(shown(&one, Slot::Uuid), shown(&two, Slot::Uuid));
        assert_ne!(shown(&one, Slot::Fresh), shown(&two, Slot::Fresh));
    }

    #[test]
    fn fresh_numbers_are_a_million_or_more_and_exact_in_json() {
        for _ in 0..100 {
            let bindings = bindings(1 << 38, &Salt::draw().unwrap());
            let Ok(Shown::Number(fresh)) = bindings.show(&Slot::Fresh, &DataSets::default()) else {
                panic!()
            };
            assert!((1_000_000..1 << 53).contains(&fresh), "{fresh}");
        }
    }

    #[test]
    fn what_is_not_bound_is_missing() {
        let bindings = bindings(0, &Salt::draw().unwrap());
        for slot in [Slot::Key, Slot::Captured(0), Slot::Captured(9), Slot::Recalled(0)] {
            assert!(bindings.show(&slot, &DataSets::default()).is_err(), "{slot:?}");
        }
    }
}
