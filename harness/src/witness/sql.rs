//! One value read with SQL, over a session of its own.

use std::{collections::BTreeMap, error::Error, fs, io, time::Duration};

use gauntlet_core::name::Name;
use tokio::time::timeout;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use crate::layout::{Layout, Replica};

/// How long a session with its one statement may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How a PostgreSQL session is opened.
pub(super) struct Access<'a> {
    pub(super) layout: &'a Layout,
    pub(super) replica: &'a Replica,
    pub(super) port: &'a Name,
    pub(super) user: &'a str,
    pub(super) password: Option<&'a Name>,
    pub(super) database: &'a str,
}

/// Why there is no value.
#[derive(Debug)]
pub(super) enum SqlError {
    /// Nobody listens.
    Refused,
    /// The server said no.
    Said(String),
    /// Anything else.
    Broken(String),
}

impl SqlError {
    /// In words; never with a password in them.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Refused => "refused".to_owned(),
            Self::Said(why) => format!("sqlstate {why}"),
            Self::Broken(why) => format!("broken: {why}"),
        }
    }
}

impl Access<'_> {
    /// The one value of a statement, as text; `null` when it is null.
    pub(super) async fn value(&self, statement: &str) -> Result<String, SqlError> {
        let asked = timeout(LIMIT, self.session(statement)).await;
        asked.unwrap_or_else(|_| Err(SqlError::Broken(format!("no answer within {LIMIT:?}"))))
    }

    async fn session(&self, statement: &str) -> Result<String, SqlError> {
        let (client, connection) = self.config()?.connect(NoTls).await.map_err(told)?;
        let answer = client.simple_query(statement);
        tokio::pin!(answer, connection);
        let messages = tokio::select! {
            messages = &mut answer => messages.map_err(told)?,
            ended = &mut connection => {
                ended.map_err(told)?;
                answer.await.map_err(told)?
            }
        };
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row =
            row.filter(|row| !row.is_empty()).ok_or_else(|| SqlError::Broken("no row came".to_owned()))?;
        Ok(row.get(0).unwrap_or("null").to_owned())
    }

    fn config(&self) -> Result<Config, SqlError> {
        let broken = |why: String| SqlError::Broken(why);
        let port = self.replica.ports.get(self.port);
        let port = port.ok_or_else(|| broken(format!("the replica has no port {:?}", self.port.as_str())))?;
        let mut config = Config::new();
        config.host(&self.layout.host).port(*port).user(self.user).dbname(self.database);
        if let Some(name) = self.password {
            config.password(secret(self.layout, name).map_err(|e| broken(format!("secret {name}: {e}")))?);
        }
        Ok(config)
    }
}

fn secret(layout: &Layout, name: &Name) -> io::Result<String> {
    let mut secrets: BTreeMap<String, String> = serde_json::from_slice(&fs::read(layout.secrets())?)?;
    secrets.remove(name.as_str()).ok_or_else(|| io::Error::other("the run has no such secret"))
}

fn told(error: tokio_postgres::Error) -> SqlError {
    if let Some(said) = error.as_db_error() {
        return SqlError::Said(format!("{}: {}", said.code().code(), said.message()));
    }
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => SqlError::Refused,
        _ => SqlError::Broken(cause.map_or_else(|| error.to_string(), ToString::to_string)),
    }
}
