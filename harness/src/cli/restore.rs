//! `gauntlet restore`: a backup set into a database or an empty directory.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_backup::{
    Error, LocalPrograms, Restored, Target,
    form::{
        Form,
        logical::Database,
        place::Directory,
        point_in_time::{self, Until},
        redis,
    },
    restore,
    set::Set,
};
use gauntlet_core::outcome::Outcome;
use serde_json::json;

use super::{
    backup::{
        programs::{Tools, argument},
        report::{directory, row, rows},
        server::Server,
        trouble::{Answer, Trouble, blocking},
    },
    say,
    verify::Accept,
};

/// Verifies a backup set and restores it, into a database (logical) or an empty directory (every other form).
///
/// What is not empty is refused, unless --replace. A restore that was killed or interrupted is run again: its target stays
/// as it was until all is there. Exit codes: 0 restored, 1 the set is refused, 2 a mistake in the command or a target that
/// is not empty, 3 the set cannot be read, 4 it could not be restored, 130 interrupted.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The set's directory.
    set: PathBuf,
    #[command(flatten)]
    accept: Accept,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    server: Server,
    /// Replaces what the target holds.
    #[arg(long)]
    replace: bool,
    /// A point-in-time set: to just before this transaction (pg_current_xact_id() in it).
    #[arg(long, value_name = "XID", conflicts_with = "to_point")]
    before_transaction: Option<u64>,
    /// A point-in-time set: to this restore point.
    #[arg(long, value_name = "NAME")]
    to_point: Option<String>,
    /// A Redis snapshot: into the directory of a server with `appendonly yes`.
    #[arg(long)]
    append_only: bool,
    #[command(flatten)]
    tools: Tools,
    /// Tells the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Where to.
#[derive(Debug, Parser)]
#[group(required = true, multiple = false)]
struct To {
    /// The database that a logical set becomes; it need not exist.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The directory that any other set becomes; no server may use it. Root restores PostgreSQL's as the account postgres,
    /// Redis' as redis, unless --account says another.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

const STOPPED: (Outcome, &str) =
    (Outcome::Interrupted, "interrupted: the target is as it was, or complete; run it again to be sure");

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking(STOPPED, async {
            let dir = directory(&self.set)?;
            let policy = self.accept.policy()?;
            let set = Set::open(&dir).map_err(Error::Refused)?;
            let (target, programs) = self.target(set.manifest.form)?;
            self.tell(&target, &restore(&dir, &target, &policy, &programs).await?)
        })
    }

    fn target(&self, form: Form) -> Result<(Target, LocalPrograms), Trouble> {
        self.fits(form)?;
        if form == Form::Logical {
            let Some(name) = &self.to.database else {
                return Err(Trouble::mistake("a logical set goes into a database: say --database NAME"));
            };
            let (connection, programs) = self.server.reach(name, &self.tools)?;
            return Ok((Target::Logical(Database { connection, replace: self.replace }), programs));
        }
        let Some(directory) = &self.to.directory else {
            return Err(Trouble::mistake(format!("a {form} set goes into a directory: say --directory DIR")));
        };
        let directory = Directory { path: argument(directory)?, replace: self.replace };
        let (target, account) = match form {
            Form::PointInTime => {
                let until = self.until();
                (Target::PointInTime(point_in_time::DataDirectory { directory, until }), Some("postgres"))
            }
            Form::Redis => {
                let append_only = self.append_only;
                (Target::Redis(redis::DataDirectory { directory, append_only }), Some("redis"))
            }
            Form::Logical | Form::Configuration => (Target::Configuration(directory), None),
        };
        Ok((target, self.tools.as_account(account)?))
    }

    // An option that means nothing for a form would be a wish that nobody fulfils.
    fn fits(&self, form: Form) -> Result<(), Trouble> {
        let of = [
            ("--before-transaction", self.before_transaction.is_some(), Form::PointInTime),
            ("--to-point", self.to_point.is_some(), Form::PointInTime),
            ("--append-only", self.append_only, Form::Redis),
        ];
        match of.iter().find(|(_, said, fits)| *said && *fits != form) {
            Some((option, _, fits)) => {
                Err(Trouble::mistake(format!("{option} is for {fits} sets, and this one is {form}")))
            }
            None => Ok(()),
        }
    }

    fn until(&self) -> Until {
        match (&self.before_transaction, &self.to_point) {
            (Some(xid), _) => Until::Before { xid: *xid },
            (None, Some(name)) => Until::Named(name.clone()),
            (None, None) => Until::End,
        }
    }

    fn tell(&self, target: &Target, restored: &Restored) -> Answer {
        let seconds = (restored.verified_in.as_secs_f64(), restored.restored_in.as_secs_f64());
        let place = self.to.database.as_ref().map_or_else(
            || self.to.directory.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default(),
            |name| format!("database {name}"),
        );
        if self.json {
            let told = json!({
                "restored": place, "set": self.set, "verified_seconds": seconds.0, "restored_seconds": seconds.1,
                "compared": restored.compared, "manifest": restored.manifest,
            });
            say(told.to_string());
            return Ok(Outcome::Passed);
        }
        say(format!("{} is restored to {place}", self.set.display()));
        rows(&restored.manifest).into_iter().for_each(|(name, value)| row(name, &value));
        if let Some(compared) = &restored.compared {
            row("content", &format!("{compared}, as they were backed up"));
        } else if restored.manifest.form == Form::Logical {
            row("content", "not compared: the set has no digests");
        }
        row("took", &format!("{:.1} s to verify, {:.1} s to restore", seconds.0, seconds.1));
        if let Some(next) = next(target) {
            say(next);
        }
        Ok(Outcome::Passed)
    }
}

fn next(target: &Target) -> Option<&'static str> {
    match target {
        Target::PointInTime(_) => Some(
            "start PostgreSQL there: it recovers, and ends that by itself on a new timeline; then take a new base backup",
        ),
        Target::Redis(to) if to.append_only => Some("start Redis there with appendonly yes"),
        Target::Redis(_) => Some(
            "start Redis there; one with appendonly yes would ignore it: restore with --append-only for that",
        ),
        Target::Logical(_) | Target::Configuration(_) | Target::Objects(_) => None,
    }
}
