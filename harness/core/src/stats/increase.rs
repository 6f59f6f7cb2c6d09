//! What a counter gained between two moments, over the restarts of what it counts for. A life begins from 0; what the
//! last life gained after its last reading is lost, so readings about a second apart lose about a second.

/// A stretch of time in microseconds: its beginning and its end.
pub type Stretch = (u64, u64);

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reading {
    at_us: u64,
    life: u32,
    value: f64,
}

/// What it means that a value fell within a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fall {
    /// A restart that nobody noticed: it counts from 0 again.
    Restart,
    /// A part of what is summed up is gone, such as a child of a process tree: nothing was gained meanwhile.
    OfAPart,
}

/// All readings of one series of one replica.
#[derive(Debug, Clone, Default)]
pub struct Counter(Vec<Reading>);

impl Counter {
    /// Adds a reading; they come in order of time.
    pub fn add(&mut self, at_us: u64, life: u32, value: f64) {
        self.0.push(Reading { at_us, life, value });
    }

    /// How many readings lie within a stretch, both ends included.
    pub fn within(&self, stretch: Stretch) -> u64 {
        self.0.iter().filter(|r| stretch.0 <= r.at_us && r.at_us <= stretch.1).count() as u64
    }

    /// The largest value within a stretch, both ends included.
    pub fn largest(&self, stretch: Stretch) -> Option<f64> {
        let within = self.0.iter().filter(|r| stretch.0 <= r.at_us && r.at_us <= stretch.1);
        within.map(|r| r.value).max_by(f64::total_cmp)
    }

    /// The gain between the ends of a stretch: straight lines between readings, and nothing before the first and
    /// after the last. None without two readings.
    pub fn increase(&self, stretch: Stretch, fall: Fall) -> Option<f64> {
        (self.0.len() >= 2).then(|| self.total(stretch.1, fall) - self.total(stretch.0, fall))
    }

    /// The share of a stretch (0..=1) that readings of one life, at most `gap_us` apart, or an `excused` stretch cover.
    pub fn covered(&self, stretch: Stretch, gap_us: u64, excused: &[Stretch]) -> f64 {
        let same = |pair: &&[Reading]| {
            pair[0].life == pair[1].life && pair[1].at_us.saturating_sub(pair[0].at_us) <= gap_us
        };
        let known = self.0.windows(2).filter(same).map(|pair| (pair[0].at_us, pair[1].at_us));
        let mut parts: Vec<Stretch> = known.chain(excused.iter().copied()).collect();
        parts.sort_unstable();
        let (mut reached, mut covered) = (stretch.0, 0);
        for (from, to) in parts {
            let (from, to) = (from.max(reached), to.min(stretch.1));
            if from < to {
                covered += to - from;
                reached = to;
            }
        }
        covered as f64 / stretch.1.saturating_sub(stretch.0).max(1) as f64
    }

    /// The gain from the first reading to a moment.
    fn total(&self, at_us: u64, fall: Fall) -> f64 {
        let mut total = 0.0;
        for pair in self.0.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            if at_us <= before.at_us {
                break;
            }
            let apart = after.at_us.saturating_sub(before.at_us);
            let passed = at_us.saturating_sub(before.at_us);
            let share = if passed >= apart { 1.0 } else { passed as f64 / apart as f64 };
            total += gain(before, after, fall) * share;
        }
        total
    }
}

/// The gain between neighbours.
fn gain(before: Reading, after: Reading, fall: Fall) -> f64 {
    match (before.life == after.life, after.value >= before.value, fall) {
        (true, true, _) => after.value - before.value,
        (true, false, Fall::OfAPart) => 0.0,
        (true, false, Fall::Restart) | (false, ..) => after.value,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Counter,
        Fall::{OfAPart, Restart},
    };

    fn counter(readings: &[(u64, u32, f64)]) -> Counter {
        let mut counter = Counter::default();
        readings.iter().for_each(|(at, life, value)| counter.add(*at, *life, *value));
        counter
    }

    fn near(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-9)
    }

    #[test]
    fn a_new_life_begins_from_nought() {
        let counter = counter(&[(0, 1, 100.0), (10, 1, 110.0), (20, 2, 3.0), (30, 2, 9.0)]);
        assert!(near(counter.increase((0, 30), OfAPart), 19.0));
    }

    #[test]
    fn a_fall_within_a_life_is_a_restart_or_the_end_of_a_part() {
        let fell = counter(&[(0, 1, 100.0), (10, 1, 4.0)]);
        assert!(near(fell.increase((0, 10), Restart), 4.0));
        assert!(near(fell.increase((0, 10), OfAPart), 0.0));
    }

    #[test]
    fn ends_between_readings_are_on_the_straight_line() {
        let counter = counter(&[(0, 1, 0.0), (10, 1, 10.0), (20, 1, 30.0)]);
        assert!(near(counter.increase((5, 15), Restart), 15.0));
        assert!(near(counter.increase((15, 99), Restart), 10.0));
    }

    #[test]
    fn one_reading_says_nothing() {
        assert_eq!(counter(&[(5, 1, 7.0)]).increase((0, 10), Restart), None);
    }

    #[test]
    fn coverage_counts_neither_long_gaps_nor_the_time_between_lives() {
        let counter = counter(&[(0, 1, 0.0), (40, 1, 1.0), (60, 2, 0.0), (100, 2, 1.0)]);
        assert!(near(Some(counter.covered((0, 100), 50, &[])), 0.8));
        assert!(near(Some(counter.covered((0, 100), 50, &[(35, 70)])), 1.0));
        assert!(near(Some(counter.covered((0, 100), 10, &[])), 0.0));
        assert!(near(Some(counter.covered((0, 200), 50, &[(20, 30)])), 0.4));
    }

    #[test]
    fn the_largest_value_is_looked_for_within_the_stretch_only() {
        let counter = counter(&[(0, 1, 9.0), (10, 1, 3.0), (20, 1, 5.0), (30, 1, 8.0)]);
        assert_eq!(counter.largest((5, 25)), Some(5.0));
        assert_eq!(counter.largest((31, 40)), None);
        assert_eq!(counter.within((10, 20)), 2);
    }
}
