//! A roll out as written: one word of the catalogue beside `to`, `at` and `within`.

use std::{borrow::Cow, fmt, sync::LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use super::Moment;
use crate::{kind::ROLLOUTS, name::Name, unit::Span};

/// A roll out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The word: `update` or `rollback`.
    pub word: Name,
    /// The component.
    pub component: Name,
    /// To which of its revisions, where its kind asks for that.
    pub to: Option<Name>,
    /// When it begins.
    pub at: Moment,
    /// How long it may take; what is left of its phase unless said.
    pub within: Option<Span>,
}

/// What a field of a roll out is.
enum Field {
    To,
    At,
    Within,
    Word(Name),
}

/// All fields, for the answer to an unknown one.
static FIELDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| ROLLOUTS.iter().map(|kind| kind.about().word).chain(["to", "at", "within"]).collect());

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        match text.as_ref() {
            "to" => Ok(Field::To),
            "at" => Ok(Field::At),
            "within" => Ok(Field::Within),
            word if FIELDS.contains(&word) => word.parse().map(Field::Word).map_err(de::Error::custom),
            other => Err(de::Error::unknown_field(other, &FIELDS)),
        }
    }
}

impl<'de> Deserialize<'de> for Rollout {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(RolloutVisitor)
    }
}

struct RolloutVisitor;

impl<'de> Visitor<'de> for RolloutVisitor {
    type Value = Rollout;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a roll out, such as `update: COMPONENT` with `to: REVISION` and `at: PHASE + TIME`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Rollout, A::Error> {
        let (mut said, mut to, mut at, mut within) = (None, None, None, None);
        while let Some(field) = from.next_key()? {
            match (field, &said) {
                (Field::To, _) => to = Some(from.next_value()?),
                (Field::At, _) => at = Some(from.next_value()?),
                (Field::Within, _) => within = Some(from.next_value()?),
                (Field::Word(word), None) => said = Some((word, from.next_value()?)),
                (Field::Word(word), Some((first, _))) => {
                    let what = format!(
                        "one roll out is both `{first}` and `{word}`; write one item of the list for each"
                    );
                    return Err(de::Error::custom(what));
                }
            }
        }
        let words: Vec<_> =
            ROLLOUTS.iter().map(|kind| format!("`{}: COMPONENT`", kind.about().word)).collect();
        let unnamed =
            || de::Error::custom(format!("the roll out has no kind; add one of {}", words.join(", ")));
        let (word, component) = said.ok_or_else(unnamed)?;
        Ok(Rollout { word, component, to, at: at.ok_or_else(|| de::Error::missing_field("at"))?, within })
    }
}

impl JsonSchema for Rollout {
    fn schema_name() -> Cow<'static, str> {
        "Rollout".into()
    }

    /// One alternative for each word of the catalogue.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> =
            ROLLOUTS.iter().map(|kind| (kind.about().schema)(kind.about(), generator)).collect();
        json_schema!({ "description": "a roll out: one word of the catalogue, and when", "oneOf": kinds })
    }
}

#[cfg(test)]
mod tests {
    use super::Rollout;
    use crate::yaml;

    fn read(text: &str) -> Result<Rollout, String> {
        yaml::read(&yaml::tree(text.as_bytes()).unwrap()).map_err(|mistakes| mistakes[0].show("x.yml"))
    }

    #[test]
    fn a_wrong_roll_out_is_told_with_place_and_mend() {
        insta::assert_snapshot!(read("updat: service\nat: update\n").unwrap_err(), @"x.yml:1:1: unknown field `updat`; did you mean `update`?");
        insta::assert_snapshot!(read("to: v2\nat: update\n").unwrap_err(), @"x.yml:1:1: the roll out has no kind; add one of `update: COMPONENT`, `rollback: COMPONENT`");
        insta::assert_snapshot!(read("update: a\nrollback: a\nat: update\n").unwrap_err(), @"x.yml:1:1: one roll out is both `update` and `rollback`; write one item of the list for each");
        insta::assert_snapshot!(read("update: service\nto: v2\n").unwrap_err(), @"x.yml:1:1: the field `at` is missing; add `at: ...`");
        insta::assert_snapshot!(read("update: service\nto: v2\nat: update\nwithin: 5\n").unwrap_err(), @r#"x.yml:4:9: "5" is no duration: the unit is missing; write it like "250ms", "5s" or "2m""#);
    }
}
