//! The sidecar that keeps an ingress' servers equal to the endpoints of its Service, as a process.

use std::{ffi::OsString, process::ExitCode};

use gauntlet_core::outcome::Outcome;
use gauntlet_kube::members::{MembersError, Options, follow};
use tokio::signal::unix::{SignalKind, signal};

use super::faults::chain;

/// Runs until it is told to end.
pub(super) fn sidecar(args: &[OsString]) -> ExitCode {
    crate::cli::log_to_stderr();
    let options =
        match Options::parse(args.iter().map(|arg| arg.to_str().unwrap_or("an argument that is no text"))) {
            Ok(options) => options,
            Err(error) => {
                tracing::error!("{error}");
                return ExitCode::from(Outcome::BadScenario.exit_code());
            }
        };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("members: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The first process of a container is not ended by a signal that it does not handle.
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = follow(options) => ended.map_err(|error: MembersError| error.into()),
            _ = terminate.recv() => Ok(()),
        }
    })
}
