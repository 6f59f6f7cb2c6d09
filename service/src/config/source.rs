//! Where settings come from: one method, so that tests pass a map and never touch the process's environment.

use std::collections::BTreeMap;

/// A place that settings are read from.
pub trait Source {
    /// The value of a setting, or `None` when it is not set. Not UTF-8 reads as it can.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Environment;

impl Source for Environment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

impl Source for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}
