//! A PostgreSQL server: how its programs reach it, and what it says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    call::{Call, Programs},
    error::Error,
    lsn::Lsn,
    manifest::{Postgres, RestorePoint},
    pipe::ask,
};

/// Whom to speak to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Where the server listens, seen from where the programs run.
    pub at: At,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// The name of the secret that is its password.
    #[serde(default)]
    pub password: Option<String>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum At {
    /// TCP.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket in a directory.
    Socket {
        /// The directory.
        directory: String,
        /// The port that is part of the socket's name.
        port: u16,
    },
}

impl Connection {
    /// The same server, another database.
    #[must_use]
    pub fn to(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// A call of a program that takes libpq's usual options.
    pub fn call<'a>(&self, program: &str, args: impl IntoIterator<Item = &'a str>) -> Call {
        let (host, port) = match &self.at {
            At::Tcp { host, port } => (host, port),
            At::Socket { directory, port } => (directory, port),
        };
        let own = [
            format!("--host={host}"),
            format!("--port={port}"),
            format!("--username={}", self.user),
            "--no-password".to_owned(),
        ];
        let mut call = Call::new(program, own.into_iter().chain(args.into_iter().map(str::to_owned)));
        call.env.insert("PGCONNECT_TIMEOUT".into(), "10".into());
        call.env.insert("PGCLIENTENCODING".into(), "UTF8".into());
        if let Some(password) = &self.password {
            call.secrets.insert("PGPASSWORD".into(), password.clone());
        }
        call
    }

    /// A psql that reads statements and writes one value a line; the first mistake ends it.
    pub fn psql(&self) -> Call {
        let args =
            ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--file=-"];
        self.call("psql", args).arg(format!("--dbname={}", self.database))
    }

    /// Runs statements; the lines that they answered.
    pub async fn ask(&self, programs: &dyn Programs, sql: &str) -> Result<Vec<String>, Error> {
        let answer = ask(programs, &self.psql().within(Duration::from_secs(600)), sql).await?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// Runs statements that answer one value.
    pub async fn value(&self, programs: &dyn Programs, sql: &str) -> Result<String, Error> {
        let lines = self.ask(programs, sql).await?;
        let none = || {
            Error::at(
                format!("database {}", self.database),
                format!("no answer to {sql:?}"),
                "look at the server",
            )
        };
        lines.into_iter().find(|line| !line.is_empty()).ok_or_else(none)
    }

    pub(crate) async fn lsn(&self, programs: &dyn Programs, sql: &str) -> Result<Lsn, Error> {
        let text = self.value(programs, sql).await?;
        text.parse().map_err(|why| Error::at(sql, why, "look at the server's answer"))
    }

    /// What the server says of itself.
    pub async fn origin(&self, programs: &dyn Programs) -> Result<Postgres, Error> {
        let text = self.value(programs, ORIGIN).await?;
        let wrong = |why| Error::at("the server's answer", why, "is it a primary that is not in recovery?");
        serde_json::from_str(&text).map_err(wrong)
    }

    /// Marks this moment in the log, so that a set can be restored to it by name.
    pub async fn restore_point(&self, programs: &dyn Programs, name: &str) -> Result<RestorePoint, Error> {
        let sql = format!("select pg_create_restore_point({})", literal(name));
        Ok(RestorePoint { name: name.to_owned(), lsn: self.lsn(programs, &sql).await? })
    }
}

// The timeline is the one that is written now; the control file only learns of it at a checkpoint.
const ORIGIN: &str = "
select json_build_object(
    'identifier', (select system_identifier::text from pg_control_system()),
    'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
    'version', current_setting('server_version'),
    'major', current_setting('server_version_num')::int / 10000,
    'database', datname,
    'encoding', pg_encoding_to_char(encoding),
    'collate', datcollate,
    'ctype', datctype)
from pg_database where datname = current_database();
";

/// A text as SQL: standard_conforming_strings may be off on old servers, so backslashes get the escaping form.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A name as SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::{At, Connection, identifier, literal};

    #[test]
    fn a_password_is_no_argument() {
        let at = At::Tcp { host: "127.0.0.1".into(), port: 5432 };
        let connection = Connection {
            at,
            user: "u".into(),
            database: "d".into(),
            password: Some("database-password".into()),
        };
        let call = connection.call("pg_dump", ["--format=custom"]);
        assert_eq!(
            call.args,
            ["--host=127.0.0.1", "--port=5432", "--username=u", "--no-password", "--format=custom"]
        );
        assert_eq!(call.secrets["PGPASSWORD"], "database-password");
    }

    #[test]
    fn names_and_texts_stay_names_and_texts() {
        assert_eq!(identifier("a\"; drop"), "\"a\"\"; drop\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }
}
