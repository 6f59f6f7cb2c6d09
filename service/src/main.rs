//! The service as it is released.

use std::process::ExitCode;

fn main() -> ExitCode {
    causal_service::cli::main(|routes, _| routes)
}
