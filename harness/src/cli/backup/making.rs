//! What every form of backup asks: where to, whose it is, who may open it, what is kept.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser;
use gauntlet_backup::{About, Keep, LocalPrograms, Made, Pruned, Seal, Source, backup, prune};
use gauntlet_core::outcome::Outcome;
use jiff::Timestamp;

use super::{
    programs::read,
    report,
    trouble::{Answer, Trouble},
};

/// What an interrupted backup says.
pub(super) const STOPPED: (Outcome, &str) =
    (Outcome::Interrupted, "interrupted: no half set was left; what was complete is complete");

/// Whose a set is, who may open it, and what is kept beside it.
#[derive(Debug, Parser)]
pub(super) struct Making {
    /// The name of the system that is backed up; the set's name begins with it.
    #[arg(long, value_name = "NAME")]
    system: String,
    #[command(flatten)]
    sealing: Sealing,
    #[command(flatten)]
    pub(super) keeping: Keeping,
    /// Tells the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Who may open a set.
#[derive(Debug, Parser)]
struct Sealing {
    /// Seals the set to an age recipient (age1...); several: each opens it alone.
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    /// A file of recipients, one a line.
    #[arg(long, value_name = "FILE")]
    recipients_file: Option<PathBuf>,
}

/// Which sets are kept.
#[derive(Debug, Parser)]
pub(super) struct Keeping {
    /// Keeps the newest so many of each system and form in the directory, and removes older ones that no rule keeps.
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,
    /// Keeps all that are younger (30d, 12h).
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    keep_within: Option<Duration>,
}

impl Sealing {
    fn seal(&self) -> Result<Seal, Trouble> {
        let file = self.recipients_file.as_deref().map(read).transpose()?.unwrap_or_default();
        let lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let seal =
            Seal::to(self.recipients.iter().map(String::as_str).chain(lines)).map_err(Trouble::mistake)?;
        match (&self.recipients_file, seal.fingerprints().is_empty()) {
            (Some(file), true) => Err(Trouble::mistake(format!("{}: no recipient in it", file.display()))),
            _ => Ok(seal),
        }
    }
}

impl Keeping {
    /// None: nothing was said, so everything is kept.
    fn keep(&self) -> Option<Keep> {
        let said = self.keep_last.is_some() || self.keep_within.is_some();
        said.then(|| Keep { last: self.keep_last.unwrap_or(0), within: self.keep_within })
    }

    /// Whether anything may be removed.
    pub(super) fn said(&self) -> bool {
        self.keep().is_some()
    }

    /// Removes from a directory what no rule keeps.
    pub(super) async fn prune(&self, dir: &Path) -> Result<Option<Pruned>, Trouble> {
        let (Some(keep), dir) = (self.keep(), dir.to_owned()) else { return Ok(None) };
        let pruned = tokio::task::spawn_blocking(move || prune(&dir, keep, Timestamp::now()));
        let failed = |why| gauntlet_backup::Error::at("retention", why, "run it again");
        Ok(Some(pruned.await.map_err(failed)??))
    }
}

impl Making {
    /// What is wrong with the command itself is found before anything is asked.
    pub(super) fn seal(&self, must: bool) -> Result<Seal, Trouble> {
        let seal = self.sealing.seal()?;
        if must && seal.fingerprints().is_empty() {
            return Err(Trouble::mistake(
                "a configuration holds secrets: name who may open it with --recipient; `age-keygen` makes a key",
            ));
        }
        self.about(&seal).check().map_err(Trouble::mistake)?;
        Ok(seal)
    }

    pub(super) fn about<'a>(&'a self, seal: &'a Seal) -> About<'a> {
        About { system: &self.system, seal }
    }

    /// Makes a set inside a directory.
    pub(super) async fn make(
        &self,
        source: Source<'_>,
        into: &Path,
        seal: &Seal,
        programs: &LocalPrograms,
    ) -> Result<(Made, Duration), Trouble> {
        let began = Instant::now();
        let made = backup(source, into, self.about(seal), programs).await?;
        Ok((made, began.elapsed()))
    }

    /// Prunes beside it, and tells all.
    pub(super) async fn end(&self, (made, took): (Made, Duration)) -> Answer {
        let into = made.dir.parent().unwrap_or(Path::new("."));
        let pruned = self.keeping.prune(into).await;
        let (kept, trouble) = match pruned {
            Ok(pruned) => (pruned, None),
            Err(trouble) => (None, Some(trouble)),
        };
        report::made(&made, took, kept.as_ref(), self.json);
        trouble.map_or(Ok(Outcome::Passed), Err)
    }
}
