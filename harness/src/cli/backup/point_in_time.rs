//! `gauntlet backup point-in-time`: a base backup, and the log from there on.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_backup::Source;
use gauntlet_core::outcome::Outcome;

use super::{
    log::{Log, forget},
    making::{Making, STOPPED},
    trouble::blocking,
};

/// Backs up a whole PostgreSQL server (pg_basebackup) with its log up to now, restorable to any transaction in it.
///
/// `follow` streams the log from then on; `extend` makes a longer set of this one and what was streamed since. The role
/// needs REPLICATION, the right to pg_switch_wal, and a line in pg_hba.conf. The password comes from PGPASSWORD, from the
/// file that PGPASSFILE names, or from --password-file.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The directory that sets are put into.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    log: Log,
    #[command(flatten)]
    making: Making,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking(STOPPED, async {
            let seal = self.making.seal(false)?;
            let (stream, programs) = self.log.stream()?;
            let source = Source::PointInTime(stream.clone());
            let made = self.making.make(source, &self.into, &seal, &programs).await?;
            let manifest = made.0.manifest.clone();
            let ended = self.making.end(made).await?;
            if self.making.keeping.said() {
                forget(&stream, &programs, &manifest, &self.into).await?;
            }
            Ok(ended)
        })
    }
}
