//! A fault as written: one word of the catalogue beside `pick`, `at` and `for`.

use std::{borrow::Cow, fmt, sync::LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use super::Moment;
use crate::{kind::FAULTS, name::Name, unit::Span};

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The word: `kill`, `pause`, ...
    pub word: Name,
    /// The component that it hits.
    pub component: Name,
    /// Which of its replicas.
    pub pick: Pick,
    /// When it begins.
    pub at: Moment,
    /// How long it lasts, where its kind asks for that.
    pub lasts: Option<Span>,
}

/// Which replicas a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// So many, drawn by the seed.
    Count(u16),
    /// One that no earlier fault of the scenario hits, drawn by the seed.
    Another,
    /// These, counted from 1.
    These(Vec<u16>),
}

/// What a field of a fault is.
enum Field {
    Pick,
    At,
    For,
    Word(Name),
}

/// All fields, for the answer to an unknown one.
static FIELDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| FAULTS.iter().map(|kind| kind.about().word).chain(["pick", "at", "for"]).collect());

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        match text.as_ref() {
            "pick" => Ok(Field::Pick),
            "at" => Ok(Field::At),
            "for" => Ok(Field::For),
            word if FIELDS.contains(&word) => word.parse().map(Field::Word).map_err(de::Error::custom),
            other => Err(de::Error::unknown_field(other, &FIELDS)),
        }
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FaultVisitor)
    }
}

struct FaultVisitor;

impl<'de> Visitor<'de> for FaultVisitor {
    type Value = Fault;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault, such as `kill: COMPONENT` with `at: PHASE + TIME`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Fault, A::Error> {
        let (mut said, mut pick, mut at, mut lasts) = (None, Pick::Count(1), None, None);
        while let Some(field) = from.next_key()? {
            match (field, &said) {
                (Field::Pick, _) => pick = from.next_value()?,
                (Field::At, _) => at = Some(from.next_value()?),
                (Field::For, _) => lasts = Some(from.next_value()?),
                (Field::Word(word), None) => said = Some((word, from.next_value()?)),
                (Field::Word(word), Some((first, _))) => {
                    let what = format!(
                        "one fault is both `{first}` and `{word}`; write one item of the list for each"
                    );
                    return Err(de::Error::custom(what));
                }
            }
        }
        let words: Vec<_> = FAULTS.iter().map(|kind| format!("`{}: COMPONENT`", kind.about().word)).collect();
        let unnamed = || de::Error::custom(format!("the fault has no kind; add one of {}", words.join(", ")));
        let (word, component) = said.ok_or_else(unnamed)?;
        Ok(Fault { word, component, pick, at: at.ok_or_else(|| de::Error::missing_field("at"))?, lasts })
    }
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PickVisitor)
    }
}

struct PickVisitor;

const PICK: &str = "write `one`, `another`, a number such as `2`, or a list such as `[1, 3]`";

impl<'de> Visitor<'de> for PickVisitor {
    type Value = Pick;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`one`, `another`, a number, or a list of numbers")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Pick, E> {
        match text {
            "one" => Ok(Pick::Count(1)),
            "another" => Ok(Pick::Another),
            "all" => Err(E::custom(format!("all replicas are never hit: one must stay; {PICK}"))),
            other => Err(E::custom(format!("{other:?} picks nothing; {PICK}"))),
        }
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Pick, E> {
        match u16::try_from(count) {
            Ok(count @ 1..) => Ok(Pick::Count(count)),
            _ => Err(E::custom(format!("{count} is no number of replicas; {PICK}"))),
        }
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Pick, E> {
        Err(E::custom(format!("{count} is no number of replicas; {PICK}")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Pick, A::Error> {
        let mut these = Vec::new();
        while let Some(index) = from.next_element()? {
            these.push(index);
        }
        if these.is_empty() {
            Err(de::Error::custom(format!("an empty list picks nothing; {PICK}")))
        } else {
            Ok(Pick::These(these))
        }
    }
}

impl JsonSchema for Fault {
    fn schema_name() -> Cow<'static, str> {
        "Fault".into()
    }

    /// One alternative for each word of the catalogue.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> =
            FAULTS.iter().map(|kind| (kind.about().schema)(kind.about(), generator)).collect();
        json_schema!({ "description": "a fault: one word of the catalogue, and when", "oneOf": kinds })
    }
}

impl JsonSchema for Pick {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pick".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "which replicas: one, another (that no earlier fault hits), so many, or these, counted from 1; the seed draws",
            "anyOf": [
                { "enum": ["one", "another"] },
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 1, "maximum": 65535 } },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Pick};
    use crate::yaml;

    fn read(text: &str) -> Result<Fault, String> {
        yaml::read(&yaml::tree(text.as_bytes()).unwrap()).map_err(|mistakes| mistakes[0].show("x.yml"))
    }

    #[test]
    fn one_replica_is_picked_unless_said() {
        assert_eq!(read("kill: service\nat: fault\n").unwrap().pick, Pick::Count(1));
        assert_eq!(read("kill: service\nat: fault\npick: 2\n").unwrap().pick, Pick::Count(2));
        assert_eq!(read("kill: service\nat: fault\npick: [1, 3]\n").unwrap().pick, Pick::These(vec![1, 3]));
    }

    #[test]
    fn a_wrong_fault_is_told_with_place_and_mend() {
        insta::assert_snapshot!(read("kil: service\nat: fault\n").unwrap_err(), @"x.yml:1:1: unknown field `kil`; did you mean `kill`?");
        insta::assert_snapshot!(read("pick: one\nat: fault\n").unwrap_err(), @"x.yml:1:1: the fault has no kind; add one of `kill: COMPONENT`, `pause: COMPONENT`, `scale-in: COMPONENT`");
        insta::assert_snapshot!(read("kill: a\npause: b\nat: fault\n").unwrap_err(), @"x.yml:1:1: one fault is both `kill` and `pause`; write one item of the list for each");
        insta::assert_snapshot!(read("kill: service\n").unwrap_err(), @"x.yml:1:1: the field `at` is missing; add `at: ...`");
        insta::assert_snapshot!(read("kill: service\nat: fault\npick: all\n").unwrap_err(), @"x.yml:3:7: all replicas are never hit: one must stay; write `one`, `another`, a number such as `2`, or a list such as `[1, 3]`");
        insta::assert_snapshot!(read("kill: service\nat: fault\npick: 0\n").unwrap_err(), @"x.yml:3:7: 0 is no number of replicas; write `one`, `another`, a number such as `2`, or a list such as `[1, 3]`");
        insta::assert_snapshot!(read("kill: service\nat: fault\npick: []\n").unwrap_err(), @"x.yml:3:7: an empty list picks nothing; write `one`, `another`, a number such as `2`, or a list such as `[1, 3]`");
        insta::assert_snapshot!(read("kill: service\nat: fault + 2\n").unwrap_err(), @r#"x.yml:2:5: "fault + 2" is no moment: the unit is missing; write it like "fault + 2s" or "fault""#);
    }
}
