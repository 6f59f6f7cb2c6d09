//! One value read with SQL, over a session of its own.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use crate::witness::forward::Connection;

/// How long a session with its one statement may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How a session is opened.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: Option<Vec<u8>>,
    pub(super) database: &'a str,
}

/// Why there is no value.
#[derive(Debug)]
pub(super) enum SqlError {
    /// The server said no.
    Said(String),
    /// The password may not be read.
    Forbidden(String),
    /// Anything else.
    Broken(String),
}

impl SqlError {
    /// In words; never with a password in them.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Said(why) => format!("sqlstate {why}"),
            Self::Forbidden(why) => format!("not asked: {why}"),
            Self::Broken(why) => format!("broken: {why}"),
        }
    }
}

/// The one value of a statement, as text; `null` when it is null.
pub(super) async fn value(
    connection: Connection,
    login: &Login<'_>,
    statement: &str,
) -> Result<String, SqlError> {
    let asked = timeout(LIMIT, session(connection, login, statement)).await;
    asked.unwrap_or_else(|_| Err(SqlError::Broken(format!("no answer within {LIMIT:?}"))))
}

async fn session(connection: Connection, login: &Login<'_>, statement: &str) -> Result<String, SqlError> {
    let mut config = Config::new();
    config.user(login.user).dbname(login.database);
    if let Some(password) = &login.password {
        config.password(password);
    }
    let (client, driver) = config.connect_raw(connection, NoTls).await.map_err(told)?;
    let answer = client.simple_query(statement);
    tokio::pin!(answer, driver);
    let messages = tokio::select! {
        messages = &mut answer => messages.map_err(told)?,
        ended = &mut driver => {
            ended.map_err(told)?;
            answer.await.map_err(told)?
        }
    };
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.filter(|row| !row.is_empty()).ok_or_else(|| SqlError::Broken("no row came".to_owned()))?;
    Ok(row.get(0).unwrap_or("null").to_owned())
}

fn told(error: tokio_postgres::Error) -> SqlError {
    match error.as_db_error() {
        Some(said) => SqlError::Said(format!("{}: {}", said.code().code(), said.message())),
        None => SqlError::Broken(error.to_string()),
    }
}
