//! Runs: a queue with leases. Whoever holds the lease computes; the answer of the last holder is applied, once.

use std::time::Duration;

use uuid::Uuid;

use super::experiments::json;
use super::{Store, StoreError};
use crate::experiment::{Run, State};

/// How often the state may change between two statements before the request gives up.
const TRIES: u32 = 3;
/// How many replicas may die over one run before it counts as failed.
const MAX_ATTEMPTS: i32 = 5;

/// What became of a request to run an experiment.
#[derive(Clone, Debug)]
pub enum Started {
    /// A new run waits.
    New(Run),
    /// An open run, or the run of an earlier request with the same key.
    Earlier(Run),
    /// There is no such experiment.
    NoExperiment,
}

/// A run that this replica holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The run.
    pub id: Uuid,
    /// Which claim this is; a later one makes it void.
    pub attempt: i32,
    /// The question, as JSON.
    pub query: String,
}

type Row = (Uuid, Uuid, String, i32, Option<String>, Option<String>, Option<String>, String, Option<String>);

impl Store {
    /// Puts a run of an experiment into the queue, or finds the one that this request means.
    pub async fn start_run(
        &self,
        id: Uuid,
        experiment: Uuid,
        key: Option<&str>,
    ) -> Result<Started, StoreError> {
        for _ in 0..TRIES {
            if let Some(run) = self.insert_run(id, experiment, key).await? {
                return Ok(Started::New(run));
            }
            match self.open_run(experiment, key).await? {
                None => return Ok(Started::NoExperiment),
                Some(Some(run)) => return Ok(Started::Earlier(run)),
                // It finished between the two statements.
                Some(None) => {}
            }
        }
        Err(StoreError::TimedOut)
    }

    async fn insert_run(
        &self,
        id: Uuid,
        experiment: Uuid,
        key: Option<&str>,
    ) -> Result<Option<Run>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_as::<_, Row>(
            "INSERT INTO runs (id, experiment_id, query, request_key)
             SELECT $1, id, query, $3 FROM experiments WHERE id = $2
             ON CONFLICT DO NOTHING
             RETURNING id, experiment_id, state, attempts, holder, answer::text, error,
                    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                    to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        )
        .bind(id)
        .bind(experiment)
        .bind(key);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        self.settle(connection, done)?.map(run).transpose()
    }

    /// The run with this key, else the open run. The outer `None` means that there is no such experiment.
    async fn open_run(&self, experiment: Uuid, key: Option<&str>) -> Result<Option<Option<Run>>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_as::<_, Row>(
            "SELECT id, experiment_id, state, attempts, holder, answer::text, error,
                    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                    to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
             FROM runs WHERE experiment_id = $1 AND (request_key = $2 OR state IN ('queued', 'running'))
             ORDER BY (request_key IS NOT DISTINCT FROM $2) DESC LIMIT 1",
        )
        .bind(experiment)
        .bind(key);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        match self.settle(connection, done)? {
            Some(row) => run(row).map(|run| Some(Some(run))),
            None => Ok(self.exists(experiment).await?.then_some(None)),
        }
    }

    async fn exists(&self, experiment: Uuid) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let statement =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM experiments WHERE id = $1)").bind(experiment);
        let done = self.timed(statement.fetch_one(&mut *connection)).await;
        self.settle(connection, done)
    }

    /// The latest run of an experiment. The outer `None` means that there is no such experiment.
    pub async fn latest_run(&self, experiment: Uuid) -> Result<Option<Option<Run>>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_as::<_, Row>(
            "SELECT id, experiment_id, state, attempts, holder, answer::text, error,
                    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                    to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
             FROM runs WHERE experiment_id = $1 ORDER BY runs.created_at DESC LIMIT 1",
        )
        .bind(experiment);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        match self.settle(connection, done)? {
            Some(row) => run(row).map(|run| Some(Some(run))),
            None => Ok(self.exists(experiment).await?.then_some(None)),
        }
    }

    /// Takes the oldest run that waits or whose holder went silent.
    pub async fn claim(&self, holder: &str, lease: Duration) -> Result<Option<Job>, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query_as::<_, (Uuid, i32, String)>(
            "UPDATE runs SET state = 'running', holder = $1, attempts = attempts + 1,
                    lease_until = now() + make_interval(secs => $2)
             WHERE id = (
                 SELECT id FROM runs
                 WHERE (state = 'queued' OR (state = 'running' AND lease_until < now())) AND attempts < $3
                 ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
             )
             RETURNING id, attempts, query::text",
        )
        .bind(holder)
        .bind(lease.as_secs_f64())
        .bind(MAX_ATTEMPTS);
        let done = self.timed(statement.fetch_optional(&mut *connection)).await;
        let claimed = self.settle(connection, done)?;
        Ok(claimed.map(|(id, attempt, query)| Job { id, attempt, query }))
    }

    /// Keeps a run for another lease; false when somebody else holds it by now.
    pub async fn renew(&self, job: &Job, lease: Duration) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query(
            "UPDATE runs SET lease_until = now() + make_interval(secs => $3)
             WHERE id = $1 AND attempts = $2 AND state = 'running'",
        )
        .bind(job.id)
        .bind(job.attempt)
        .bind(lease.as_secs_f64());
        let done = self.timed(statement.execute(&mut *connection)).await;
        self.settle(connection, done).map(|done| done.rows_affected() > 0)
    }

    /// Applies the outcome of a run: an answer as JSON, or what went wrong. False when it is no longer ours to apply.
    pub async fn finish(&self, job: &Job, outcome: Result<&str, &str>) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query(
            "UPDATE runs SET state = $3, answer = $4::text::json, error = $5,
                    finished_at = now(), lease_until = NULL
             WHERE id = $1 AND attempts = $2 AND state = 'running'",
        )
        .bind(job.id)
        .bind(job.attempt)
        .bind(if outcome.is_ok() { "finished" } else { "failed" })
        .bind(outcome.ok())
        .bind(outcome.err());
        let done = self.timed(statement.execute(&mut *connection)).await;
        self.settle(connection, done).map(|done| done.rows_affected() > 0)
    }

    /// Gives a run back, so that another replica can take it at once.
    pub async fn release(&self, job: &Job) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query(
            "UPDATE runs SET state = 'queued', holder = NULL, lease_until = NULL
             WHERE id = $1 AND attempts = $2 AND state = 'running'",
        )
        .bind(job.id)
        .bind(job.attempt);
        let done = self.timed(statement.execute(&mut *connection)).await;
        self.settle(connection, done).map(|done| done.rows_affected() > 0)
    }

    /// Ends runs that took their holder down too often.
    pub async fn fail_hopeless_runs(&self) -> Result<u64, StoreError> {
        let mut connection = self.connection().await?;
        let statement = sqlx::query(
            "UPDATE runs SET state = 'failed', error = 'no replica lived long enough to finish it',
                    finished_at = now(), lease_until = NULL
             WHERE state IN ('queued', 'running') AND attempts >= $1
               AND (lease_until IS NULL OR lease_until < now())",
        )
        .bind(MAX_ATTEMPTS);
        let done = self.timed(statement.execute(&mut *connection)).await;
        self.settle(connection, done).map(|done| done.rows_affected())
    }
}

fn run(row: Row) -> Result<Run, StoreError> {
    let (id, experiment_id, word, attempts, replica, answer, error, created_at, finished_at) = row;
    let state = State::parse(&word).ok_or_else(|| sqlx::Error::Decode(word.into()))?;
    let answer = answer.map(json).transpose()?;
    Ok(Run { id, experiment_id, state, attempts, replica, answer, error, created_at, finished_at })
}
