//! Pools of what was remembered: a bounded ring each, drawn from evenly.

use std::sync::{Arc, Mutex, PoisonError};

use gauntlet_core::seed::Draws;

use crate::value::Datum;

/// What was remembered, field by field, in the order of the pool's fields.
pub(crate) type Item = Arc<[Datum]>;

/// How many items a pool keeps; beyond them a new one takes the place of the oldest.
pub(crate) const CAPACITY: usize = 10_000;

/// The pools of a plan, by index.
pub(crate) struct Pools(Vec<Mutex<Ring>>);

#[derive(Default)]
struct Ring {
    items: Vec<Item>,
    oldest: usize,
}

impl Pools {
    /// Empty pools.
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(|_| Mutex::default()).collect())
    }

    /// Puts an item in.
    pub(crate) fn put(&self, pool: usize, item: Item) {
        if let Some(ring) = self.0.get(pool) {
            ring.lock().unwrap_or_else(PoisonError::into_inner).put(item);
        }
    }

    /// Draws an item; none while the pool is empty.
    pub(crate) fn draw(&self, pool: usize, draws: &mut Draws) -> Option<Item> {
        let ring = self.0.get(pool)?.lock().unwrap_or_else(PoisonError::into_inner);
        ring.items.get(draws.below(ring.items.len())).cloned()
    }
}

impl Ring {
    fn put(&mut self, item: Item) {
        if self.items.len() < CAPACITY {
            self.items.push(item);
        } else {
            self.items[self.oldest] = item;
            self.oldest = (self.oldest + 1) % CAPACITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gauntlet_core::seed::Seed;

    use super::{CAPACITY, Pools};
    use crate::value::{Datum, Shown};

    fn item(n: usize) -> super::Item {
        [Datum::text(&n.to_string())].into()
    }

    fn number(item: &super::Item) -> usize {
        let Shown::Text(text) = item[0].show() else { panic!() };
        text.parse().unwrap()
    }

    #[test]
    fn an_empty_pool_and_an_unknown_one_give_nothing() {
        let mut draws = Seed(1).stream("x");
        assert_eq!(Pools::new(1).draw(0, &mut draws), None);
        assert_eq!(Pools::new(1).draw(5, &mut draws), None);
    }

    #[test]
    fn every_item_is_drawn_in_time() {
        let (pools, mut draws) = (Pools::new(1), Seed(1).stream("x"));
        (0..20).for_each(|n| pools.put(0, item(n)));
        let seen: BTreeSet<usize> = (0..500).map(|_| number(&pools.draw(0, &mut draws).unwrap())).collect();
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn a_full_pool_forgets_its_oldest_items() {
        let (pools, mut draws) = (Pools::new(1), Seed(1).stream("x"));
        (0..CAPACITY + CAPACITY / 2).for_each(|n| pools.put(0, item(n)));
        let drawn = (0..50_000).map(|_| number(&pools.draw(0, &mut draws).unwrap()));
        assert_eq!(drawn.min().unwrap() / 100, CAPACITY / 200);
    }
}
