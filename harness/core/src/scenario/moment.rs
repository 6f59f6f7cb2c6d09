//! Moments of the time line: `fault`, `fault + 2s`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{name::Name, unit::Span};

/// So long after the beginning of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The phase.
    pub phase: Name,
    /// How long after it begins.
    pub plus: Span,
}

/// A text that is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no moment: {why}; write it like \"fault + 2s\" or \"fault\"")]
pub struct NotAMoment {
    text: String,
    why: String,
}

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let wrong = |why: String| NotAMoment { text: text.to_owned(), why };
        let (phase, plus) = match text.split_once('+') {
            None => (text, Span::default()),
            Some((phase, plus)) => {
                (phase, plus.parse::<Span>().map_err(|error| wrong(error.why.into_owned()))?)
            }
        };
        let phase = phase.trim();
        let named = phase.parse::<Name>().map_err(|_| wrong(format!("{phase:?} is no name of a phase")));
        Ok(Self { phase: named?, plus })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {}", self.phase, self.plus)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*[a-z][a-z0-9-]{0,62}\s*(\+\s*[0-9][0-9_]*(\.[0-9]+)?\s*(us|µs|ms|s|m|min|h)\s*)?$",
            "description": "a phase, or so long after its beginning: fault + 2s",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_phase_alone_is_its_beginning() {
        let moment: Moment = "fault".parse().unwrap();
        assert_eq!((moment.phase.as_str(), moment.plus.micros()), ("fault", 0));
        assert_eq!("fault+250ms".parse::<Moment>().unwrap().to_string(), "fault + 250ms");
    }

    #[test]
    fn what_is_no_moment_is_refused_with_an_example() {
        for bad in ["", "2s", "fault + 2", "fault + -2s", "fault + 2s + 3s", "+ 2s", "Fault"] {
            let told = bad.parse::<Moment>().unwrap_err().to_string();
            assert!(told.contains("fault + 2s"), "{told}");
        }
    }
}
