//! Rates over time: from the shape that was written to segments without gaps.

use std::time::Duration;

use super::{Arrivals, Phase, Segment, time_line};
use crate::{scenario::Shape, unit::Rate, yaml::Mistake};

/// How arrivals are spaced, and the rate over the whole time line. A mistake's path is that within the shape.
pub(super) fn segments(shape: &Shape, phases: &[Phase]) -> Result<(Arrivals, Vec<Segment>), Mistake> {
    let whole = phases.last().map_or(Duration::ZERO, |phase| phase.ends);
    let straight = |lasts: Duration, from: Rate, to: Rate| Segment { lasts, from: from.get(), to: to.get() };
    let (arrivals, segments) = match shape {
        Shape::Constant(rate) => (Arrivals::Even, vec![straight(whole, *rate, *rate)]),
        Shape::Poisson(rate) => (Arrivals::Poisson, vec![straight(whole, *rate, *rate)]),
        Shape::Ramp { from, to } => (Arrivals::Even, vec![straight(whole, *from, *to)]),
        Shape::Spike { base, peak, at, lasts } => {
            let (begins, _) = time_line::moment(phases, at).map_err(|mistake| mistake.under("spike.at"))?;
            let ends = begins.saturating_add(lasts.get());
            if ends > whole || lasts.micros() == 0 {
                let what = format!(
                    "the spike ends {} after the load began, which lasts {}",
                    time_line::show(ends),
                    time_line::show(whole)
                );
                let mend = format!(
                    "write more than 0s and at most {}",
                    time_line::show(whole.saturating_sub(begins))
                );
                return Err(Mistake::at("spike.for", what).mend(mend));
            }
            let rest = whole.saturating_sub(ends);
            let parts = vec![
                straight(begins, *base, *base),
                straight(lasts.get(), *peak, *peak),
                straight(rest, *base, *base),
            ];
            (Arrivals::Even, parts)
        }
    };
    let segments: Vec<Segment> = segments.into_iter().filter(|segment| !segment.lasts.is_zero()).collect();
    if segments.iter().all(|segment| segment.from + segment.to == 0.0) {
        return Err(Mistake::at("", "the load offers nothing").mend("write a rate over 0/s"));
    }
    Ok((arrivals, segments))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::segments;
    use crate::plan::{Arrivals, Phase, Segment, Stream};
    use crate::scenario::Shape;

    fn phases() -> Vec<Phase> {
        let phase = |name: &str, begins, ends| Phase {
            name: name.parse().unwrap(),
            begins: Duration::from_secs(begins),
            ends: Duration::from_secs(ends),
            judged: true,
        };
        vec![phase("baseline", 0, 10), phase("fault", 10, 20)]
    }

    fn spike(at: &str, lasts: &str) -> Shape {
        let rate = |text: &str| text.parse().unwrap();
        Shape::Spike {
            base: rate("10/s"),
            peak: rate("100/s"),
            at: at.parse().unwrap(),
            lasts: lasts.parse().unwrap(),
        }
    }

    fn secs(from: u64, to: u64, segments: &[Segment]) -> f64 {
        let stream = Stream { mix: vec![], arrivals: Arrivals::Even, segments: segments.to_vec() };
        stream.offered(Duration::from_secs(from), Duration::from_secs(to))
    }

    #[test]
    fn a_ramp_offers_the_integral_of_its_rate() {
        let shape = Shape::Ramp { from: "0/s".parse().unwrap(), to: "100/s".parse().unwrap() };
        let (_, ramp) = segments(&shape, &phases()).unwrap();
        assert!((secs(0, 20, &ramp) - 1_000.0).abs() < 1e-6);
        assert!((secs(10, 20, &ramp) - 750.0).abs() < 1e-6);
    }

    #[test]
    fn a_spike_has_its_peak_in_its_stretch_only() {
        let (_, parts) = segments(&spike("fault + 2s", "3s"), &phases()).unwrap();
        assert_eq!(parts.iter().map(|s| s.lasts.as_secs()).collect::<Vec<_>>(), [12, 3, 5]);
        assert!((secs(10, 20, &parts) - 370.0).abs() < 1e-6);
        assert_eq!(segments(&spike("baseline", "20s"), &phases()).unwrap().1.len(), 1);
    }

    #[test]
    fn a_spike_outside_the_time_line_and_a_load_of_nothing_are_told() {
        assert_eq!(segments(&spike("fault + 9s", "3s"), &phases()).unwrap_err().path, "spike.for");
        assert_eq!(segments(&spike("falt", "3s"), &phases()).unwrap_err().path, "spike.at");
        let nothing = Shape::Ramp { from: "0/s".parse().unwrap(), to: "0/s".parse().unwrap() };
        assert!(segments(&nothing, &phases()).unwrap_err().what.contains("offers nothing"));
    }
}
