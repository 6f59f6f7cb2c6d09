//! `--set`: changes to the system file for one run, such as another build of a component.

use std::{fmt, str::FromStr};

use gauntlet_core::{name::Name, system::System, yaml::one_of};

/// One change: `service.program=PATH`, `service.replicas=2`, `service.settings.DEFECT=errors:1%`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    component: Name,
    field: Field,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Program,
    Replicas,
    Setting(String),
}

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write COMPONENT.program=PATH, COMPONENT.replicas=N or COMPONENT.settings.NAME=VALUE";
        let (place, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no `=`: {form}"))?;
        let (component, field) =
            place.split_once('.').ok_or_else(|| format!("{place:?} names no field: {form}"))?;
        let component = component.parse::<Name>().map_err(|error| error.to_string())?;
        let field = match field {
            "program" => Field::Program,
            "replicas" => Field::Replicas,
            other => match other.strip_prefix("settings.") {
                Some(name) if !name.is_empty() => Field::Setting(name.to_owned()),
                _ => return Err(format!("{field:?} cannot be set: {form}")),
            },
        };
        Ok(Self { component, field, value: value.to_owned() })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, field, value } = self;
        match field {
            Field::Program => write!(f, "{component}.program={value}"),
            Field::Replicas => write!(f, "{component}.replicas={value}"),
            Field::Setting(name) => write!(f, "{component}.settings.{name}={value}"),
        }
    }
}

impl Set {
    /// Whether it says how a component is started as a process of this machine.
    pub fn is_of_processes(&self) -> bool {
        matches!(self.field, Field::Program | Field::Setting(_))
    }

    /// Makes the change.
    pub fn apply(&self, system: &mut System) -> Result<(), String> {
        let name = &self.component;
        if !system.components.contains_key(name) {
            let known = one_of(name.as_str(), system.components.keys().map(Name::as_str));
            return Err(format!("--set: no component `{name}` in the system file; {known}"));
        }
        let Some(component) = system.components.get_mut(name) else { return Ok(()) };
        match &self.field {
            Field::Program => {
                let local = component.local.as_mut();
                local.ok_or_else(|| format!("--set: {name} has no `local` recipe"))?.program =
                    program(&self.value);
            }
            Field::Replicas => {
                component.replicas = self.value.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
                    format!("--set: {:?} is no number of replicas (1 to 65535)", self.value)
                })?;
            }
            Field::Setting(setting) => {
                component.settings.insert(setting.clone(), self.value.clone());
            }
        }
        Ok(())
    }
}

/// A path is meant from here, not from the system file's directory.
fn program(value: &str) -> String {
    if !value.contains('/') {
        return value.to_owned();
    }
    std::path::absolute(value).map_or_else(|_| value.to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::Set;

    #[test]
    fn a_change_names_component_field_and_value() {
        for good in ["service.program=a/b=c", "service.replicas=2", "service.settings.DEFECT=x"] {
            assert!(good.parse::<Set>().is_ok(), "{good}");
        }
        for bad in ["service", "service=x", "service.port=1", "service.settings.=1", "Service.program=x"] {
            assert!(bad.parse::<Set>().is_err(), "{bad}");
        }
    }
}
