//! Experiments: make (once for each idempotency key), read, list, replace, delete.

use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::experiment::{Draft, Experiment, Summary};

/// How often a key that vanishes between two statements is tried again.
const TRIES: u32 = 3;

/// A client's promise that two requests are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key itself.
    pub key: String,
    /// SHA-256 of the body that came with it.
    pub body: [u8; 32],
}

/// What became of a request to make an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made now: the time.
    New(String),
    /// An earlier request with the same key and body made this one, at that time.
    Earlier(Uuid, String),
    /// The key came with another body before.
    OtherBody,
}

/// Which part of the list to read.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only experiments of exactly this name.
    pub name: Option<String>,
    /// Only experiments behind this one.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: u16,
}

type Row = (Uuid, String, Option<String>, String, i32, String, String);

impl Store {
    /// Makes an experiment: one statement, so one transaction, and committed when this returns.
    pub async fn create(
        &self,
        id: Uuid,
        draft: &Draft,
        query: &str,
        key: Option<&IdempotencyKey>,
    ) -> Result<Created, StoreError> {
        let Some(key) = key else { return self.insert(id, draft, query).await };
        for _ in 0..TRIES {
            if let Some(at) = self.insert_once(id, draft, query, key).await? {
                return Ok(Created::New(at));
            }
            if let Some(earlier) = self.earlier(key).await? {
                return Ok(earlier);
            }
        }
        Err(StoreError::TimedOut)
    }

    async fn insert(&self, id: Uuid, draft: &Draft, query: &str) -> Result<Created, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_scalar::<_, String>(
            "INSERT INTO experiments (id, name, note, query) VALUES ($1, $2, $3, $4::text::json)
             RETURNING to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        )
        .bind(id)
        .bind(&draft.name)
        .bind(&draft.note)
        .bind(query);
        let done = self.timed(statement.fetch_one(&mut *connection)).await;
        self.settle(connection, done).map(Created::New)
    }

    /// `None` when the key was there already: the key's row and the experiment's row come together or not at all.
    /// A second request with the key waits here until the first has committed or failed.
    async fn insert_once(
        &self,
        id: Uuid,
        draft: &Draft,
        query: &str,
        key: &IdempotencyKey,
    ) -> Result<Option<String>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_scalar::<_, String>(
            "WITH first AS (
                 INSERT INTO idempotency_keys (key, body_sha256, experiment_id) VALUES ($5, $6, $1)
                 ON CONFLICT (key) DO NOTHING RETURNING 1
             )
             INSERT INTO experiments (id, name, note, query) SELECT $1, $2, $3, $4::text::json FROM first
             RETURNING to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        )
        .bind(id)
        .bind(&draft.name)
        .bind(&draft.note)
        .bind(query)
        .bind(&key.key)
        .bind(&key.body[..]);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        self.settle(connection, done)
    }

    async fn earlier(&self, key: &IdempotencyKey) -> Result<Option<Created>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_as::<_, (Vec<u8>, Uuid, String)>(
            "SELECT body_sha256, experiment_id,
                    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
             FROM idempotency_keys WHERE key = $1",
        )
        .bind(&key.key);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        let found = self.settle(connection, done)?;
        Ok(found.map(
            |(body, id, at)| {
                if body == key.body { Created::Earlier(id, at) } else { Created::OtherBody }
            },
        ))
    }

    /// One experiment, or `None`.
    pub async fn experiment(&self, id: Uuid) -> Result<Option<Experiment>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_as::<_, Row>(
            "SELECT id, name, note, query::text, revision,
                    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                    to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
             FROM experiments WHERE id = $1",
        )
        .bind(id);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        self.settle(connection, done)?.map(experiment).transpose()
    }

    /// Replaces an experiment's content, or `None` when there is none.
    pub async fn replace(
        &self,
        id: Uuid,
        draft: &Draft,
        query: &str,
    ) -> Result<Option<Experiment>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_as::<_, Row>(
            "UPDATE experiments SET name = $2, note = $3, query = $4::text::json,
                    revision = revision + 1, updated_at = now()
             WHERE id = $1
             RETURNING id, name, note, query::text, revision,
                    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                    to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        )
        .bind(id)
        .bind(&draft.name)
        .bind(&draft.note)
        .bind(query);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        self.settle(connection, done)?.map(experiment).transpose()
    }

    /// Deletes an experiment with its runs; false when there was none.
    pub async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query("DELETE FROM experiments WHERE id = $1").bind(id);
        let done = self.timed(statement.execute(&mut *connection)).await;
        self.settle(connection, done).map(|done| done.rows_affected() > 0)
    }

    /// A part of the list, in the order of ids.
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Summary>, StoreError> {
        let mut connection = self.connection().await?;
        let after = listing.after.unwrap_or(Uuid::nil());
        // Two statements, so that each has its own plan with its own index.
        let statement = match &listing.name {
            None => sqlx::query_as(
                "SELECT id, name, note, revision,
                        to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                        to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
                 FROM experiments WHERE id > $1 ORDER BY id LIMIT $2",
            )
            .bind(after)
            .bind(i64::from(listing.limit)),
            Some(name) => sqlx::query_as(
                "SELECT id, name, note, revision,
                        to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                        to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
                 FROM experiments WHERE id > $1 AND name = $3 ORDER BY id LIMIT $2",
            )
            .bind(after)
            .bind(i64::from(listing.limit))
            .bind(name),
        };
        let done = self.timed(statement.fetch_all(&mut *connection)).await;
        let rows: Vec<(Uuid, String, Option<String>, i32, String, String)> = self.settle(connection, done)?;
        let summary = |(id, name, note, revision, created_at, updated_at)| Summary {
            id,
            name,
            note,
            revision,
            created_at,
            updated_at,
        };
        Ok(rows.into_iter().map(summary).collect())
    }

    /// Forgets idempotency keys older than a day.
    pub async fn forget_old_keys(&self) -> Result<u64, StoreError> {
        let mut connection = self.connection().await?;
        let statement =
            sqlx::query("DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'");
        let done = self.timed(statement.execute(&mut *connection)).await;
        self.settle(connection, done).map(|done| done.rows_affected())
    }
}

fn experiment(row: Row) -> Result<Experiment, StoreError> {
    let (id, name, note, query, revision, created_at, updated_at) = row;
    let query = json(query)?;
    Ok(Experiment { id, name, note, query, revision, created_at, updated_at })
}

/// JSON that the database kept is passed on as it is.
pub(super) fn json(text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|why| sqlx::Error::Decode(Box::new(why)).into())
}
