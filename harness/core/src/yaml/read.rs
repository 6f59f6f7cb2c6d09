//! Typed reading of a tree. After a mistake the part that holds it is left out and reading goes on, so that several
//! mistakes are told at once.

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor, value::StrDeserializer};

use super::{
    Entry, Mistake, Node, Value,
    wrong::{Segment, Wrong},
};

const MOST_MISTAKES: usize = 20;

/// The tree as a value of a type, or all that is wrong with it.
pub fn read<T: DeserializeOwned>(tree: &Node) -> Result<T, Vec<Mistake>> {
    let mut rest = tree.clone();
    let mut mistakes: Vec<Mistake> = Vec::new();
    loop {
        let wrong = match T::deserialize(Reader(&rest)) {
            Ok(value) if mistakes.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(wrong) => wrong,
        };
        let path = wrong.path();
        // An error at a map of which a part was left out may only follow from that.
        if !lacks_a_part(&rest, &path) {
            let mistake = wrong.mistake();
            if !mistakes
                .iter()
                .any(|m| (m.line, m.column, &m.what) == (mistake.line, mistake.column, &mistake.what))
            {
                mistakes.push(mistake);
            }
        }
        if path.is_empty() || mistakes.len() == MOST_MISTAKES || !leave_out(&mut rest, &path) {
            break;
        }
    }
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    Err(mistakes)
}

/// Refuses a file whose `format` is not the one that is known; a file without one passes.
pub fn format(tree: &Node, known: u32) -> Result<(), Mistake> {
    match tree.get("format") {
        Some(Node { place, value: Value::Number(number, spelling), .. })
            if number.as_u64() != Some(known.into()) =>
        {
            let what = format!("format {spelling} is unknown here: this version reads format {known}");
            let mend = format!("write `format: {known}`, or use a version that reads format {spelling}");
            Err(Mistake { line: place.line, column: place.column, ..Mistake::at("format", what) }.mend(mend))
        }
        _ => Ok(()),
    }
}

fn below_mut<'a>(node: &'a mut Node, segment: &Segment) -> Option<&'a mut Node> {
    match (&mut node.value, segment) {
        (Value::List(items), Segment::Index(index)) => items.get_mut(*index),
        (Value::Map(entries), Segment::Key(key)) => {
            entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.node)
        }
        _ => None,
    }
}

fn leave_out(root: &mut Node, path: &[Segment]) -> bool {
    let found = path.iter().try_fold(root, |node, segment| below_mut(node, segment));
    found.map(|node| node.value = Value::Dropped).is_some()
}

fn lacks_a_part(root: &Node, path: &[Segment]) -> bool {
    let found = path.iter().try_fold(root, |node, segment| match (&node.value, segment) {
        (Value::List(items), Segment::Index(index)) => items.get(*index),
        (Value::Map(_), Segment::Key(key)) => node.get(key),
        _ => None,
    });
    match found.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().any(|entry| entry.node.value == Value::Dropped),
        _ => false,
    }
}

fn kept(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| entry.node.value != Value::Dropped)
}

/// A node that is being read.
#[derive(Clone, Copy)]
struct Reader<'de>(&'de Node);

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let result = match &self.0.value {
            Value::Null | Value::Dropped => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number, _) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items { left: items.iter().enumerate() }),
            Value::Map(entries) => visitor.visit_map(Fields { left: entries.iter(), value: None }),
        };
        result.map_err(|wrong| wrong.at(self.0.place))
    }

    /// A number or a truth value where a text belongs is the text as it was spelt.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::Number(_, spelling) => {
                visitor.visit_str(spelling).map_err(|wrong: Wrong| wrong.at(self.0.place))
            }
            Value::Bool(value) => visitor.visit_str(if *value { "true" } else { "false" }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let result = match &self.0.value {
            Value::Text(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Value::Map(entries) => match kept(entries).collect::<Vec<_>>().as_slice() {
                [entry] => visitor.visit_enum(OneField(entry)),
                several => {
                    let mend = format!("write one of `{}`", known.join("`, `"));
                    Err(Wrong::new(format!("expected one field, found {}", several.len()), Some(mend)))
                }
            },
            _ => self.deserialize_any(visitor),
        };
        result.map_err(|wrong| wrong.at(self.0.place))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de> {
    left: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some((index, item)) = self.left.by_ref().find(|(_, item)| item.value != Value::Dropped) else {
            return Ok(None);
        };
        seed.deserialize(Reader(item))
            .map(Some)
            .map_err(|wrong| wrong.at(item.place).within(Segment::Index(index)))
    }
}

struct Fields<'de> {
    left: std::slice::Iter<'de, Entry>,
    value: Option<&'de Entry>,
}

impl<'de> de::MapAccess<'de> for Fields<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.value = self.left.by_ref().find(|entry| entry.node.value != Value::Dropped);
        self.value.map(|entry| key(entry, seed)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let entry = self.value.take().ok_or_else(|| Wrong::new("a value without its key", None))?;
        value(entry, seed)
    }
}

struct OneField<'de>(&'de Entry);

impl<'de> de::EnumAccess<'de> for OneField<'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        Ok((key(self.0, seed)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for OneField<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        value(self.0, std::marker::PhantomData::<()>)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        value(self.0, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        within(self.0, de::Deserializer::deserialize_any(Reader(&self.0.node), visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        within(self.0, de::Deserializer::deserialize_any(Reader(&self.0.node), visitor))
    }
}

fn key<'de, K: DeserializeSeed<'de>>(entry: &'de Entry, seed: K) -> Result<K::Value, Wrong> {
    let result = seed.deserialize(StrDeserializer::<Wrong>::new(&entry.key));
    result.map_err(|wrong| wrong.at(entry.place).within(Segment::Key(entry.key.clone())))
}

fn value<'de, V: DeserializeSeed<'de>>(entry: &'de Entry, seed: V) -> Result<V::Value, Wrong> {
    within(entry, seed.deserialize(Reader(&entry.node)))
}

fn within<T>(entry: &Entry, result: Result<T, Wrong>) -> Result<T, Wrong> {
    result.map_err(|wrong| wrong.at(entry.node.place).within(Segment::Key(entry.key.clone())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::{format, read};
    use crate::{unit::Span, yaml::tree};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        wait: Span,
        #[serde(default)]
        count: u16,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    enum Kind {
        Plain,
        Sized { size: u16 },
        Text(String),
    }

    type Parts = BTreeMap<String, Vec<Part>>;

    fn parts(text: &str) -> Result<Parts, Vec<String>> {
        let shown = |mistakes: Vec<crate::yaml::Mistake>| mistakes.iter().map(|m| m.show("x.yml")).collect();
        read(&tree(text.as_bytes()).unwrap()).map_err(shown)
    }

    #[test]
    fn words_single_fields_and_spelt_numbers_are_read() {
        let read = parts(
            "a:\n- { wait: 2s, kind: plain }\n- { wait: 1ms, kind: { sized: { size: 3 } } }\n- { wait: 1s, kind: { text: 1.10 } }\n",
        );
        let kinds: Vec<_> =
            read.unwrap()["a"].iter().map(|part| part.kind.as_ref().map(|k| format!("{k:?}"))).collect();
        assert_eq!(
            kinds.into_iter().flatten().collect::<Vec<_>>(),
            ["Plain", "Sized { size: 3 }", "Text(\"1.10\")"]
        );
    }

    #[test]
    fn several_mistakes_are_told_at_once_and_in_order() {
        let told = parts("a:\n- wiat: 2s\n  wait: 5\n- wait: 3s\n  count: many\nb:\n- count: 70000\n  kind: { sized: { siz: 3 } }\n").unwrap_err();
        insta::assert_snapshot!(told.join("\n"), @r#"
        x.yml:2:3: unknown field `wiat`; did you mean `wait`?
        x.yml:3:9: "5" is no duration: the unit is missing; write it like "250ms", "5s" or "2m"
        x.yml:5:10: expected a whole number from 0 to 65535, found the text "many"; write a whole number from 0 to 65535
        x.yml:7:10: expected a whole number from 0 to 65535, found the number 70000; write a whole number from 0 to 65535
        x.yml:8:20: unknown field `siz`; did you mean `size`?
        "#);
    }

    #[test]
    fn what_follows_from_a_part_that_was_left_out_is_not_told() {
        let told = parts("a:\n- wait: 5 parsecs\n").unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn an_unknown_format_is_refused_and_the_known_one_named() {
        let told = format(&tree(b"format: 7\n").unwrap(), 1).unwrap_err().show("x.yml");
        insta::assert_snapshot!(told, @"x.yml:1:9: format 7 is unknown here: this version reads format 1; write `format: 1`, or use a version that reads format 7");
        assert!(format(&tree(b"format: 1\n").unwrap(), 1).is_ok());
    }
}
