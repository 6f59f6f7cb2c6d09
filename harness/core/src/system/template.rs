//! Templates of requests: text with `{{expressions}}`, parsed once, rendered for every request.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de::Error as _};

use crate::name::Name;

/// A text with expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// A value.
    Value(Expr),
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// `{{uuid}}`: a UUID of this arrival; the same in all its templates.
    Uuid,
    /// `{{fresh}}`: a number that no other arrival of this run has, from 1 000 000 up.
    Fresh,
    /// `{{pick N}}`: a number drawn evenly from 0..N; the same in all templates of this arrival.
    Pick(u64),
    /// `{{key}}`: the key that an audit looks for.
    Key,
    /// `{{captured/NAME}}`: a capture of an earlier step.
    Captured(Name),
    /// `{{recalled/FIELD}}`: a field of the recalled item.
    Recalled(Name),
    /// `{{NAME/path/to/field}}`: a field of a drawn item, as a JSON pointer after the name.
    Drawn {
        /// The name under `draw`.
        name: Name,
        /// The JSON pointer, starting with `/`, or empty for the whole item.
        pointer: String,
    },
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no template: {why}; write it like \"/items/{{{{uuid}}}}\"")]
pub struct NotATemplate {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Template {
    /// Its pieces, in order; neighbouring texts are one piece.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The expression, when the template is nothing but one.
    pub fn sole(&self) -> Option<&Expr> {
        match self.pieces.as_slice() {
            [Piece::Value(expr)] => Some(expr),
            _ => None,
        }
    }
}

impl FromStr for Template {
    type Err = NotATemplate;

    fn from_str(text: &str) -> Result<Self, NotATemplate> {
        let wrong = |why: String| NotATemplate { text: text.to_owned(), why };
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, behind) = after.split_once("}}").ok_or_else(|| wrong("`{{` without `}}`".into()))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Value(expression(inside.trim()).map_err(wrong)?));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { source: text.to_owned(), pieces })
    }
}

fn expression(text: &str) -> Result<Expr, String> {
    let name = |text: &str| text.parse::<Name>().map_err(|e| e.to_string());
    if let Some(bound) = text.strip_prefix("pick ") {
        let bound = bound.trim().parse().ok().filter(|n| *n > 0);
        return bound.map(Expr::Pick).ok_or_else(|| format!("{text:?}: pick wants a number from 1 up"));
    }
    match text.split_once('/') {
        None if text == "uuid" => Ok(Expr::Uuid),
        None if text == "fresh" => Ok(Expr::Fresh),
        None if text == "key" => Ok(Expr::Key),
        None => Ok(Expr::Drawn { name: name(text)?, pointer: String::new() }),
        Some(("captured", field)) => Ok(Expr::Captured(name(field)?)),
        Some(("recalled", field)) => Ok(Expr::Recalled(name(field)?)),
        Some((drawn, path)) => Ok(Expr::Drawn { name: name(drawn)?, pointer: format!("/{path}") }),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Serialize for Template {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Template {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "text with {{uuid}}, {{fresh}}, {{pick N}}, {{captured/NAME}}, {{recalled/FIELD}} or {{NAME/field}} in it" })
    }
}

#[cfg(test)]
mod tests {
    use super::{Expr, Piece, Template};

    fn parse(text: &str) -> Template {
        text.parse().unwrap()
    }

    #[test]
    fn text_and_expressions_take_turns() {
        let template = parse("/a/{{captured/id}}?x={{ fresh }}");
        assert_eq!(template.pieces().len(), 4);
        assert_eq!(template.pieces()[0], Piece::Text("/a/".into()));
        assert_eq!(template.pieces()[3], Piece::Value(Expr::Fresh));
    }

    #[test]
    fn a_lone_expression_is_known_as_such() {
        assert_eq!(parse("{{pick 500}}").sole(), Some(&Expr::Pick(500)));
        assert_eq!(parse("x{{uuid}}").sole(), None);
    }

    #[test]
    fn a_drawn_field_becomes_a_json_pointer() {
        let Some(Expr::Drawn { name, pointer }) = parse("{{question/model/nodes}}").sole().cloned() else {
            panic!()
        };
        assert_eq!((name.as_str(), pointer.as_str()), ("question", "/model/nodes"));
    }

    #[test]
    fn an_open_brace_and_an_unknown_word_are_refused() {
        for bad in ["{{uuid", "{{}}", "{{pick}}x{{", "{{pick 0}}", "{{Uuid}}"] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
    }
}
