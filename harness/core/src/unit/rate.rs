//! Rates: `"600/s"`, `"90/m"`.

use std::{fmt, str::FromStr};

use super::{NotAQuantity, quantity, split};

/// How often something happens, per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Rate(f64);

const EXAMPLE: &str = "\"600/s\" or \"90/m\"";
const LIMIT_PER_S: f64 = 1e6;

impl Rate {
    /// Per second; negative and endless values become 0.
    pub fn per_second(value: f64) -> Self {
        Self(if value.is_finite() && value > 0.0 { value } else { 0.0 })
    }

    /// Per second.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let wrong = |why: String| NotAQuantity {
            text: text.to_owned(),
            kind: "rate",
            why: why.into(),
            example: EXAMPLE,
        };
        let (number, unit) = split(text, "rate", EXAMPLE)?;
        let per_second = match unit {
            "/s" => number,
            "/m" | "/min" => number / 60.0,
            "/h" => number / 3_600.0,
            other => return Err(wrong(format!("{other:?} is no unit of a rate (/s, /m, /h)"))),
        };
        if per_second > LIMIT_PER_S {
            return Err(wrong("it is over 1000000/s".into()));
        }
        Ok(Self(per_second))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", self.0))
    }
}

quantity!(
    Rate,
    r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*/(s|m|min|h)\s*$",
    "a rate with its unit, such as 600/s or 90/m"
);

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn rates_are_kept_per_second() {
        assert!((("600/s".parse::<Rate>().unwrap().get()) - 600.0).abs() < 1e-9);
        assert!((("90/m".parse::<Rate>().unwrap().get()) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_negative_rate_and_a_wrong_unit_are_refused() {
        for bad in ["-1/s", "600", "600rps", "600/d", "2000000/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        let rate: Rate = "1100.5/s".parse().unwrap();
        assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
    }
}
