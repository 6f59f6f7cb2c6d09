//! `gauntlet diagnose`: what can be known of a namespace, in a directory.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::Parser;
use gauntlet_core::{outcome::Outcome, system::System};
use gauntlet_kube::{
    Client,
    deploy::{Around, bundle},
};

use super::{cluster::Somewhere, complain, say};

/// Keeps what can be known of a namespace in a directory: events, pods, workloads, rollouts, nodes, logs; without secrets.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The system file, to say how many replicas of each component run.
    system: Option<PathBuf>,
    #[command(flatten)]
    at: Somewhere,
    /// Which namespace.
    #[arg(long)]
    namespace: String,
    /// The directory [default: reports/diagnostics/NAMESPACE-TIME].
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let system = match self.system.as_deref().map(super::system).transpose() {
            Ok(read) => read.map(|(system, _)| system),
            Err(outcome) => return outcome,
        };
        self.at.at(async |client| {
            let into = self.into.clone().unwrap_or_else(|| place(&self.namespace));
            let (whole, told) = kept(&client, &self.at, &self.namespace, system.as_ref(), &into).await;
            if !whole {
                complain(format!("error: {told}"));
                return Ok(Outcome::SetupFailed);
            }
            say(told);
            Ok(Outcome::Passed)
        })
    }
}

/// Where diagnostics go unless somebody says.
pub(super) fn place(namespace: &str) -> PathBuf {
    let clock = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let clock: String = clock.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    Path::new("reports/diagnostics").join(format!("{namespace}-{clock}"))
}

/// Keeps the bundle; answers whether that worked, and what to say.
pub(super) async fn kept(
    client: &Client,
    at: &Somewhere,
    namespace: &str,
    system: Option<&System>,
    into: &Path,
) -> (bool, String) {
    let around =
        Around { kubeconfig: at.kubeconfig.as_deref(), context: Some(&at.context), namespace, system };
    match bundle(client, around, into).await {
        Ok(()) => (true, format!("diagnostics are in {}; begin with summary.txt", into.display())),
        Err(trouble) => (false, format!("no diagnostics could be kept: {trouble}")),
    }
}
