//! Options by which a PostgreSQL server is reached.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_backup::{
    LocalPrograms,
    postgres::{At, Connection},
};

use super::{
    programs::{Tools, argument},
    trouble::Trouble,
};

/// A PostgreSQL server. Its password comes from PGPASSWORD, from the file that PGPASSFILE names, or from --password-file.
#[derive(Debug, Parser)]
pub(in crate::cli) struct Server {
    /// The server's host.
    #[arg(long, default_value = "127.0.0.1", conflicts_with = "socket")]
    host: String,
    /// Its port.
    #[arg(long, default_value_t = 5432)]
    port: u16,
    /// The directory of its socket, instead of a host.
    #[arg(long, value_name = "DIR")]
    socket: Option<PathBuf>,
    /// The role.
    #[arg(long, value_name = "ROLE", default_value = "postgres")]
    user: String,
    /// A file that holds the role's password [default: PGPASSWORD, or what PGPASSFILE says].
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Server {
    /// How a database of it is reached, and the programs that know its password.
    pub(in crate::cli) fn reach(
        &self,
        database: &str,
        tools: &Tools,
    ) -> Result<(Connection, LocalPrograms), Trouble> {
        let (programs, password) = tools.for_server(self.password_file.as_deref(), "PGPASSWORD")?;
        let at = match &self.socket {
            Some(directory) => At::Socket { directory: argument(directory)?, port: self.port },
            None => At::Tcp { host: self.host.clone(), port: self.port },
        };
        let (user, database) = (self.user.clone(), database.to_owned());
        Ok((Connection { at, user, database, password }, programs))
    }
}
