//! `gauntlet backup redis`: a Redis server's snapshot, or its append-only files.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_backup::{
    Source,
    form::redis::{Server, Way},
};
use gauntlet_core::outcome::Outcome;

use super::{
    making::{Making, STOPPED},
    programs::{Tools, argument},
    trouble::{Trouble, blocking},
};

/// Backs up a Redis server: the snapshot that a replica would get, or with --append-only its append-only files.
///
/// The password comes from REDISCLI_AUTH or from --password-file.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The directory that sets are put into.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The server's host.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Its port.
    #[arg(long, default_value_t = 6379)]
    port: u16,
    /// The user [default: the default one].
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A file that holds the password [default: REDISCLI_AUTH].
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Takes the append-only files from this directory (`appenddirname` inside the server's `dir`), on the server's machine.
    #[arg(long, value_name = "DIR")]
    append_only: Option<PathBuf>,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    tools: Tools,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking(STOPPED, async {
            let seal = self.making.seal(false)?;
            let (programs, password) =
                self.tools.for_server(self.password_file.as_deref(), "REDISCLI_AUTH")?;
            let (host, user, way) = (self.host.clone(), self.user.clone(), self.way()?);
            let server = Server { host, port: self.port, user, password, way };
            let made = self.making.make(Source::Redis(server), &self.into, &seal, &programs).await?;
            self.making.end(made).await
        })
    }

    fn way(&self) -> Result<Way, Trouble> {
        let Some(path) = &self.append_only else { return Ok(Way::Rdb) };
        let path = argument(path)?;
        match path.rsplit_once('/') {
            Some((directory, name)) if !directory.is_empty() && !name.is_empty() => {
                Ok(Way::Aof { directory: directory.to_owned(), name: name.to_owned() })
            }
            _ => Err(Trouble::mistake(format!(
                "{path}: no directory of append-only files, such as /var/lib/redis/appendonlydir"
            ))),
        }
    }
}
