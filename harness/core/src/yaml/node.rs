//! A YAML document as a tree whose every node knows its place.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

/// Line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// One value of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it is defined, also when an alias or a merge brought it elsewhere.
    pub place: Place,
    /// Its bytes in the text, for the spelling of numbers.
    pub bytes: (usize, usize),
    /// The value.
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, and how it was spelt.
    Number(serde_json::Number, String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
    /// Left out after a mistake was found in it, so that reading can go on.
    Dropped,
}

/// One entry of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// The value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// Gives numbers the spelling that the text has for them.
    pub(super) fn spell(&mut self, text: &str) {
        let (from, to) = self.bytes;
        match &mut self.value {
            Value::Number(_, spelling) => {
                if let Some(written) = text.get(from..to).map(str::trim).filter(|written| !written.is_empty())
                {
                    written.clone_into(spelling);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| item.spell(text)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| entry.node.spell(text)),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::Dropped => {}
        }
    }
}

impl From<Location> for Place {
    fn from(at: Location) -> Self {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: narrow(at.line()), column: narrow(at.column()) }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(from)?;
        let span = spanned.defined.span();
        let offset = |number: Option<u64>| number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let begin = offset(span.byte_offset());
        let bytes = (begin, begin.saturating_add(offset(span.byte_len())));
        Ok(Self { place: spanned.defined.into(), bytes, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into(), value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into(), value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value).map(|n| Value::Number(n, value.to_string()));
        Ok(number.unwrap_or_else(|| Value::Text(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = from.next_key::<Spanned<String>>()? {
            entries.push(Entry { place: key.defined.into(), key: key.value, node: from.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}
