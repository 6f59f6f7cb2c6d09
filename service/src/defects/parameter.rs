//! Parameters, each with its unit; a bare number is refused.

use std::time::Duration;

use crate::config::parse_duration;

/// The longest factor by which anything is slowed down.
const MOST: f64 = 1000.0;

/// A share such as `0.5%`, as a number above 0 and up to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or("has no %")?;
    let percent: f64 = number.parse().map_err(|_| "is no number with a %")?;
    if percent > 0.0 && percent <= 100.0 { Ok(percent / 100.0) } else { Err("is not from 0% to 100%".into()) }
}

/// A duration above zero, down to microseconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.strip_suffix("us") {
        Some(micros) => micros.parse().map(Duration::from_micros).map_err(|_| "is no whole number of us"),
        None => parse_duration(text),
    };
    let value = parsed?;
    if value.is_zero() { Err("is zero".into()) } else { Ok(value) }
}

/// A size such as `64KiB`, above zero and up to 1 GiB.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let each = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "" => return Err("has no unit".into()),
        _ => return Err("has an unknown unit".into()),
    };
    let number: usize = number.parse().map_err(|_| "is no whole number with a unit")?;
    let value = number.checked_mul(each).filter(|value| (1..=1 << 30).contains(value));
    value.ok_or_else(|| "is not from 1B to 1024MiB".into())
}

/// How much longer something takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Longer {
    /// So many times as long.
    Times(f64),
    /// So much longer.
    By(Duration),
}

impl Longer {
    /// `x1.2` or `+10ms`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if let Some(time) = text.strip_prefix('+') {
            return duration(time).map(Self::By);
        }
        let factor = text.strip_prefix('x').ok_or("begins with neither x nor +")?;
        let factor: f64 = factor.parse().map_err(|_| "is no number behind the x")?;
        if factor > 1.0 && factor <= MOST { Ok(Self::Times(factor)) } else { Err("is not above x1".into()) }
    }

    /// The time that is to be added to what took so long.
    pub(super) fn added(self, took: Duration) -> Duration {
        match self {
            Self::Times(factor) => took.mul_f64(factor - 1.0),
            Self::By(time) => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_number_with_its_unit() {
        assert_eq!(share("0.5%"), Ok(0.005));
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("150us"), Ok(Duration::from_micros(150)));
        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert!(bytes("1025MiB").is_err() && share("1").is_err() && duration("20").is_err());
    }

    #[test]
    fn longer_is_a_factor_or_a_time() {
        let took = Duration::from_millis(10);
        assert_eq!(Longer::read("x1.2").map(|longer| longer.added(took)), Ok(Duration::from_millis(2)));
        assert_eq!(Longer::read("x4").map(|longer| longer.added(took)), Ok(Duration::from_millis(30)));
        assert_eq!(Longer::read("+3ms").map(|longer| longer.added(took)), Ok(Duration::from_millis(3)));
    }
}
