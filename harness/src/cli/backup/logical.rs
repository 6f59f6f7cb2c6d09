//! `gauntlet backup logical`: one database, as pg_dump sees it.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_backup::Source;
use gauntlet_core::outcome::Outcome;

use super::{
    making::{Making, STOPPED},
    programs::Tools,
    server::Server,
    trouble::blocking,
};

/// Backs up one database of a PostgreSQL server (pg_dump). Roles are not in it.
///
/// The password comes from PGPASSWORD, from the file that PGPASSFILE names, or from --password-file.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The directory that sets are put into.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The database.
    #[arg(long, value_name = "NAME")]
    database: String,
    /// Leaves out the digests of every table's rows: the database is read once instead of twice, and no restore of the set can
    /// tell whether a row is missing.
    #[arg(long)]
    without_digests: bool,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    tools: Tools,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking(STOPPED, async {
            let seal = self.making.seal(false)?;
            let (connection, programs) = self.server.reach(&self.database, &self.tools)?;
            let source = if self.without_digests {
                Source::Undigested(connection)
            } else {
                Source::Logical(connection)
            };
            let made = self.making.make(source, &self.into, &seal, &programs).await?;
            self.making.end(made).await
        })
    }
}
