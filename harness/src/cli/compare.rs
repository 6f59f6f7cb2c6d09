//! `gauntlet compare`: whether one database holds what another does.

use clap::Parser;
use gauntlet_backup::{
    content::{self, Compared, Difference, RANGES, RowDifference},
    postgres::{At, Connection},
};
use gauntlet_core::outcome::Outcome;
use serde_json::json;

use super::{
    backup::{
        programs::Tools,
        server::Server,
        trouble::{Answer, blocking},
    },
    say,
};

/// So many rows are named.
const NAMED: usize = 20;

/// Compares two PostgreSQL databases: tables, rows, sequences, definitions. Rows that differ are named by their keys.
///
/// Each is read in one snapshot, one after the other: what is written meanwhile differs. Exit codes: 0 the second holds what
/// the first does, 1 they differ, 2 a mistake in the command, 4 one of them could not be read, 130 interrupted.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The database that is right.
    #[arg(long, value_name = "NAME")]
    database: String,
    /// The database that is compared with it: a restored one.
    #[arg(long, value_name = "NAME")]
    with: String,
    /// The host of its server [default: that of the first].
    #[arg(long, value_name = "HOST", conflicts_with = "socket")]
    with_host: Option<String>,
    /// The port of its server [default: that of the first].
    #[arg(long, value_name = "PORT")]
    with_port: Option<u16>,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    tools: Tools,
    /// Tells the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking((Outcome::Interrupted, "interrupted: nothing is known"), self.compared())
    }

    async fn compared(&self) -> Answer {
        let (first, programs) = self.server.reach(&self.database, &self.tools)?;
        let second = self.second(&first);
        let before = content::read(&first, &programs, RANGES).await?;
        let after = content::read(&second, &programs, RANGES).await?;
        let differences = content::compare(&before, &after);
        let rows = content::read_rows((&first, &second), &programs, &differences).await?;
        self.tell(Compared::from(&before), &differences, &rows);
        Ok(if differences.is_empty() { Outcome::Passed } else { Outcome::Failed })
    }

    fn second(&self, first: &Connection) -> Connection {
        let mut second = first.to(&self.with);
        let (host, port) = (self.with_host.as_ref(), self.with_port);
        match &mut second.at {
            At::Tcp { host: its, port: at } => {
                host.into_iter().for_each(|host| its.clone_from(host));
                port.into_iter().for_each(|port| *at = port);
            }
            At::Socket { port: at, .. } => port.into_iter().for_each(|port| *at = port),
        }
        second
    }

    fn tell(&self, compared: Compared, differences: &[Difference], rows: &[RowDifference]) {
        if self.json {
            let told = json!({
                "same": differences.is_empty(), "compared": compared, "differences": differences, "rows": rows,
            });
            return say(told.to_string());
        }
        if differences.is_empty() {
            return say(format!("{} holds what {} does: {compared}", self.with, self.database));
        }
        say(format!("{} is not what {} is:", self.with, self.database));
        differences.iter().for_each(|difference| say(format!("  {difference}")));
        rows.iter().take(NAMED).for_each(|row| say(format!("    {row}")));
        if rows.len() > NAMED {
            say(format!("    {} rows more; --json names all", rows.len() - NAMED));
        }
    }
}
