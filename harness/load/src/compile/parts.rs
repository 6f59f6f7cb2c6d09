//! Templates, cut into literal bytes and slots.

use gauntlet_core::system::{Expr, Piece, Template};
use serde_json::Value;

use super::{DataSets, scope::Scope};
use crate::{
    bindings::{Bindings, Missing},
    error::PlanFault,
    value::{Form, escape},
};

/// An expression with its names resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The UUID of the arrival.
    Uuid,
    /// The number that no other arrival has.
    Fresh,
    /// A number drawn evenly below this.
    Pick(u64),
    /// The key of an audit.
    Key,
    /// A capture, by slot.
    Captured(usize),
    /// A field of the recalled item, by place.
    Recalled(usize),
    /// A field of a drawn item.
    Drawn {
        /// Which draw of the arrival.
        binding: usize,
        /// Which field.
        column: usize,
    },
}

/// A template, ready to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Literal(Vec<u8>),
    Slot(Slot, Form),
}

impl Parts {
    /// A text whose values are all written in one way.
    pub(super) fn text(
        template: &Template,
        form: Form,
        scope: &mut Scope<'_, '_>,
    ) -> Result<Self, PlanFault> {
        let mut parts = Self::default();
        parts.add_text(template, form, scope)?;
        Ok(parts)
    }

    /// A path: begins with a slash, its values percent-encoded.
    pub(super) fn path(template: &Template, scope: &mut Scope<'_, '_>) -> Result<Self, PlanFault> {
        let parts = Self::text(template, Form::Path, scope)?;
        match parts.0.first() {
            Some(Part::Literal(text)) if text.starts_with(b"/") => Ok(parts),
            _ => Err(PlanFault::NotAPath(template.to_string())),
        }
    }

    /// A JSON value. A text in it that is one expression becomes that value with its type.
    pub(super) fn json(value: &Value, scope: &mut Scope<'_, '_>) -> Result<Self, PlanFault> {
        let mut parts = Self::default();
        parts.add_json(value, scope)?;
        Ok(parts)
    }

    /// Writes it.
    pub(super) fn write(
        &self,
        bindings: &Bindings,
        data: &DataSets,
        out: &mut Vec<u8>,
    ) -> Result<(), Missing> {
        for part in &self.0 {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Slot(slot, form) => bindings.show(slot, data)?.write(*form, out),
            }
        }
        Ok(())
    }

    /// Its bytes, when nothing in it changes.
    pub(super) fn fixed(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(b""),
            [Part::Literal(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// Its slot, when it is nothing but one.
    pub(super) fn sole(&self) -> Option<&Slot> {
        match self.0.as_slice() {
            [Part::Slot(slot, _)] => Some(slot),
            _ => None,
        }
    }

    fn add_text(
        &mut self,
        template: &Template,
        form: Form,
        scope: &mut Scope<'_, '_>,
    ) -> Result<(), PlanFault> {
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) if form == Form::JsonText => self.add_escaped(text),
                Piece::Text(text) => self.add_literal(text.as_bytes()),
                Piece::Value(expr) => self.add_slot(expr, form, scope)?,
            }
        }
        Ok(())
    }

    fn add_slot(&mut self, expr: &Expr, form: Form, scope: &mut Scope<'_, '_>) -> Result<(), PlanFault> {
        self.0.push(Part::Slot(scope.slot(expr)?, form));
        Ok(())
    }

    fn add_json(&mut self, value: &Value, scope: &mut Scope<'_, '_>) -> Result<(), PlanFault> {
        match value {
            Value::String(text) => self.add_json_text(&text.parse()?, scope),
            Value::Array(items) => {
                self.add_literal(b"[");
                for (n, item) in items.iter().enumerate() {
                    self.add_literal(if n > 0 { b"," } else { b"" });
                    self.add_json(item, scope)?;
                }
                self.add_literal(b"]");
                Ok(())
            }
            Value::Object(fields) => {
                self.add_literal(b"{");
                for (n, (name, value)) in fields.iter().enumerate() {
                    self.add_literal(if n > 0 { b",\"" } else { b"\"" });
                    self.add_escaped(name);
                    self.add_literal(b"\":");
                    self.add_json(value, scope)?;
                }
                self.add_literal(b"}");
                Ok(())
            }
            plain => {
                self.add_literal(plain.to_string().as_bytes());
                Ok(())
            }
        }
    }

    fn add_json_text(&mut self, template: &Template, scope: &mut Scope<'_, '_>) -> Result<(), PlanFault> {
        if let Some(expr) = template.sole() {
            return self.add_slot(expr, Form::Json, scope);
        }
        self.add_literal(b"\"");
        self.add_text(template, Form::JsonText, scope)?;
        self.add_literal(b"\"");
        Ok(())
    }

    fn add_escaped(&mut self, text: &str) {
        let mut escaped = Vec::with_capacity(text.len());
        escape(text, &mut escaped);
        self.add_literal(&escaped);
    }

    /// Neighbouring literals are one.
    fn add_literal(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(Part::Literal(literal)) => literal.extend_from_slice(bytes),
            _ => self.0.push(Part::Literal(bytes.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{super::data::DataBuilder, Parts, Scope};
    use crate::{
        bindings::{Salt, tests::bindings},
        value::{Datum, Form},
    };

    fn written(make: impl Fn(&mut Scope<'_, '_>) -> Parts, captured: &Value) -> String {
        let raw =
            BTreeMap::from([("q".parse().unwrap(), vec![json!({"m": {"x": [1, "é\n"]}, "t": "a \"b\""})])]);
        let (mut data, pools) = (DataBuilder::new(&raw), BTreeMap::new());
        let mut scope = Scope::new(&mut data, &pools);
        scope.draw(&"it".parse().unwrap(), &"q".parse().unwrap()).unwrap();
        scope.capture(&"c".parse().unwrap());
        let parts = make(&mut scope);
        let mut bindings = bindings(4, &Salt::draw().unwrap());
        bindings.captured[0] = Some(Datum::of(captured));
        let mut out = Vec::new();
        parts.write(&bindings, &data.finish(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn body(template: Value, captured: &Value) -> Value {
        serde_json::from_str(&written(|scope| Parts::json(&template, scope).unwrap(), captured)).unwrap()
    }

    #[test]
    fn a_lone_expression_keeps_its_type_and_one_within_text_is_spliced() {
        let template = json!({"m": "{{it/m}}", "t": "{{it/t}}", "n": "{{captured/c}}", "s": "<{{it/t}}|{{captured/c}}>", "k": [null, 1.5, {}]});
        let expected =
            json!({"m": {"x": [1, "é\n"]}, "t": "a \"b\"", "n": 7, "s": "<a \"b\"|7>", "k": [null, 1.5, {}]});
        assert_eq!(body(template, &json!(7)), expected);
    }

    #[test]
    fn numbers_of_the_generator_stay_numbers() {
        let body =
            body(json!({"fresh": "{{fresh}}", "pick": "{{pick 10}}", "uuid": "{{uuid}}"}), &json!(null));
        assert!(body["fresh"].as_u64().unwrap() >= 1_000_000);
        assert!(body["pick"].as_u64().unwrap() < 10);
        assert_eq!(body["uuid"].as_str().unwrap().len(), 36);
    }

    #[test]
    fn values_in_a_path_are_encoded_and_the_path_is_not() {
        let path = |scope: &mut Scope<'_, '_>| {
            Parts::path(&"/a/b?x={{captured/c}}&y=1".parse().unwrap(), scope).unwrap()
        };
        assert_eq!(written(path, &json!("1/2 &")), "/a/b?x=1%2F2%20%26&y=1");
    }

    #[test]
    fn a_template_without_expressions_is_fixed() {
        let raw = BTreeMap::new();
        let (mut data, pools) = (DataBuilder::new(&raw), BTreeMap::new());
        let mut scope = Scope::new(&mut data, &pools);
        let fixed = Parts::json(&json!({"a": [1, "x"]}), &mut scope).unwrap();
        assert_eq!(fixed.fixed(), Some(br#"{"a":[1,"x"]}"#.as_slice()));
        assert!(
            Parts::text(&"{{uuid}}".parse().unwrap(), Form::Plain, &mut scope).unwrap().fixed().is_none()
        );
    }

    proptest! {
        #[test]
        fn any_captured_text_arrives_as_it_was(text in any::<String>()) {
            let sent = body(json!({"whole": "{{captured/c}}", "within": "\\\"{{captured/c}}"}), &json!(text));
            prop_assert_eq!(&sent["whole"], &json!(text));
            prop_assert_eq!(&sent["within"], &json!(format!("\\\"{text}")));
        }
    }
}
