//! Quantities with their units: `"250ms"`, `"600/s"`, `"2GiB"`, `"85%"`. A bare number is never accepted.

use std::borrow::Cow;

mod bytes;
mod percent;
mod rate;
mod span;

pub use bytes::Bytes;
pub use percent::Percent;
pub use rate::Rate;
pub use span::Span;

/// A text that is no quantity of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: {why}; write it like {example}")]
pub struct NotAQuantity {
    /// What was written.
    pub text: String,
    /// `duration`, `rate`, `percentage`, `size`.
    pub kind: &'static str,
    /// What is wrong with it.
    pub why: Cow<'static, str>,
    /// A right one.
    pub example: &'static str,
}

/// Splits `250ms` into its number and its unit.
fn split<'a>(
    text: &'a str,
    kind: &'static str,
    example: &'static str,
) -> Result<(f64, &'a str), NotAQuantity> {
    let wrong = |why: &'static str| NotAQuantity { text: text.to_owned(), kind, why: why.into(), example };
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_' || c == '-' || c == '+'));
    let (number, unit) = trimmed.split_at(end.unwrap_or(trimmed.len()));
    if number.is_empty() {
        return Err(wrong("it does not start with a number"));
    }
    if number.starts_with('-') {
        return Err(wrong("it is negative"));
    }
    let value: f64 = number.replace('_', "").parse().map_err(|_| wrong("its number cannot be read"))?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(wrong("the unit is missing"));
    }
    Ok((value, unit))
}

/// Text form, serde and JSON Schema of a quantity, all from `FromStr` and `Display`.
macro_rules! quantity {
    ($name:ident, $pattern:literal, $description:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    };
}
use quantity;
