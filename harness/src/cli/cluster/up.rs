//! `gauntlet cluster up`: from nothing to a cluster that runs can use.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_core::outcome::Outcome;
use gauntlet_kube::cluster::{Images, Up, up};

use super::{blocking, kind};
use crate::cli::{complain, say};

/// Brings a kind cluster up with images, metrics-server and the tools; what is there already is left as it is.
///
/// GAUNTLET_NODE_IMAGE names another node image than kind's own; GAUNTLET_ADDON a program that installs add-ons
/// (`PROGRAM NAME`, with KUBECONFIG and CLUSTER set). Your own kubeconfig is not touched.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// What kind calls it.
    #[arg(long, default_value = "gauntlet")]
    name: String,
    /// kind's configuration.
    #[arg(long, value_name = "FILE", default_value = "kind-config.yml")]
    config: PathBuf,
    /// An add-on beside metrics-server, such as cert-manager; may be given several times.
    #[arg(long = "with", value_name = "ADDON")]
    with: Vec<String>,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let kind = match kind(&self.name) {
            Ok(kind) => kind,
            Err(outcome) => return outcome,
        };
        let version = env!("CARGO_PKG_VERSION");
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let wanted = Up {
            kind,
            config: self.config,
            node_image: set("GAUNTLET_NODE_IMAGE"),
            images: Images::new(".", version),
            addons: self.with,
            addon_program: set("GAUNTLET_ADDON").map(PathBuf::from),
            version: version.into(),
        };
        if let Some(mistake) = wanted.mistake() {
            complain(format!("error: {mistake}"));
            return Outcome::BadScenario;
        }
        blocking(async {
            up(&wanted, &|line| say(line)).await?;
            say(format!("export KUBECONFIG={}", wanted.kind.kubeconfig().display()));
            Ok(Outcome::Passed)
        })
    }
}
