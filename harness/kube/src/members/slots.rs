//! Which slot holds which address: pure, and an address keeps its slot as long as it is a member.

use std::{collections::BTreeSet, fmt, net::SocketAddr};

use super::endpoints::{Members, Standing};

/// A server of HAProxy's configuration that an address can be put into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// The server's name.
    pub(super) name: String,
    /// The address that every backend has for it; nothing when they differ.
    pub(super) address: Option<SocketAddr>,
    /// Whether it gets requests, as far as its checks let it.
    pub(super) used: bool,
}

/// What HAProxy is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// The slot takes an address.
    Join {
        /// The slot.
        slot: String,
        /// The address.
        address: SocketAddr,
    },
    /// The slot gets nothing new; what it was asked already is still answered.
    Leave {
        /// The slot.
        slot: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join { slot, address } => write!(f, "{address} joins as {slot}"),
            Self::Leave { slot } => write!(f, "{slot} leaves"),
        }
    }
}

/// The changes that make the slots hold the members, in order, and the addresses that no slot is free for.
pub(super) fn changes(slots: &[Slot], members: &Members) -> (Vec<Change>, Vec<SocketAddr>) {
    let stays = |address: &SocketAddr| members.get(address).is_some_and(|s| *s != Standing::Leaving);
    let mut placed = BTreeSet::new();
    let mut changes = vec![];
    let mut free = vec![];
    let mut left = vec![];
    for slot in slots {
        match slot.address {
            Some(address) if slot.used && stays(&address) && placed.insert(address) => {}
            _ if slot.used => {
                changes.push(Change::Leave { slot: slot.name.clone() });
                left.push(slot);
            }
            _ => free.push(slot),
        }
    }
    // A slot that was just left is taken last: its old requests may still be under way.
    let mut free = free.into_iter().chain(left);
    let mut left_out = vec![];
    for (address, standing) in members {
        if *standing != Standing::Ready || placed.contains(address) {
            continue;
        }
        match free.next() {
            Some(slot) => changes.push(Change::Join { slot: slot.name.clone(), address: *address }),
            None => left_out.push(*address),
        }
    }
    (changes, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Leaving, Ready, Unready};

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 8000))
    }

    fn slot(name: &str, last: u8, used: bool) -> Slot {
        Slot { name: name.into(), address: (last > 0).then(|| at(last)), used }
    }

    fn members(of: &[(u8, Standing)]) -> Members {
        of.iter().map(|(last, standing)| (at(*last), *standing)).collect()
    }

    fn join(slot: &str, last: u8) -> Change {
        Change::Join { slot: slot.into(), address: at(last) }
    }

    fn leave(slot: &str) -> Change {
        Change::Leave { slot: slot.into() }
    }

    #[test]
    fn the_first_members_take_the_slots_in_order() {
        let slots = [slot("s1", 0, false), slot("s2", 0, false), slot("s3", 0, false)];
        let (changes, left_out) = changes(&slots, &members(&[(2, Ready), (1, Ready)]));
        assert_eq!(changes, [join("s1", 1), join("s2", 2)]);
        assert!(left_out.is_empty());
    }

    #[test]
    fn an_address_keeps_its_slot_and_only_the_difference_is_told() {
        let slots = [slot("s1", 7, true), slot("s2", 5, true), slot("s3", 0, false)];
        assert_eq!(changes(&slots, &members(&[(5, Ready), (7, Ready)])).0, []);
        assert_eq!(changes(&slots, &members(&[(5, Ready), (6, Ready)])).0, [leave("s1"), join("s3", 6)]);
    }

    #[test]
    fn what_terminates_leaves_at_once_and_does_not_join() {
        let slots = [slot("s1", 1, true), slot("s2", 0, false)];
        assert_eq!(changes(&slots, &members(&[(1, Leaving), (2, Leaving)])).0, [leave("s1")]);
    }

    #[test]
    fn what_is_not_ready_stays_but_does_not_join() {
        let slots = [slot("s1", 1, true), slot("s2", 0, false)];
        assert_eq!(changes(&slots, &members(&[(1, Unready), (2, Unready)])).0, []);
    }

    #[test]
    fn a_restarted_proxy_is_told_everything_again() {
        let forgot = [slot("s1", 0, false), slot("s2", 0, false)];
        assert_eq!(changes(&forgot, &members(&[(1, Ready), (2, Ready)])).0, [join("s1", 1), join("s2", 2)]);
    }

    #[test]
    fn a_slot_whose_backends_differ_is_emptied_and_filled_again() {
        let slots = [slot("s1", 0, true)];
        assert_eq!(changes(&slots, &members(&[(1, Ready)])).0, [leave("s1"), join("s1", 1)]);
    }

    #[test]
    fn an_address_in_two_slots_leaves_the_second() {
        let slots = [slot("s1", 1, true), slot("s2", 1, true)];
        assert_eq!(changes(&slots, &members(&[(1, Ready)])).0, [leave("s2")]);
    }

    #[test]
    fn an_unused_slot_with_an_old_address_is_free() {
        let slots = [slot("s1", 9, false)];
        assert_eq!(changes(&slots, &members(&[(1, Ready)])).0, [join("s1", 1)]);
    }

    #[test]
    fn more_members_than_slots_are_said_not_hidden() {
        let (changes, left_out) = changes(&[slot("s1", 0, false)], &members(&[(1, Ready), (2, Ready)]));
        assert_eq!(changes, [join("s1", 1)]);
        assert_eq!(left_out, [at(2)]);
    }

    proptest::proptest! {
        #[test]
        fn told_once_it_holds_and_nothing_more_is_to_be_told(
            slots in proptest::collection::vec((0u8..6, proptest::bool::ANY), 8),
            of in proptest::collection::btree_map(1u8..7, 0usize..3, 0..6),
        ) {
            let mut slots: Vec<Slot> =
                slots.iter().enumerate().map(|(i, (last, used))| slot(&format!("s{i}"), *last, *used)).collect();
            let members: Members =
                of.iter().map(|(last, kind)| (at(*last), [Ready, Unready, Leaving][*kind])).collect();
            for change in changes(&slots, &members).0 {
                let (name, address) = match &change {
                    Change::Join { slot, address } => (slot, Some(*address)),
                    Change::Leave { slot } => (slot, None),
                };
                let slot = slots.iter_mut().find(|slot| slot.name == *name).unwrap();
                slot.used = address.is_some();
                slot.address = address.or(slot.address);
            }
            proptest::prop_assert_eq!(changes(&slots, &members), (vec![], vec![]));
            let used: BTreeSet<_> = slots.iter().filter(|slot| slot.used).filter_map(|slot| slot.address).collect();
            for (address, standing) in &members {
                proptest::prop_assert!(*standing != Ready || used.contains(address));
                proptest::prop_assert!(*standing != Leaving || !used.contains(address));
            }
        }
    }
}
