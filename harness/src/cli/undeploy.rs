//! `gauntlet undeploy`: removes what `gauntlet deploy` made.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use gauntlet_core::outcome::Outcome;
use gauntlet_kube::deploy::{named, undeploy};

use super::{
    cluster::{Somewhere, mistaken},
    complain, say,
};
use crate::target::production;

/// Removes what `deploy` made, data included, and waits until it is gone.
///
/// The namespace goes where `deploy` made it; else only what bears the mark of the deployment.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The system file.
    #[arg(default_value = "deploy/system.yml")]
    system: PathBuf,
    #[command(flatten)]
    at: Somewhere,
    /// Where from.
    #[arg(long)]
    namespace: String,
    /// Removes without asking; needed where nobody can be asked.
    #[arg(long)]
    yes: bool,
    /// Allows a context or namespace whose name looks like production.
    #[arg(long)]
    allow_production: bool,
    /// How long it may take.
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = humantime::parse_duration)]
    within: Duration,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let system = match super::system(&self.system) {
            Ok((system, _)) => system,
            Err(outcome) => return outcome,
        };
        if let Err(trouble) = production([&self.at.context, &self.namespace], self.allow_production) {
            return mistaken(&trouble);
        }
        if !self.yes && !self.confirmed(system.name.as_str()) {
            complain("error: not confirmed, so nothing was removed; `--yes` removes without asking");
            return Outcome::BadScenario;
        }
        self.at.at(async |client| {
            let done =
                undeploy(&client, system.name.as_str(), &self.namespace, self.within, &|line| say(line));
            match done.await {
                Ok(true) => {
                    say(format!("{} is gone from {} of {}", system.name, self.namespace, self.at.context))
                }
                Ok(false) => say(format!("nothing of {} is in {}", system.name, self.namespace)),
                Err(trouble) => {
                    complain(format!("error: {}", named(&trouble)));
                    return Ok(Outcome::SetupFailed);
                }
            }
            Ok(Outcome::Passed)
        })
    }

    /// A name that is typed is meant; a key that is pressed may not be.
    fn confirmed(&self, system: &str) -> bool {
        if !io::stdin().is_terminal() {
            return false;
        }
        let mut out = io::stdout();
        let (namespace, context) = (&self.namespace, &self.at.context);
        let asked =
            write!(out, "{system} and its data go from {namespace} of {context}. The namespace again: ");
        let mut typed = String::new();
        asked.and_then(|()| out.flush()).and_then(|()| io::stdin().read_line(&mut typed)).is_ok()
            && typed.trim() == namespace
    }
}
