//! The error of typed reading: a path, a place as deep as it is known, what is wrong, and a mend.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::{Mistake, Place, one_of};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

/// Why a tree is not of the wanted type.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    /// From the innermost outwards.
    reversed: Vec<Segment>,
    place: Option<Place>,
    what: String,
    mend: Option<String>,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, mend: Option<String>) -> Self {
        Self { reversed: Vec::new(), place: None, what: what.into(), mend }
    }

    /// Its place, unless a deeper one is known already.
    pub(super) fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    pub(super) fn within(mut self, segment: Segment) -> Self {
        self.reversed.push(segment);
        self
    }

    /// The path, from the root.
    pub(super) fn path(&self) -> Vec<Segment> {
        self.reversed.iter().rev().cloned().collect()
    }

    pub(super) fn mistake(self) -> Mistake {
        let mut path = String::new();
        for segment in self.path() {
            match segment {
                Segment::Key(key) if path.is_empty() => path = key,
                Segment::Key(key) => path = format!("{path}.{key}"),
                Segment::Index(index) => path = format!("{path}[{index}]"),
            }
        }
        let Place { line, column } = self.place.unwrap_or_default();
        Mistake { line, column, mend: self.mend, ..Mistake::at(path, self.what) }
    }
}

/// What serde calls a type, in words of the file.
fn in_words(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let word = text.split(' ').next().unwrap_or_default();
    match (word, text.as_str()) {
        ("struct", _) => "a map of fields".to_owned(),
        ("enum", _) => "a map with one field, or a word".to_owned(),
        (_, "a sequence") => "a list".to_owned(),
        (_, "a string" | "a borrowed string") => "a text".to_owned(),
        ("u8", _) => "a whole number from 0 to 255".to_owned(),
        ("u16", _) => "a whole number from 0 to 65535".to_owned(),
        ("u32" | "u64" | "usize", _) => "a whole number".to_owned(),
        ("f64", _) => "a number".to_owned(),
        _ => text,
    }
}

fn found(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        other => other.to_string(),
    }
}

impl de::Error for Wrong {
    /// A text such as `"5" is no duration: ...; write it like "5s"` is what is wrong, and its mend.
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        let mends = ["write ", "did you mean ", "add ", "keep "];
        match text.rsplit_once("; ") {
            Some((what, mend)) if mends.iter().any(|begin| mend.starts_with(begin)) => {
                Self::new(what, Some(mend.to_owned()))
            }
            _ => Self::new(text, None),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = in_words(expected);
        let mend = match unexpected {
            Unexpected::Unit if wanted == "a map of fields" || wanted == "a list" => {
                Some("write its content below, indented".to_owned())
            }
            Unexpected::Unit => Some("write a value behind the colon".to_owned()),
            _ => Some(format!("write {wanted}")),
        };
        Self::new(format!("expected {wanted}, found {}", found(&unexpected)), mend)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("unknown field `{field}`"), Some(one_of(field, known.iter().copied())))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("unknown word `{word}`"), Some(one_of(word, known.iter().copied())))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the field `{field}` is missing"), Some(format!("add `{field}: ...`")))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}
