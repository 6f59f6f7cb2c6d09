//! `gauntlet cluster`: a cluster on this machine, and the tools on any.

use std::{
    future::Future,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};
use gauntlet_core::{outcome::Outcome, port::Trouble};
use gauntlet_kube::{
    Client,
    cluster::{Kind, Tools},
};

use tokio::signal::unix::{SignalKind, signal};

use super::complain;
use crate::record::state_dir;

mod down;
mod install;
mod status;
mod uninstall;
mod up;

/// Makes a Kubernetes cluster on this machine (kind), or brings the tools to any cluster.
#[derive(Debug, Parser)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Down(down::Args),
    Status(status::Args),
    Install(install::Args),
    Uninstall(uninstall::Args),
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        match self.command {
            Command::Up(args) => args.run(),
            Command::Down(args) => args.run(),
            Command::Status(args) => args.run(),
            Command::Install(args) => args.run(),
            Command::Uninstall(args) => args.run(),
        }
    }
}

/// A cluster that somebody else made.
#[derive(Debug, Parser)]
pub(super) struct Somewhere {
    /// The context of the kubeconfig; always said, because the current one changes.
    #[arg(long)]
    pub(super) context: String,
    /// The kubeconfig [default: what KUBECONFIG names, or ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
}

impl Somewhere {
    /// Does it on a runtime of its own; a kubeconfig or context that is not there is a mistake in the command.
    pub(super) fn at(&self, work: impl AsyncFnOnce(Client) -> Result<Outcome, Trouble>) -> Outcome {
        blocking(async {
            match self.client().await {
                Ok(client) => work(client).await,
                Err(outcome) => Ok(outcome),
            }
        })
    }

    pub(super) async fn client(&self) -> Result<Client, Outcome> {
        named(self.kubeconfig.as_deref(), &self.context).await
    }
}

/// A client of a context that was named.
async fn named(kubeconfig: Option<&Path>, context: &str) -> Result<Client, Outcome> {
    gauntlet_kube::connect(kubeconfig, Some(context)).await.map_err(|trouble| mistaken(&trouble))
}

/// What is asked for and cannot be had is a mistake in the command.
pub(super) fn mistaken(trouble: &Trouble) -> Outcome {
    complain(format!("error: {trouble}"));
    Outcome::BadScenario
}

/// The cluster of that name, or the mistake in the name.
fn kind(name: &str) -> Result<Kind, Outcome> {
    Kind::new(name, &state_dir()).map_err(|bad| {
        complain(format!("error: {bad}"));
        Outcome::BadScenario
    })
}

fn tools(image: Option<String>) -> Tools {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let image = image.unwrap_or_else(|| format!("gauntlet/harness:{version}"));
    Tools { version, image, image_id: None }
}

/// Does it on a runtime of its own; what fails here is a set-up that failed.
pub(super) fn blocking(work: impl Future<Output = Result<Outcome, Trouble>>) -> Outcome {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format!("error: no runtime: {error}"));
            return Outcome::Broken;
        }
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => done,
            // Programs that were called end with it.
            told = told_to_stop() => told.map(|()| Outcome::Interrupted).map_err(|e| Trouble::failed("signals", e)),
        }
    });
    done.unwrap_or_else(|error| {
        complain(format!("error: {error}"));
        Outcome::SetupFailed
    })
}

pub(super) async fn told_to_stop() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
