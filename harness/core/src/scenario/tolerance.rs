//! Tolerance: `1 of 3` replicas may be down at the same time.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

/// How many replicas may be down at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// So many.
    pub down: u16,
    /// Of all.
    pub of: u16,
}

/// A text that is no tolerance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no tolerance: how many replicas may be down, of how many; write it like \"1 of 3\"")]
pub struct NotATolerance(String);

impl FromStr for Tolerance {
    type Err = NotATolerance;

    fn from_str(text: &str) -> Result<Self, NotATolerance> {
        let parts = text.split_once(" of ");
        let parsed = parts.and_then(|(down, of)| Some((down.trim().parse().ok()?, of.trim().parse().ok()?)));
        parsed.map(|(down, of)| Self { down, of }).ok_or_else(|| NotATolerance(text.to_owned()))
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.down, self.of)
    }
}

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Tolerance {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tolerance".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*[0-9]+\s+of\s+[0-9]+\s*$",
            "description": "how many replicas may be down, of how many: 1 of 3",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Tolerance;

    #[test]
    fn a_tolerance_names_both_numbers() {
        assert_eq!("1 of 3".parse::<Tolerance>().unwrap(), Tolerance { down: 1, of: 3 });
        for bad in ["1", "one of 3", "-1 of 3", "1/3", "1 of"] {
            assert!(bad.parse::<Tolerance>().is_err(), "{bad}");
        }
    }
}
