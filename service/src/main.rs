//! The service as it is released.

use std::process::ExitCode;

use causal_service::changes::Changes;

fn main() -> ExitCode {
    causal_service::cli::main(Changes::default())
}
