//! `gauntlet schema`: JSON Schema of the files that users write.

use clap::{Parser, ValueEnum};
use gauntlet_core::{outcome::Outcome, scenario, system};

use super::{complain, say};

/// Prints the JSON Schema (draft 2020-12) of scenario or system files, for editors and `check-jsonschema`.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// Of which file.
    #[arg(default_value = "scenario")]
    of: Of,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    /// `scenarios/**.yml`
    Scenario,
    /// `system.yml`
    System,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let schema = match self.of {
            Of::Scenario => scenario::schema(),
            Of::System => system::schema(),
        };
        match serde_json::to_string_pretty(&schema) {
            Ok(text) => {
                say(text);
                Outcome::Passed
            }
            Err(error) => {
                complain(format!("error: {error}"));
                Outcome::Broken
            }
        }
    }
}
