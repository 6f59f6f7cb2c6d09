//! A rollout as written: one word of the catalogue beside `to`, `at` and `within`.

use std::{borrow::Cow, fmt, sync::LazyLock};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use super::Moment;
use crate::{
    kind::ROLLOUTS,
    name::Name,
    unit::{Percent, Span},
};

/// A rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// The word: `update`, `rollback`, ...
    pub word: Name,
    /// The component.
    pub component: Name,
    /// To which of its revisions, where its kind asks for that.
    pub to: Option<Name>,
    /// When it begins.
    pub at: Moment,
    /// How long it may take; what is left of its phase unless said.
    pub within: Option<Span>,
    /// What only one with a judge is told.
    pub gated: Gated,
}

/// What only a rollout is told that a judge lets go on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gated {
    /// The canary's share of the traffic, step by step.
    pub shares: Vec<Percent>,
    /// How long a step lasts at most.
    pub each: Option<Span>,
    /// How many replicas it has.
    pub replicas: Option<u16>,
    /// What it is compared with.
    pub against: Option<Against>,
    /// What is judged, and which effect would be harm.
    pub harm: Option<IndexMap<Name, Percent>>,
    /// What it must keep, whatever the other does: a share of errors, a latency by quantile.
    pub keeps: Option<IndexMap<Name, String>>,
}

/// What a canary is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// Fresh replicas of what ran before: as many, as old, with as large a share.
    #[default]
    Baseline,
    /// The replicas that ran before: more of them and older ones, with all the rest of the traffic.
    Stable,
}

/// What a field of a rollout is.
enum Field {
    To,
    At,
    Within,
    Shares,
    Each,
    Replicas,
    Against,
    Harm,
    Keeps,
    Word(Name),
}

/// All fields, for the answer to an unknown one.
static FIELDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| ROLLOUTS.iter().map(|kind| kind.about().word).chain(OTHERS).collect());
const OTHERS: [&str; 9] = ["to", "at", "within", "shares", "each", "replicas", "against", "harm", "keeps"];

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        match text.as_ref() {
            "to" => Ok(Field::To),
            "at" => Ok(Field::At),
            "within" => Ok(Field::Within),
            "shares" => Ok(Field::Shares),
            "each" => Ok(Field::Each),
            "replicas" => Ok(Field::Replicas),
            "against" => Ok(Field::Against),
            "harm" => Ok(Field::Harm),
            "keeps" => Ok(Field::Keeps),
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
        f.write_str("a rollout, such as `update: COMPONENT` with `to: REVISION` and `at: PHASE + TIME`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Rollout, A::Error> {
        let (mut said, mut to, mut at, mut within) = (None, None, None, None);
        let mut gated = Gated::default();
        while let Some(field) = from.next_key()? {
            match (field, &said) {
                (Field::To, _) => to = Some(from.next_value()?),
                (Field::At, _) => at = Some(from.next_value()?),
                (Field::Within, _) => within = Some(from.next_value()?),
                (Field::Shares, _) => gated.shares = from.next_value()?,
                (Field::Each, _) => gated.each = Some(from.next_value()?),
                (Field::Replicas, _) => gated.replicas = Some(from.next_value()?),
                (Field::Harm, _) => gated.harm = Some(from.next_value()?),
                (Field::Keeps, _) => gated.keeps = Some(from.next_value()?),
                (Field::Against, _) => gated.against = Some(from.next_value()?),
                (Field::Word(word), None) => said = Some((word, from.next_value()?)),
                (Field::Word(word), Some((first, _))) => {
                    let what = format!(
                        "one rollout is both `{first}` and `{word}`; write one item of the list for each"
                    );
                    return Err(de::Error::custom(what));
                }
            }
        }
        let words: Vec<_> =
            ROLLOUTS.iter().map(|kind| format!("`{}: COMPONENT`", kind.about().word)).collect();
        let unnamed =
            || de::Error::custom(format!("the rollout has no kind; add one of {}", words.join(", ")));
        let (word, component) = said.ok_or_else(unnamed)?;
        let at = at.ok_or_else(|| de::Error::missing_field("at"))?;
        Ok(Rollout { word, component, to, at, within, gated })
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
        json_schema!({ "description": "a rollout: one word of the catalogue, and when", "oneOf": kinds })
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
    fn a_wrong_rollout_is_told_with_place_and_mend() {
        insta::assert_snapshot!(read("updat: service\nat: update\n").unwrap_err(), @"x.yml:1:1: unknown field `updat`; did you mean `update`?");
        insta::assert_snapshot!(read("to: v2\nat: update\n").unwrap_err(), @"x.yml:1:1: the rollout has no kind; add one of `update: COMPONENT`, `rollback: COMPONENT`, `canary: COMPONENT`, `blue-green: COMPONENT`");
        insta::assert_snapshot!(read("update: a\nrollback: a\nat: update\n").unwrap_err(), @"x.yml:1:1: one rollout is both `update` and `rollback`; write one item of the list for each");
        insta::assert_snapshot!(read("update: service\nto: v2\n").unwrap_err(), @"x.yml:1:1: the field `at` is missing; add `at: ...`");
        insta::assert_snapshot!(read("update: service\nto: v2\nat: update\nwithin: 5\n").unwrap_err(), @r#"x.yml:4:9: "5" is no duration: the unit is missing; write it like "250ms", "5s" or "2m""#);
    }
}
