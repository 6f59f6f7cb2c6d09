//! Experiments and runs in PostgreSQL. Every call ends in bounded time, and a write counts only once it is committed.

mod error;
mod experiments;
mod runs;

use std::future::Future;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migration};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool, Postgres};
use tokio::time::error::Elapsed;

use crate::breaker::Breaker;
use crate::config::Settings;

pub use error::{StoreError, is_refused};
pub use experiments::{Created, IdempotencyKey, Listing};
pub use runs::{Job, Started};

/// Time to get a connection.
const ACQUIRE: Duration = Duration::from_secs(1);
/// A connection that lay still for longer is asked before it is used.
const FRESH: Duration = Duration::from_secs(1);
/// Failures in a row after which PostgreSQL is left alone, and for how long between two probes.
const FAILURES: u32 = 3;
const REST: Duration = Duration::from_millis(250);

/// The store.
pub struct Store {
    pool: PgPool,
    breaker: Breaker,
    limit: Duration,
}

impl Store {
    /// Connects on first use, so a PostgreSQL that is down now does not stop the start. Must run inside the runtime.
    pub fn new(settings: &Settings) -> Result<Self, sqlx::Error> {
        let limit = settings.database_timeout;
        // The server gives up on a statement as soon as nobody waits for it any more.
        let options = PgConnectOptions::from_str(settings.database_url.expose())?
            .application_name(&settings.replica)
            .options([("statement_timeout", limit.as_millis().to_string())])
            .disable_statement_logging();
        let connections = u32::try_from(settings.database_pool).unwrap_or(u32::MAX);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, breaker: Breaker::new(FAILURES, REST), limit })
    }

    /// Brings the schema up to date. Replicas may do so at once: the database's advisory lock lets one go first.
    pub async fn migrate(&self, further: &[Migration]) -> Result<(), MigrateError> {
        let mut migrations = sqlx::migrate!();
        migrations.migrations.to_mut().extend_from_slice(further);
        // The lock is the session's: one that failed must end with it, or it would lock everybody out from within the pool.
        let options = self.pool.connect_options().as_ref().clone();
        let own = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE).connect_lazy_with(options);
        // A newer replica may have migrated further; an older one must still be able to start.
        let migrated = migrations.set_ignore_missing(true).run(&own).await;
        own.close().await;
        migrated
    }

    /// Closes the connections, for a little while politely.
    pub async fn close(&self) {
        if tokio::time::timeout(ACQUIRE, self.pool.close()).await.is_err() {
            tracing::warn!("connections to postgresql did not close in time");
        }
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        if !self.breaker.admits(Instant::now()) {
            return Err(StoreError::Resting);
        }
        self.pool.acquire().await.map_err(|why| self.failed(StoreError::from(why)))
    }

    async fn timed<T>(
        &self,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<Result<T, sqlx::Error>, Elapsed> {
        tokio::time::timeout(self.limit, statement).await
    }

    /// Ends the use of a connection. One that timed out or broke is dropped, never returned to the pool.
    fn settle<T>(
        &self,
        connection: PoolConnection<Postgres>,
        done: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        let why = match done {
            Ok(Ok(value)) => {
                self.breaker.succeeded();
                return Ok(value);
            }
            Ok(Err(why)) => StoreError::from(why),
            Err(_) => StoreError::TimedOut,
        };
        if why.is_connection_lost() {
            drop(connection.detach());
        }
        Err(self.failed(why))
    }

    fn failed(&self, why: StoreError) -> StoreError {
        if why.is_connection_lost() && self.breaker.failed(Instant::now()) {
            tracing::warn!(error = &why as &dyn std::error::Error, "postgresql does not answer");
        }
        why
    }
}
