//! `gauntlet deploy`: a system that stays, in one command.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use gauntlet_core::{outcome::Outcome, port::Trouble, system::System};
use gauntlet_kube::{
    Client, KubeWitness,
    deploy::{self, Deployment},
};

use super::{
    cluster::{Somewhere, blocking, mistaken},
    complain,
    diagnose::{self, kept},
    say,
};
use crate::target::production;

/// Deploys a system to a cluster and waits until all of it is ready; again, it brings the system to the same state.
///
/// Renders an overlay, makes the namespace and the generated Secret (one that is there is kept), lets through to the API
/// server what must ask it, applies everything, and waits for the rollouts. What a former overlay had more is not
/// removed. What goes wrong is told with its cause, leaves diagnostics, and the exit code is 4.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The system file.
    #[arg(default_value = "deploy/system.yml")]
    system: PathBuf,
    #[command(flatten)]
    at: Somewhere,
    /// Which of `kube.overlays` [default: the first].
    #[arg(long, value_name = "NAME")]
    overlay: Option<String>,
    /// Where to [default: the Namespace of the overlay].
    #[arg(long)]
    namespace: Option<String>,
    /// Allows a context or namespace whose name looks like production.
    #[arg(long)]
    allow_production: bool,
    /// How long the rollouts may take.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    within: Duration,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let (system, root) = match super::system(&self.system) {
            Ok(read) => read,
            Err(outcome) => return outcome,
        };
        blocking(async {
            let system = Arc::new(system);
            let overlay = match self.overlay(&system, &root) {
                Ok(overlay) => overlay,
                Err(trouble) => return Ok(mistaken(&trouble)),
            };
            let deployment = Deployment::of(&system, &overlay, self.namespace.as_deref()).await?;
            let names = [self.at.context.as_str(), deployment.namespace()];
            if let Err(trouble) = production(names, self.allow_production) {
                return Ok(mistaken(&trouble));
            }
            let client = match self.at.client().await {
                Ok(client) => client,
                Err(outcome) => return Ok(outcome),
            };
            match deployment.up(&client, self.within, &|line| say(line)).await {
                Ok(()) => self.reached(&client, &system, &deployment).await,
                Err(trouble) => return Ok(self.failed(&client, &system, &deployment, &trouble).await),
            }
            Ok(Outcome::Passed)
        })
    }

    fn overlay(&self, system: &System, root: &Path) -> Result<PathBuf, Trouble> {
        let kube = system.kube.as_ref();
        let kube = kube.ok_or_else(|| Trouble::refused("deploy", "the system file has no `kube` section"))?;
        deploy::overlay(kube, self.overlay.as_deref()).map(|dir| root.join(dir))
    }

    async fn reached(&self, client: &Client, system: &Arc<System>, deployment: &Deployment<'_>) {
        let namespace = deployment.namespace();
        let site = deploy::site(self.at.kubeconfig.as_deref(), &self.at.context, namespace);
        let witness = KubeWitness::new(client.clone(), system.clone(), Arc::new(site));
        say(format!("{} is deployed to {namespace} of {}", system.name, self.at.context));
        deployment.reached(client, &witness).await.iter().for_each(say);
        if deployment.is_listed() {
            let context = &self.at.context;
            say(format!(
                "test it: gauntlet run SCENARIO --target kube --context {context} --namespace {namespace}"
            ));
        }
    }

    async fn failed(
        &self,
        client: &Client,
        system: &System,
        deployment: &Deployment<'_>,
        trouble: &Trouble,
    ) -> Outcome {
        complain(format!("error: {}", deploy::named(trouble)));
        let namespace = deployment.namespace();
        complain(kept(client, &self.at, namespace, Some(system), &diagnose::place(namespace)).await.1);
        Outcome::SetupFailed
    }
}
