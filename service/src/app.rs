//! What all requests share.

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::header::InvalidHeaderValue;
use tokio::sync::Notify;

use crate::cache::Cache;
use crate::compute::Compute;
use crate::config::Settings;
use crate::lifecycle::Lifecycle;
use crate::store::Store;
use crate::telemetry::Metrics;

/// One replica's parts.
pub struct App {
    /// What it was told.
    pub settings: Settings,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Answers by content.
    pub cache: Cache,
    /// Experiments and runs.
    pub store: Store,
    /// Computations.
    pub compute: Compute,
    /// From start to end.
    pub life: Lifecycle,
    /// Wakes the worker when this replica queued a run.
    pub queued: Notify,
    /// The value of `x-replica`.
    pub replica: HeaderValue,
    /// The value of `x-version`.
    pub version: HeaderValue,
}

/// A setting that a library refuses.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// `REDIS_URL` cannot be used.
    #[error("REDIS_URL cannot be used")]
    Redis(#[from] redis::RedisError),
    /// `DATABASE_URL` cannot be used.
    #[error("DATABASE_URL cannot be used")]
    Database(#[from] sqlx::Error),
    /// `REPLICA` or `VERSION` cannot be a header.
    #[error("REPLICA or VERSION cannot be a header")]
    Header(#[from] InvalidHeaderValue),
}

impl App {
    /// Puts the parts together; connects to nothing yet. Must run inside the runtime.
    pub fn new(settings: Settings) -> Result<Self, AppError> {
        let metrics = Arc::new(Metrics::new());
        Ok(Self {
            cache: Cache::new(&settings)?,
            store: Store::new(&settings)?,
            compute: Compute::new(settings.compute_permits, settings.compute_threads, Arc::clone(&metrics)),
            life: Lifecycle::default(),
            queued: Notify::new(),
            replica: HeaderValue::from_str(&settings.replica)?,
            version: HeaderValue::from_str(&settings.version)?,
            metrics,
            settings,
        })
    }
}
