//! The schedule: when each arrival is to begin, and with which behaviour. Pure, and fixed before the run: the same
//! plan gives the same arrivals, whatever the service does.

use std::{iter::Peekable, time::Duration};

use gauntlet_core::{
    plan::{Arrivals, LoadPlan, Segment, Stream},
    seed::{Draws, Seed},
};

/// One arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Microseconds from the load's beginning.
    pub(crate) at_us: u64,
    /// Index into the plan's behaviours.
    pub(crate) behaviour: u16,
    /// Its place in the whole schedule, from 0.
    pub(crate) ordinal: u64,
    /// Every choice that this arrival makes is drawn from it.
    pub(crate) seed: Seed,
}

/// The arrivals of all streams, in order.
pub(crate) struct Schedule {
    streams: Vec<Peekable<StreamArrivals>>,
    ordinal: u64,
}

/// The arrivals of one stream.
struct StreamArrivals {
    profile: Profile,
    spacing: Spacing,
    mix: Vec<(u16, f64)>,
    choice: Draws,
    seeds: Draws,
    limit_us: u64,
}

/// Where, on the scale of the rate's integral, arrivals lie.
enum Spacing {
    /// At 1, 2, 3, ...
    Even(u64),
    /// Exponential steps of mean 1: a Poisson process of rate 1, which the profile stretches.
    Poisson(Draws, f64),
}

/// The rate over time, and its integral.
struct Profile {
    stretches: Vec<Stretch>,
    at: usize,
}

/// A segment with what lies before it. Seconds, and arrivals per second.
struct Stretch {
    begins: f64,
    before: f64,
    lasts: f64,
    from: f64,
    to: f64,
}

/// The arrivals of a plan.
pub(crate) fn arrivals(plan: &LoadPlan) -> Schedule {
    let stream = |(n, stream)| StreamArrivals::new(plan.seed, n, stream, plan.lasts).peekable();
    Schedule { streams: plan.streams.iter().enumerate().map(stream).collect(), ordinal: 0 }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let heads = self.streams.iter_mut().enumerate();
        let heads = heads.filter_map(|(n, stream)| stream.peek().map(|arrival| (arrival.at_us, n)));
        let (_, first) = heads.min()?;
        let arrival = self.streams[first].next()?;
        self.ordinal += 1;
        Some(Arrival { ordinal: self.ordinal - 1, ..arrival })
    }
}

impl StreamArrivals {
    fn new(seed: Seed, n: usize, stream: &Stream, lasts: Duration) -> Self {
        let spacing = match stream.arrivals {
            Arrivals::Even => Spacing::Even(0),
            Arrivals::Poisson => Spacing::Poisson(seed.stream(&format!("arrivals/{n}")), 0.0),
        };
        Self {
            profile: Profile::new(&stream.segments),
            spacing,
            mix: stream.mix.clone(),
            choice: seed.stream(&format!("arrivals/{n}/mix")),
            seeds: seed.stream(&format!("arrivals/{n}/choices")),
            limit_us: u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn choose(&mut self) -> Option<u16> {
        let whole: f64 = self.mix.iter().map(|(_, share)| share).sum();
        let mut left = self.choice.unit() * whole;
        let reached = self.mix.iter().find(|(_, share)| {
            left -= share;
            left <= 0.0
        });
        // Rounding may leave a crumb behind the last share.
        reached.or(self.mix.last()).map(|(behaviour, _)| *behaviour)
    }
}

impl Iterator for StreamArrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let area = self.spacing.next_area();
        let at_us = (self.profile.when(area)? * 1e6).round() as u64;
        if at_us >= self.limit_us {
            return None;
        }
        let behaviour = self.choose()?;
        Some(Arrival { at_us, behaviour, ordinal: 0, seed: Seed(self.seeds.bits()) })
    }
}

impl Spacing {
    fn next_area(&mut self) -> f64 {
        match self {
            Spacing::Even(count) => {
                *count += 1;
                *count as f64
            }
            Spacing::Poisson(draws, area) => {
                *area += draws.exponential();
                *area
            }
        }
    }
}

impl Profile {
    fn new(segments: &[Segment]) -> Self {
        let (mut begins, mut before) = (0.0, 0.0);
        let stretch = |segment: &Segment| {
            let lasts = segment.lasts.as_secs_f64();
            let stretch = Stretch { begins, before, lasts, from: segment.from, to: segment.to };
            begins += lasts;
            before += stretch.area();
            stretch
        };
        Self { stretches: segments.iter().map(stretch).collect(), at: 0 }
    }

    /// The second at which the integral reaches `area`. Areas must not fall from call to call.
    fn when(&mut self, area: f64) -> Option<f64> {
        while self.stretches.get(self.at)?.ends_before(area) {
            self.at += 1;
        }
        self.stretches.get(self.at).map(|stretch| stretch.when(area))
    }
}

impl Stretch {
    fn area(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts
    }

    fn ends_before(&self, area: f64) -> bool {
        self.area() <= 0.0 || self.before + self.area() < area
    }

    fn when(&self, area: f64) -> f64 {
        let wanted = area - self.before;
        let slope = (self.to - self.from) / self.lasts;
        // The root of from * t + slope * t^2 / 2 = wanted, in the form that loses no digits for small slopes.
        let root = (self.from * self.from + 2.0 * slope * wanted).max(0.0).sqrt();
        self.begins + (2.0 * wanted / (self.from + root)).clamp(0.0, self.lasts)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use gauntlet_core::{
        plan::{Arrivals, LoadPlan, Segment, Stream},
        seed::Seed,
    };
    use proptest::prelude::*;

    use super::{Arrival, arrivals};

    fn segment(ms: u64, from: f64, to: f64) -> Segment {
        Segment { lasts: Duration::from_millis(ms), from, to }
    }

    fn plan(seed: u64, lasts_ms: u64, streams: &[(Arrivals, Vec<Segment>)]) -> LoadPlan {
        let stream = |(arrivals, segments): &(Arrivals, Vec<Segment>)| Stream {
            mix: vec![(0, 0.25), (1, 0.75)],
            arrivals: *arrivals,
            segments: segments.clone(),
        };
        LoadPlan {
            seed: Seed(seed),
            lasts: Duration::from_millis(lasts_ms),
            streams: streams.iter().map(stream).collect(),
            steps: Vec::new(),
            behaviours: Vec::new(),
            data: BTreeMap::new(),
            audit: None,
            arm_header: None,
            in_flight: 1,
        }
    }

    fn schedule(plan: &LoadPlan) -> Vec<Arrival> {
        arrivals(plan).collect()
    }

    fn segments() -> impl Strategy<Value = Vec<Segment>> {
        let one = (1u64..2_000, 0.0..3_000.0, 0.0..3_000.0).prop_map(|(ms, from, to)| segment(ms, from, to));
        prop::collection::vec(prop_oneof![4 => one, 1 => Just(segment(300, 0.0, 0.0))], 1..6)
    }

    fn lasts_ms(segments: &[Segment]) -> u64 {
        segments.iter().map(|s| s.lasts.as_millis() as u64).sum()
    }

    fn integral(segments: &[Segment]) -> f64 {
        segments.iter().map(|s| (s.from + s.to) / 2.0 * s.lasts.as_secs_f64()).sum()
    }

    proptest! {
        #[test]
        fn even_arrivals_are_sorted_complete_and_within_the_run(segments in segments()) {
            let lasts = lasts_ms(&segments);
            let found = schedule(&plan(1, lasts, &[(Arrivals::Even, segments.clone())]));
            prop_assert!(found.is_sorted_by_key(|a| a.at_us));
            prop_assert!(found.iter().all(|a| a.at_us < lasts * 1_000));
            // The last may be due within the very microsecond in which the run ends, at up to 3,000/s.
            prop_assert!((found.len() as f64 - integral(&segments)).abs() <= 1.0 + 3_000.0 * 1e-6);
        }

        #[test]
        fn poisson_arrivals_are_sorted_within_the_run_and_as_many_as_the_integral(
            seed in any::<u64>(),
            segments in segments(),
        ) {
            let lasts = lasts_ms(&segments);
            let found = schedule(&plan(seed, lasts, &[(Arrivals::Poisson, segments.clone())]));
            prop_assert!(found.is_sorted_by_key(|a| a.at_us));
            prop_assert!(found.iter().all(|a| a.at_us < lasts * 1_000));
            let mean = integral(&segments);
            prop_assert!((found.len() as f64 - mean).abs() <= 5.0 * mean.sqrt() + 5.0, "{} of {mean}", found.len());
        }

        #[test]
        fn the_same_seed_gives_the_same_schedule_and_another_does_not(seed in any::<u64>()) {
            let make = |seed| schedule(&plan(seed, 500, &[(Arrivals::Poisson, vec![segment(500, 400.0, 400.0)])]));
            prop_assert_eq!(make(seed), make(seed));
            prop_assert_ne!(make(seed), make(seed ^ 1));
        }

        #[test]
        fn streams_side_by_side_are_merged_in_order_and_none_is_lost(a in segments(), b in segments()) {
            let lasts = lasts_ms(&a).max(lasts_ms(&b));
            let both = [(Arrivals::Even, a), (Arrivals::Poisson, b)];
            let merged = schedule(&plan(7, lasts, &both));
            prop_assert!(merged.is_sorted_by_key(|a| a.at_us));
            prop_assert!(merged.iter().zip(0..).all(|(arrival, n)| arrival.ordinal == n));
            let first = schedule(&plan(7, lasts, &both[..1])).len();
            let both_streams = arrivals(&plan(7, lasts, &both)).streams.into_iter();
            let each: Vec<usize> = both_streams.map(Iterator::count).collect();
            prop_assert_eq!(each[0], first);
            prop_assert_eq!(merged.len(), each[0] + each[1]);
        }
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let found = schedule(&plan(1, 1_000, &[(Arrivals::Even, vec![segment(1_000, 100.0, 100.0)])]));
        let times: Vec<u64> = found.iter().map(|a| a.at_us).collect();
        // The hundredth would come at the very end, which is no longer part of the run.
        assert_eq!(times, (1..100).map(|k| k * 10_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_ramp_from_nothing_follows_the_square_root() {
        let found = schedule(&plan(1, 10_000, &[(Arrivals::Even, vec![segment(10_000, 0.0, 100.0)])]));
        for (k, arrival) in (1..).zip(&found) {
            // The integral of 10 t is 5 t^2.
            let exact = (f64::from(k) / 5.0).sqrt() * 1e6;
            assert!((arrival.at_us as f64 - exact).abs() <= 1.0, "{k}: {} {exact}", arrival.at_us);
        }
    }

    #[test]
    fn poisson_gaps_have_the_spread_of_an_exponential() {
        let found = schedule(&plan(3, 60_000, &[(Arrivals::Poisson, vec![segment(60_000, 500.0, 500.0)])]));
        let gaps: Vec<f64> = found.windows(2).map(|w| (w[1].at_us - w[0].at_us) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "{}", variance.sqrt() / mean);
    }

    #[test]
    fn a_pause_in_the_profile_holds_no_arrivals_and_the_count_goes_on_behind_it() {
        let profile = vec![segment(1_000, 10.5, 10.5), segment(1_000, 0.0, 0.0), segment(1_000, 10.0, 10.0)];
        let found = schedule(&plan(1, 3_000, &[(Arrivals::Even, profile)]));
        assert!(found.iter().all(|a| a.at_us <= 1_000_000 || a.at_us > 2_000_000));
        assert_eq!(found[10].at_us, 2_050_000, "half an arrival was due before the pause");
    }

    #[test]
    fn behaviours_are_drawn_by_their_shares() {
        let found = schedule(&plan(5, 20_000, &[(Arrivals::Even, vec![segment(20_000, 1_000.0, 1_000.0)])]));
        let first = found.iter().filter(|a| a.behaviour == 0).count() as f64 / found.len() as f64;
        assert!((first - 0.25).abs() < 0.02, "{first}");
    }
}
