//! Values that templates are filled with, and the ways in which they are written.

use std::{io::Write as _, sync::Arc};

use serde_json::Value;

/// A value that was captured, remembered or taken from a data set. Cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Datum {
    text: Arc<str>,
    json: bool,
}

/// A value, on its way into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    /// A whole number.
    Number(u64),
    /// A text.
    Text(&'a str),
    /// JSON other than a text, as it stands.
    Json(&'a str),
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is: headers, keys.
    Plain,
    /// Percent-encoded: paths and queries.
    Path,
    /// As a JSON value with its type.
    Json,
    /// Within a JSON text.
    JsonText,
}

impl Datum {
    /// A text.
    pub(crate) fn text(text: &str) -> Self {
        Self { text: text.into(), json: false }
    }

    /// Any JSON value; anything but a text is serialised here, once.
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::text(text),
            other => Self { text: other.to_string().into(), json: true },
        }
    }

    /// For writing.
    pub(crate) fn show(&self) -> Shown<'_> {
        if self.json { Shown::Json(&self.text) } else { Shown::Text(&self.text) }
    }
}

impl From<Shown<'_>> for Datum {
    fn from(shown: Shown<'_>) -> Self {
        match shown {
            Shown::Number(number) => Self { text: number.to_string().into(), json: true },
            Shown::Text(text) => Self::text(text),
            Shown::Json(text) => Self { text: text.into(), json: true },
        }
    }
}

impl Shown<'_> {
    /// Writes it.
    pub(crate) fn write(self, form: Form, out: &mut Vec<u8>) {
        match (self, form) {
            // Writing to a vector cannot fail.
            (Shown::Number(number), _) => drop(write!(out, "{number}")),
            (Shown::Json(text), Form::Json | Form::Plain) | (Shown::Text(text), Form::Plain) => {
                out.extend_from_slice(text.as_bytes());
            }
            (Shown::Text(text), Form::Json) => {
                out.push(b'"');
                escape(text, out);
                out.push(b'"');
            }
            (Shown::Text(text) | Shown::Json(text), Form::JsonText) => escape(text, out),
            (Shown::Text(text) | Shown::Json(text), Form::Path) => percent_encode(text, out),
        }
    }

    /// As a number, when it is one.
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Shown::Number(number) => Some(number as f64),
            Shown::Text(text) | Shown::Json(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
        }
    }
}

/// Writes a text as it stands within the quotes of a JSON text.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        return out.extend_from_slice(text.as_bytes());
    }
    let quoted = Value::from(text).to_string();
    out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
}

/// Whether two JSON values are the same; 1 and 1.0 are.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || ((x.is_f64() || y.is_f64()) && x.as_f64() == y.as_f64())
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

fn percent_encode(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Datum, Form, Shown, same};

    fn written(datum: &Datum, form: Form) -> String {
        let mut out = Vec::new();
        datum.show().write(form, &mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn any_text_survives_json_in_both_forms(text in any::<String>()) {
            let datum = Datum::text(&text);
            let whole: Value = serde_json::from_str(&written(&datum, Form::Json)).unwrap();
            let within: Value = serde_json::from_str(&format!("\"{}\"", written(&datum, Form::JsonText))).unwrap();
            prop_assert_eq!(whole, json!(text));
            prop_assert_eq!(within, json!(text));
        }

        #[test]
        fn a_path_holds_unreserved_characters_only(text in any::<String>()) {
            let path = written(&Datum::text(&text), Form::Path);
            prop_assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)), "{path}");
        }
    }

    #[test]
    fn values_keep_their_type_as_json_and_lose_it_as_text() {
        let model = Datum::of(&json!({"a": [1, 2.5, null]}));
        assert_eq!(written(&model, Form::Json), r#"{"a":[1,2.5,null]}"#);
        assert_eq!(written(&model, Form::JsonText), r#"{\"a\":[1,2.5,null]}"#);
        assert_eq!(written(&Datum::of(&json!("a b/ä")), Form::Path), "a%20b%2F%C3%A4");
        assert_eq!(written(&Datum::from(Shown::Number(7)), Form::Json), "7");
        assert_eq!(written(&Datum::text("7"), Form::Json), "\"7\"");
    }

    #[test]
    fn numbers_are_read_from_numbers_and_texts_but_not_from_words() {
        assert_eq!(Datum::of(&json!(0.25)).show().number(), Some(0.25));
        assert_eq!(Datum::text("1e3").show().number(), Some(1000.0));
        assert_eq!(Datum::text("inf").show().number(), None);
        assert_eq!(Datum::of(&json!([1])).show().number(), None);
    }

    #[test]
    fn one_is_one_point_nought_at_any_depth_and_large_numbers_are_exact() {
        assert!(same(&json!({"a": [1, "x"]}), &json!({"a": [1.0, "x"]})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 1})));
        assert!(!same(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)));
        assert!(!same(&json!("1"), &json!(1)));
    }
}
