//! The system under test: what `system.yml` says of it. Names, links, per-target recipes, behaviours and metrics.
//! Nothing here knows what the system computes.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    name::Name,
    yaml::{self, Mistake, Places},
};

pub mod behaviour;
mod check;
pub mod component;
pub mod kubernetes;
pub mod metric;
mod names;
pub mod revision;
pub mod sets;
pub mod template;

pub use behaviour::{Audit, Behaviour, Expected, Found, JsonCheck, Mark, Method, RequestSpec};
pub use component::{Allotment, Component, FileSource, Local, Must, Port, Ready, Scrape, Stop};
pub use kubernetes::{GeneratedSecret, Kube, Pods, Stranger};
pub use metric::Metric;
pub use revision::{Change, Changes, together};
pub use sets::{SetOf, Shares, Weighs};
pub use template::{Expr, Piece, Template};

/// The format of `system.yml`. A reader refuses any other.
pub const SYSTEM_FORMAT: u32 = 1;

/// A system file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The version of this file's format: 1.
    #[schemars(extend("const" = SYSTEM_FORMAT))]
    pub format: u32,
    /// What the system is called.
    pub name: Name,
    /// Values that are drawn anew for every run and appear in no plan, journal, log or report.
    #[serde(default)]
    pub secrets: Vec<Name>,
    /// The components, in the order in which they start.
    pub components: IndexMap<Name, Component>,
    /// Where the load goes.
    pub endpoint: Port,
    /// The header of an answer that names the copy or version that gave it.
    #[serde(default)]
    pub arm_header: Option<String>,
    /// Files of example data (a JSON array each, beside this file) that behaviours draw from.
    #[serde(default)]
    pub data: BTreeMap<Name, String>,
    /// What users do.
    #[serde(default)]
    pub behaviours: IndexMap<Name, Behaviour>,
    /// How to find all that stands under a key, to check that no acknowledged write is lost.
    #[serde(default)]
    pub audit: Option<Audit>,
    /// Where it is on Kubernetes.
    #[serde(default)]
    pub kube: Option<Kube>,
    /// Ratios and sums of exported metrics that objectives may name.
    #[serde(default)]
    pub metrics: IndexMap<Name, Metric>,
}

/// Reads a system file and checks that all its names are known.
pub fn read(text: impl AsRef<[u8]>) -> Result<System, Vec<Mistake>> {
    let tree = yaml::tree(text.as_ref()).map_err(|mistake| vec![mistake])?;
    yaml::format(&tree, SYSTEM_FORMAT).map_err(|mistake| vec![mistake])?;
    let system = yaml::read(&tree)?;
    check::check(&system, &Places::of(&tree))?;
    Ok(system)
}

/// The JSON Schema (draft 2020-12) of system files, for editors and `check-jsonschema`.
pub fn schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<System>();
    schema.insert("title".into(), "A system under test of Gauntlet".into());
    schema.into()
}
