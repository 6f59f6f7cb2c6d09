//! Why the store could not do what was asked.

use sqlx::migrate::MigrateError;

/// A failure of the store. After any of them a write may or may not have happened, so it is never acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL failed a moment ago and is left alone.
    #[error("postgresql does not answer; not asked again yet")]
    Resting,
    /// No answer in time; the connection is dropped.
    #[error("postgresql did not answer in time")]
    TimedOut,
    /// The connection broke, or there was none.
    #[error("no connection to postgresql")]
    Connection(#[source] sqlx::Error),
    /// PostgreSQL answered that it cannot now: shutting down, starting, out of space, no schema yet.
    #[error("postgresql cannot serve now")]
    Unavailable(#[source] sqlx::Error),
    /// PostgreSQL refused: a mistake of this service.
    #[error("postgresql refused the statement")]
    Refused(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the connection, not the statement, is what failed.
    pub(super) fn is_connection_lost(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Connection(_))
    }

    /// Whether to come back later may help.
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(why: sqlx::Error) -> Self {
        let sqlx::Error::Database(told) = &why else {
            return match why {
                sqlx::Error::RowNotFound
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::TypeNotFound { .. } => Self::Refused(why),
                _ => Self::Connection(why),
            };
        };
        match told.code().as_deref().unwrap_or_default() {
            // The server goes away: the connection is of no more use.
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Connection(why),
            // No table yet: the first migration is still to come.
            "42P01" => Self::Unavailable(why),
            code if is_mistake(code) => Self::Refused(why),
            _ => Self::Unavailable(why),
        }
    }
}

/// Whether PostgreSQL said no to what a migration does, so that trying again cannot help.
pub fn is_refused(why: &MigrateError) -> bool {
    let MigrateError::ExecuteMigration(sqlx::Error::Database(told), _) = why else { return false };
    is_mistake(&told.code().unwrap_or_default())
}

/// Classes of errors that lie in the statement: wrong data, a broken constraint, a wrong name or no right to it.
fn is_mistake(code: &str) -> bool {
    ["22", "23", "42"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pool_and_a_broken_pipe_pass_and_cost_the_connection() {
        for why in [sqlx::Error::PoolTimedOut, sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into())] {
            let why = StoreError::from(why);
            assert!(why.is_passing() && why.is_connection_lost(), "{why:?}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_does_not_pass() {
        assert!(!StoreError::from(sqlx::Error::RowNotFound).is_passing());
    }
}
