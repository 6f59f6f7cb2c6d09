//! Whether every replica was watched for long enough. While a fault holds a replica it owes no readings.

use std::collections::BTreeMap;

use super::{course::Course, show};
use crate::{
    name::Name,
    plan::Replicas,
    stats::increase::{Counter, Stretch},
};

/// The share of the time that readings must cover.
const COVERED: f64 = 0.9;
/// Readings come about once a second: so much before and after a fault may be without one.
const SLACK_US: u64 = 2_000_000;

/// Readings by component and replica.
pub(super) type Series = BTreeMap<(Name, u16), Counter>;

/// What is asked of the readings.
pub(super) struct Coverage<'a> {
    /// When faults held which replica.
    pub(super) course: &'a Course,
    /// How many replicas there are.
    pub(super) replicas: &'a BTreeMap<Name, Replicas>,
    /// The stretch that must be covered, by the samples' clock.
    pub(super) stretch: Stretch,
    /// The longest time between two readings that still counts as watching.
    pub(super) gap_us: u64,
}

impl Coverage<'_> {
    /// Why the readings of a component are too few; none when they suffice.
    pub(super) fn lack(&self, of: &Series, component: &Name) -> Option<String> {
        let count = self.replicas.get(component).map_or(0, |all| all.count);
        if count == 0 {
            return Some(format!("the plan has no replicas of {component}"));
        }
        let shares = (1..=count).map(|replica| (replica, self.share(of, component, replica)));
        let lacking = shares.filter(|(_, share)| *share < COVERED);
        let words = lacking.map(|(replica, share)| {
            format!("{component}-{replica} was watched for {} of the time", show::share(share))
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    fn share(&self, of: &Series, component: &Name, replica: u16) -> f64 {
        let slack = |(from, to): Stretch| (from.saturating_sub(SLACK_US), to.saturating_add(SLACK_US));
        let held: Vec<Stretch> = self.course.held(component, replica).into_iter().map(slack).collect();
        let counter = of.get(&(component.clone(), replica));
        counter.map_or(0.0, |counter| counter.covered(self.stretch, self.gap_us, &held))
    }
}

#[cfg(test)]
mod tests {
    use super::{Coverage, Series};
    use crate::{
        judge::{
            course::Course,
            testing::{Story, name},
        },
        stats::increase::Counter,
    };

    const SECOND: u64 = 1_000_000;

    /// What is lacking when each of three replicas was read at these seconds of the load.
    fn lack(seconds: [&[u64]; 3]) -> Option<String> {
        let story = Story::good();
        let mut course = Course::new(&story.plan);
        story.events.iter().for_each(|event| course.see(event));
        let mut series = Series::new();
        for (replica, seconds) in (1..).zip(seconds) {
            let mut counter = Counter::default();
            seconds.iter().for_each(|second| counter.add(Story::ZERO_US + second * SECOND, 1, 0.0));
            series.insert((name("service"), replica), counter);
        }
        let stretch = (Story::ZERO_US + 2 * SECOND, Story::ZERO_US + 20 * SECOND);
        let coverage =
            Coverage { course: &course, replicas: &story.plan.replicas, stretch, gap_us: 5 * SECOND };
        coverage.lack(&series, &name("service"))
    }

    const ALL: &[u64] = &[0, 4, 8, 12, 16, 20];

    #[test]
    fn readings_close_enough_together_suffice() {
        assert_eq!(lack([ALL, ALL, ALL]), None);
    }

    #[test]
    fn a_gap_counts_unless_a_fault_held_the_replica() {
        let gap: &[u64] = &[0, 4, 6, 12, 16, 20];
        assert_eq!(lack([ALL, gap, ALL]), None);
        let told = lack([gap, ALL, ALL]).unwrap();
        assert!(told.starts_with("service-1 was watched for 66.667 %"), "{told}");
    }

    #[test]
    fn a_replica_without_readings_is_named() {
        assert!(lack([ALL, ALL, &[]]).unwrap().contains("service-3 was watched for 0.000 %"));
    }
}
