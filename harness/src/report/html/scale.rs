//! Scales of charts: where a value stands between 0 and 1, and which values are named beside it.

/// The vertical scale of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// From nought to this.
    Linear(f64),
    /// From the one to the other, by powers.
    Log(f64, f64),
}

/// Over this ratio of the largest to the smallest value, small ones would lie flat on a linear scale.
const LOG_FROM: f64 = 30.0;
/// Powers of ten that a log scale shows at most.
const DECADES: f64 = 7.0;

impl Scale {
    /// Linear, and large enough for all values.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        Scale::Linear(above(largest(values)))
    }

    /// Linear, or by powers where the values differ too much for that.
    pub(super) fn fitting(values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = largest(values.clone());
        let least = values.filter(|value| value.is_finite() && *value > 0.0).fold(f64::INFINITY, f64::min);
        if !least.is_finite() || most / least < LOG_FROM {
            return Scale::Linear(above(most));
        }
        let top = above(most);
        Scale::Log(below(least).max(top / 10f64.powf(DECADES)), top)
    }

    /// Between 0 (bottom) and 1 (top).
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Scale::Linear(top) => value / top,
            Scale::Log(bottom, top) => (value.max(bottom) / bottom).ln() / (top / bottom).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    /// The values that are named on a scale of this height.
    pub(super) fn ticks(self, height: f64) -> Vec<f64> {
        match self {
            Scale::Linear(top) => {
                let step = step(top, (height / 24.0).floor().clamp(2.0, 5.0));
                (0..=5)
                    .map(|number| f64::from(number) * step)
                    .take_while(|tick| *tick <= top * 1.001)
                    .collect()
            }
            Scale::Log(bottom, top) => {
                let steps: &[f64] = if top / bottom > 2_000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let powers = bottom.log10().floor() as i32..=top.log10().ceil() as i32;
                let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
                all.filter(|tick| bottom * 0.999 <= *tick && *tick <= top * 1.001).collect()
            }
        }
    }
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// The first of 1, 2, 5, 10, ... times a power that is not below the value.
fn above(value: f64) -> f64 {
    if value <= 0.0 { 1.0 } else { step(value, 1.0) }
}

/// The last of 1, 2, 5, ... times a power that is not above the value.
fn below(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step <= value * 1.000_001)
        .unwrap_or(power)
}

/// A round step of which about so many cover a length.
pub(super) fn step(length: f64, count: f64) -> f64 {
    let raw = (length / count).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= raw * 0.999_999)
        .unwrap_or(power)
}

/// Seconds between the named moments of a time line.
pub(super) fn time_step(length_s: f64) -> f64 {
    const STEPS: [f64; 14] =
        [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];
    STEPS.into_iter().find(|step| length_s / step <= 14.0).unwrap_or(length_s.max(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Scale, time_step};

    #[test]
    fn latencies_that_differ_much_stand_on_a_log_scale() {
        let scale = Scale::fitting([3.0, 12.0, 900.0].into_iter());
        assert_eq!(scale, Scale::Log(2.0, 1_000.0));
        assert!((scale.place(2.0), scale.place(1_000.0)) == (0.0, 1.0));
        assert_eq!(scale.ticks(250.0), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]);
    }

    #[test]
    fn latencies_that_are_alike_stand_on_a_linear_scale() {
        assert_eq!(Scale::fitting([3.0, 12.0, 18.0].into_iter()), Scale::Linear(20.0));
        assert_eq!(
            Scale::Linear(20.0).ticks(250.0),
            [0.0, 5.0, 10.0, 15.0, 20.0].map(|tick: f64| tick * 0.8).map(|t| t / 0.8)
        );
    }

    #[test]
    fn without_values_there_is_still_a_scale() {
        assert_eq!(Scale::fitting(std::iter::empty()), Scale::Linear(1.0));
        assert!((Scale::fitting([f64::NAN, f64::INFINITY].into_iter())) == Scale::Linear(1.0));
    }

    #[test]
    fn a_minute_is_told_in_steps_of_five_seconds_and_an_hour_in_minutes() {
        assert!((time_step(65.0) - 5.0).abs() < 1e-9 && (time_step(3_600.0) - 300.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn every_value_has_a_place_on_its_scale(values in prop::collection::vec(0.0f64..1e12, 0..20)) {
            let scale = Scale::fitting(values.iter().copied());
            for value in values {
                let place = scale.place(value);
                prop_assert!((0.0..=1.0).contains(&place), "{} on {:?} at {}", value, scale, place);
            }
            prop_assert!(scale.ticks(250.0).len() <= 24, "{:?}", scale);
        }
    }
}
