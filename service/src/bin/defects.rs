//! The service with seeded defects, selected by `DEFECT`: for grading a test harness.

use std::io::Write;
use std::process::ExitCode;

use causal_service::config::Environment;
use causal_service::{cli, defects};

fn main() -> ExitCode {
    match defects::read(&Environment) {
        Ok(changes) => cli::main(changes),
        Err(wrong) => {
            // Nothing is left to tell it to when standard error is closed.
            let _ = writeln!(std::io::stderr(), "causal-service-defects: {wrong}");
            ExitCode::from(2)
        }
    }
}
