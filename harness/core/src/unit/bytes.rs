//! Sizes: `"2GB"` is 2e9 bytes, `"2GiB"` is 2^31.

use std::{fmt, str::FromStr};

use super::{NotAQuantity, quantity, split};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(u64);

const EXAMPLE: &str = "\"512MiB\" or \"2GB\"";
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl Bytes {
    /// Exactly so many.
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// How many.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let wrong = |why: String| NotAQuantity {
            text: text.to_owned(),
            kind: "size",
            why: why.into(),
            example: EXAMPLE,
        };
        let (number, unit) = split(text, "size", EXAMPLE)?;
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(wrong(format!(
                "{unit:?} is no unit of size (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)"
            )));
        };
        let count = number * *factor as f64;
        if count > 1e15 {
            return Err(wrong("it is over 1000TB".into()));
        }
        Ok(Self(count.round() as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (unit, factor) = whole.unwrap_or(&("B", 1));
        f.pad(&format!("{}{unit}", self.0 / factor))
    }
}

quantity!(Bytes, r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*([KMGT]iB|[kMGT]?B)\s*$", "a size, such as 512MiB or 2GB");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Bytes;

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same(count in 0u64..1_000_000_000_000) {
            prop_assert_eq!(Bytes::new(count).to_string().parse::<Bytes>().unwrap(), Bytes::new(count));
        }
    }

    #[test]
    fn powers_of_ten_and_of_two_are_told_apart() {
        assert_eq!("2GB".parse::<Bytes>().unwrap().get(), 2_000_000_000);
        assert_eq!("2GiB".parse::<Bytes>().unwrap().get(), 2_147_483_648);
    }

    #[test]
    fn unknown_units_are_refused() {
        for bad in ["2gb", "2G", "2", "-1B"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }
}
