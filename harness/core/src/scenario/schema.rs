//! The JSON Schema (draft 2020-12) of scenario files, for editors and `check-jsonschema`.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

use super::Scenario;
use crate::plan::CHECKS;

/// The schema. An editor finds it by a first line such as `# yaml-language-server: $schema=scenario.schema.json`.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Scenario>();
    schema.insert("title".into(), "A Gauntlet scenario".into());
    schema.into()
}

/// The checks that exist.
pub(super) fn checks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "uniqueItems": true, "items": { "enum": CHECKS } })
}
