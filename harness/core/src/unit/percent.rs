//! Percentages: `"85%"`, `"0.5%"`.

use std::{fmt, str::FromStr};

use super::{NotAQuantity, quantity, split};

/// A share of a whole, kept as a fraction of 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Percent(f64);

const EXAMPLE: &str = "\"85%\" or \"0.5%\"";

impl Percent {
    /// From a fraction: 0.85 is 85%; negative and endless values become 0.
    pub fn of(fraction: f64) -> Self {
        Self(if fraction.is_finite() && fraction > 0.0 { fraction } else { 0.0 })
    }

    /// As a fraction: 85% is 0.85.
    pub fn fraction(self) -> f64 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let wrong = |why: String| NotAQuantity {
            text: text.to_owned(),
            kind: "percentage",
            why: why.into(),
            example: EXAMPLE,
        };
        match split(text, "percentage", EXAMPLE)? {
            (number, "%") if number <= 10_000.0 => Ok(Self(number / 100.0)),
            (_, "%") => Err(wrong("it is over 10000%".into())),
            (_, other) => Err(wrong(format!("{other:?} stands where % belongs"))),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nine digits hide the binary tail of 0.5 / 100 * 100.
        let text = format!("{:.9}", self.0 * 100.0);
        f.pad(&format!("{}%", text.trim_end_matches('0').trim_end_matches('.')))
    }
}

quantity!(Percent, r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*%\s*$", "a percentage, such as 85% or 0.5%");

#[cfg(test)]
mod tests {
    use super::Percent;

    #[test]
    fn a_percentage_is_kept_as_a_fraction_and_shown_as_written() {
        let share: Percent = "0.5%".parse().unwrap();
        assert!((share.fraction() - 0.005).abs() < 1e-12);
        assert_eq!(share.to_string(), "0.5%");
        assert_eq!("85%".parse::<Percent>().unwrap().to_string(), "85%");
    }

    #[test]
    fn a_fraction_without_the_sign_is_refused() {
        for bad in ["0.85", "85 percent", "-1%", "%"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad}");
        }
    }
}
