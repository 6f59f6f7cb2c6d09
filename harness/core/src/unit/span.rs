//! Durations: `"250us"`, `"250ms"`, `"1.5s"`, `"2m"`, `"1h"`.

use std::{fmt, str::FromStr, time::Duration};

use super::{NotAQuantity, quantity, split};

/// A length of time, in whole microseconds; at most 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(Duration);

const EXAMPLE: &str = "\"250ms\", \"5s\" or \"2m\"";
const LIMIT_S: f64 = 30.0 * 86_400.0;

impl Span {
    /// Exactly this many microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Self(Duration::from_micros(us))
    }

    /// As the standard library's type.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whole microseconds.
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Span {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let wrong = |why: String| NotAQuantity {
            text: text.to_owned(),
            kind: "duration",
            why: why.into(),
            example: EXAMPLE,
        };
        let (number, unit) = split(text, "duration", EXAMPLE)?;
        let seconds = match unit {
            "us" | "µs" => number / 1e6,
            "ms" => number / 1e3,
            "s" => number,
            "m" | "min" => number * 60.0,
            "h" => number * 3_600.0,
            other => return Err(wrong(format!("{other:?} is no unit of time (us, ms, s, m, h)"))),
        };
        if seconds > LIMIT_S {
            return Err(wrong("it is longer than 30 days".into()));
        }
        // Rounded, so that 0.1ms is 100 us whatever its binary form.
        Ok(Self(Duration::from_nanos((seconds * 1e6).round() as u64 * 1_000)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.micros();
        let (value, unit) = match us {
            0 => return f.pad("0s"),
            _ if us.is_multiple_of(3_600_000_000) => (us / 3_600_000_000, "h"),
            _ if us.is_multiple_of(60_000_000) => (us / 60_000_000, "m"),
            _ if us.is_multiple_of(1_000_000) => (us / 1_000_000, "s"),
            _ if us.is_multiple_of(1_000) => (us / 1_000, "ms"),
            _ => (us, "us"),
        };
        f.pad(&format!("{value}{unit}"))
    }
}

quantity!(
    Span,
    r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*(us|µs|ms|s|m|min|h)\s*$",
    "a duration with its unit, such as 250ms, 5s or 2m"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Span;

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same(us in 0u64..2_592_000_000_000) {
            let span = Span::from_micros(us);
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }

    #[test]
    fn a_bare_number_is_refused_with_an_example() {
        let told = "250".parse::<Span>().unwrap_err().to_string();
        assert!(told.contains("unit is missing") && told.contains("250ms"), "{told}");
    }

    #[test]
    fn wrong_negative_and_endless_durations_are_refused() {
        for bad in ["", "ms", "-5s", "5 parsecs", "1e9h", "1.2.3s", "99999h"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn fractions_are_kept_to_the_microsecond() {
        assert_eq!("1.5s".parse::<Span>().unwrap().micros(), 1_500_000);
        assert_eq!("0.1ms".parse::<Span>().unwrap().micros(), 100);
    }
}
