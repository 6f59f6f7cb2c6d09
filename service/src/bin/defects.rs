//! The service with one seeded defect, selected by `DEFECT`: for grading a test harness.

use std::io::Write;
use std::process::ExitCode;

use causal_service::config::Environment;
use causal_service::{cli, defects};

fn main() -> ExitCode {
    if let Err(unknown) = defects::selected(&Environment) {
        // Nothing is left to tell it to when standard error is closed.
        let _ = writeln!(std::io::stderr(), "causal-service-defects: {unknown}");
        return ExitCode::from(2);
    }
    cli::main(defects::wrap)
}
