//! A drill as written: one word of the catalogue beside `at`, `lose` and `within`.

use std::{borrow::Cow, fmt, sync::LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use super::Moment;
use crate::{kind::DRILLS, name::Name, unit::Span};

/// A drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The word: `logical`, ...
    pub word: Name,
    /// The components whose data are lost and restored.
    pub components: Vec<Name>,
    /// When the backup begins.
    pub at: Moment,
    /// How many writes are acknowledged after the backup before the data are destroyed; 1,000 unless said.
    pub lose: Option<u64>,
    /// How long it may all take; what is left of its phase unless said.
    pub within: Option<Span>,
}

/// One component, or several that are lost together.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a component or a list of them")]
enum Components {
    One(Name),
    All(Vec<Name>),
}

/// What a field of a drill is.
enum Field {
    At,
    Lose,
    Within,
    Word(Name),
}

/// All fields, for the answer to an unknown one.
static FIELDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| DRILLS.iter().map(|kind| kind.about().word).chain(["at", "lose", "within"]).collect());

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        match text.as_ref() {
            "at" => Ok(Field::At),
            "lose" => Ok(Field::Lose),
            "within" => Ok(Field::Within),
            word if FIELDS.contains(&word) => word.parse().map(Field::Word).map_err(de::Error::custom),
            other => Err(de::Error::unknown_field(other, &FIELDS)),
        }
    }
}

impl<'de> Deserialize<'de> for Drill {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(DrillVisitor)
    }
}

struct DrillVisitor;

impl<'de> Visitor<'de> for DrillVisitor {
    type Value = Drill;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a drill, such as `logical: COMPONENT` with `at: PHASE + TIME`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Drill, A::Error> {
        let (mut said, mut at, mut lose, mut within): (Option<(Name, Components)>, _, _, _) =
            (None, None, None, None);
        while let Some(field) = from.next_key()? {
            match (field, &said) {
                (Field::At, _) => at = Some(from.next_value()?),
                (Field::Lose, _) => lose = Some(from.next_value()?),
                (Field::Within, _) => within = Some(from.next_value()?),
                (Field::Word(word), None) => said = Some((word, from.next_value()?)),
                (Field::Word(word), Some((first, _))) => {
                    let what = format!(
                        "one drill is both `{first}` and `{word}`; write one item of the list for each"
                    );
                    return Err(de::Error::custom(what));
                }
            }
        }
        let words: Vec<_> = DRILLS.iter().map(|kind| format!("`{}: COMPONENT`", kind.about().word)).collect();
        let unnamed = || de::Error::custom(format!("the drill has no kind; add one of {}", words.join(", ")));
        let (word, components) = said.ok_or_else(unnamed)?;
        let components = match components {
            Components::One(name) => vec![name],
            Components::All(names) => names,
        };
        let at = at.ok_or_else(|| de::Error::missing_field("at"))?;
        Ok(Drill { word, components, at, lose, within })
    }
}

impl JsonSchema for Drill {
    fn schema_name() -> Cow<'static, str> {
        "Drill".into()
    }

    /// One alternative for each word of the catalogue.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> =
            DRILLS.iter().map(|kind| (kind.about().schema)(kind.about(), generator)).collect();
        json_schema!({ "description": "a drill: one word of the catalogue, and when", "oneOf": kinds })
    }
}

#[cfg(test)]
mod tests {
    use super::Drill;
    use crate::yaml;

    fn read(text: &str) -> Result<Drill, String> {
        yaml::read(&yaml::tree(text.as_bytes()).unwrap()).map_err(|mistakes| mistakes[0].show("x.yml"))
    }

    #[test]
    fn one_component_is_a_list_of_one() {
        let names =
            |text: &str| read(text).unwrap().components.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names("logical: database\nat: drill\n"), ["database"]);
        assert_eq!(names("total-loss: [cache, database]\nat: drill\n"), ["cache", "database"]);
    }

    #[test]
    fn a_wrong_drill_is_told_with_place_and_mend() {
        let told = |text: &str| read(text).unwrap_err();
        assert!(told("logcal: database\nat: drill\n").contains("did you mean `logical`?"));
        assert!(told("at: drill\n").contains("add one of `logical: COMPONENT`"));
        assert!(told("logical: database\n").contains("the field `at` is missing"));
    }
}
