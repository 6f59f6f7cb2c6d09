//! `gauntlet verify`: whether a backup set may be restored, and why not.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use gauntlet_backup::{
    Keys, Policy, Refusal,
    set::Set,
    verify::{LOOKS, Look, verify_telling},
};
use gauntlet_core::outcome::Outcome;
use jiff::Timestamp;
use serde_json::json;

use super::{
    backup::{
        programs::Tools,
        report::{directory, row, rows},
        trouble::{Answer, Trouble, blocking, refused, verdict},
    },
    say,
};

/// Says whether a backup set may be restored: every look at it, or every reason to refuse it and what mends it.
///
/// Exit codes: 0 nothing speaks against it, 1 refused, 2 a mistake in the command, 3 nothing is known (a file or program is
/// out of reach), 130 interrupted.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The set's directory.
    set: PathBuf,
    #[command(flatten)]
    accept: Accept,
    /// The major version of the server that it is to be restored into.
    #[arg(long, value_name = "VERSION")]
    major: Option<u32>,
    #[command(flatten)]
    tools: Tools,
    /// Tells the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What a set must be to be accepted.
#[derive(Debug, Parser)]
pub(super) struct Accept {
    /// The identity file (age-keygen) that opens it.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The system that it must belong to.
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// The source that it must have: PostgreSQL's system identifier, Redis' replication id.
    #[arg(long, value_name = "ID")]
    source: Option<String>,
    /// The greatest age (26h).
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
    /// Accepts an older one all the same.
    #[arg(long)]
    accept_stale: bool,
    /// It must be sealed.
    #[arg(long)]
    sealed: bool,
}

impl Accept {
    pub(super) fn policy(&self) -> Result<Policy, Trouble> {
        let keys = self.identity.as_deref().map(Keys::read).transpose().map_err(Trouble::mistake)?;
        Ok(Policy {
            system: self.system.clone(),
            source: self.source.clone(),
            max_age: self.max_age,
            accept_stale: self.accept_stale,
            sealed: self.sealed,
            keys: keys.unwrap_or_default(),
            ..Policy::new(Timestamp::now())
        })
    }
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking((Outcome::Interrupted, "interrupted: nothing is known of the set"), self.looked())
    }

    async fn looked(&self) -> Answer {
        let dir = directory(&self.set)?;
        let policy = Policy { major: self.major, ..self.accept.policy()? };
        let programs = self.tools.as_account(None)?;
        if !self.json {
            say(dir.display().to_string());
            // What cannot be opened is told by the first look.
            if let Ok(set) = Set::open(&dir) {
                rows(&set.manifest).into_iter().for_each(|(name, value)| row(name, &value));
            }
        }
        let mut seen = vec![];
        let mut tell = |look, refusals: &[Refusal]| {
            seen.push((look, refusals.is_empty()));
            if !self.json {
                told(look, Some(refusals.is_empty()));
            }
        };
        let found = verify_telling(&dir, &policy, &programs, &mut tell).await;
        let refusals = found.err().unwrap_or_default();
        if self.json {
            say(as_json(&dir, &seen, &refusals));
            return Ok(verdict(&refusals));
        }
        LOOKS[seen.len()..].iter().for_each(|look| told(*look, None));
        if refusals.is_empty() {
            say("nothing speaks against it; only a restore proves it");
            return Ok(Outcome::Passed);
        }
        Ok(refused(&refusals))
    }
}

fn told(look: Look, right: Option<bool>) {
    let how = match right {
        Some(true) => "right",
        Some(false) => "refused",
        None => "not looked at",
    };
    say(format!("  {look:<20}{how}"));
}

fn as_json(set: &std::path::Path, seen: &[(Look, bool)], refusals: &[Refusal]) -> String {
    let looks: Vec<_> =
        seen.iter().map(|(look, right)| json!({ "look": look.to_string(), "right": right })).collect();
    let refused: Vec<_> = refusals
        .iter()
        .map(|refusal| json!({ "name": refusal.name(), "why": refusal.to_string(), "mend": refusal.mend() }))
        .collect();
    json!({ "set": set, "outcome": verdict(refusals), "looks": looks, "refused": refused }).to_string()
}
