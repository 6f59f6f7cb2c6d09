//! Who may connect to what, as written: `database:sql: [service]`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::name::Name;

/// The word for everybody.
pub const ALL: &str = "all";

/// Where a connection goes: `COMPONENT:PORT`, or an address by its name in the system file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The component, or the name of an address.
    pub name: Name,
    /// The port's name; none: it is an address.
    pub port: Option<Name>,
}

/// A text that is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no destination; write it like \"database:sql\" (a component and the name of its port), or \"dns\" (a name of `kube.addresses`)"
)]
pub struct NotADestination(String);

impl Destination {
    /// One port of a component.
    pub fn port(component: &Name, port: &Name) -> Self {
        Self { name: component.clone(), port: Some(port.clone()) }
    }
}

impl FromStr for Destination {
    type Err = NotADestination;

    fn from_str(text: &str) -> Result<Self, NotADestination> {
        let wrong = |_| NotADestination(text.to_owned());
        match text.split_once(':') {
            None => Ok(Self { name: text.parse().map_err(wrong)?, port: None }),
            Some((name, port)) => {
                Ok(Self { name: name.parse().map_err(wrong)?, port: Some(port.parse().map_err(wrong)?) })
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.port {
            None => self.name.fmt(f),
            Some(port) => f.pad(&format!("{}:{port}", self.name)),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl JsonSchema for Destination {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Destination".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}(:[a-z][a-z0-9-]{0,62})?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::Destination;

    #[test]
    fn a_destination_is_a_port_of_a_component_or_a_name() {
        for good in ["database:sql", "dns"] {
            assert_eq!(good.parse::<Destination>().unwrap().to_string(), good);
        }
        for bad in ["", "database:", ":sql", "a:b:c", "database:5432", "10.0.0.1:53"] {
            let told = bad.parse::<Destination>().unwrap_err().to_string();
            assert!(told.contains("database:sql"), "{told}");
        }
    }
}
