//! `gauntlet cluster status`: nodes, versions, tools.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_core::{outcome::Outcome, port::Trouble};
use gauntlet_kube::{Client, cluster::status};

use super::{blocking, kind, named};
use crate::cli::say;

/// Says how a cluster is: nodes, versions, images, tools. The exit code is 4 when the tools are not ready.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// A cluster that `cluster up` made.
    #[arg(long, default_value = "gauntlet", conflicts_with_all = ["context", "kubeconfig"])]
    name: String,
    /// Another cluster: the context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
    /// The kubeconfig of that context [default: what KUBECONFIG names, or ~/.kube/config].
    #[arg(long, value_name = "FILE", requires = "context")]
    kubeconfig: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let kind = match kind(&self.name) {
            Ok(kind) => kind,
            Err(outcome) => return outcome,
        };
        blocking(async {
            let client = match &self.context {
                Some(context) => match named(self.kubeconfig.as_deref(), context).await {
                    Ok(client) => client,
                    Err(outcome) => return Ok(outcome),
                },
                None => own(&kind.kubeconfig()).await?,
            };
            let (lines, ready) = status(&client).await?;
            lines.iter().for_each(say);
            Ok(if ready { Outcome::Passed } else { Outcome::SetupFailed })
        })
    }
}

async fn own(kubeconfig: &std::path::Path) -> Result<Client, Trouble> {
    if !kubeconfig.exists() {
        let why = "there is none; `gauntlet cluster up` makes it, `--context` names another";
        return Err(Trouble::failed(kubeconfig.display(), why));
    }
    gauntlet_kube::connect(Some(kubeconfig), None).await
}
