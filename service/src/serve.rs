//! The life of a replica: start, serve, drain, end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use sqlx::migrate::{MigrateError, Migration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::app::{App, AppError};
use crate::changes::Changes;
use crate::config::Settings;
use crate::http;
use crate::jobs;
use crate::lifecycle::Phase;
use crate::store::is_refused;

/// Pause between two attempts to migrate.
const MIGRATE_AGAIN: Duration = Duration::from_millis(500);
/// Time to give back what is held, once time is up.
const LAST: Duration = Duration::from_secs(3);

/// Why a replica could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting that a library refuses.
    #[error(transparent)]
    App(#[from] AppError),
    /// A port cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be caught.
    #[error("cannot catch signals")]
    Signal(#[source] std::io::Error),
    /// A migration cannot be done; the schema is as it was before that migration.
    // Its own text tells the cause.
    #[error("the database refused to be migrated: {0}")]
    Migration(MigrateError),
}

/// Serves until a signal, drains, and returns. Ends early when the database refuses to be migrated.
pub async fn serve(settings: Settings, changes: Changes) -> Result<(), ServeError> {
    let stop = stop_signal().map_err(ServeError::Signal)?;
    let app = Arc::new(App::new(settings)?);
    let api = listen(SocketAddr::new(app.settings.host, app.settings.port)).await?;
    let metrics = listen(SocketAddr::new(app.settings.host, app.settings.metrics_port)).await?;
    announce(&app, &api, &metrics);
    let mut migration = tokio::spawn(migrate(Arc::clone(&app), changes.migrations));
    let worker = tokio::spawn(jobs::work(Arc::clone(&app)));
    let scrapes = tokio::spawn(axum::serve(metrics, http::metrics(&app)).into_future());
    let requests = http::api(&app, changes.routes);
    let served = tokio::select! {
        _ = async { tokio::join!(accept(&app, api, requests), drain(&app, stop)) } => Ok(()),
        why = refused(&mut migration) => Err(ServeError::Migration(why)),
    };
    app.life.advance(Phase::Stopping);
    migration.abort();
    if tokio::time::timeout(LAST, worker).await.is_err() {
        tracing::warn!("the worker did not end in time; its lease will run out");
    }
    app.store.close().await;
    scrapes.abort();
    tracing::info!("stopped");
    served
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

fn announce(app: &App, api: &TcpListener, metrics: &TcpListener) {
    let port = |of: &TcpListener| of.local_addr().map(|at| at.port()).unwrap_or_default();
    let (replica, version) = (&app.settings.replica, &app.settings.version);
    tracing::info!(replica, version, port = port(api), metrics_port = port(metrics), "listening");
}

/// The first SIGTERM or SIGINT. Caught from here on, so that none is missed while starting.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Tries until the schema is there; only then is the replica ready. An outage passes; a refusal does not.
async fn migrate(app: Arc<App>, further: Vec<Migration>) -> Result<(), MigrateError> {
    while let Err(why) = app.store.migrate(&further).await {
        if is_refused(&why) {
            return Err(why);
        }
        tracing::warn!(error = &why as &dyn std::error::Error, "the database was not migrated; trying again");
        tokio::time::sleep(MIGRATE_AGAIN).await;
    }
    app.life.migrated();
    tracing::info!("the database is migrated");
    Ok(())
}

/// Returns only when the database refused.
async fn refused(migration: &mut JoinHandle<Result<(), MigrateError>>) -> MigrateError {
    match migration.await {
        Ok(Err(why)) => why,
        _ => std::future::pending().await,
    }
}

/// Serves until time is up, or until all connections have ended after draining began.
async fn accept(app: &Arc<App>, listener: TcpListener, requests: Router) {
    let until = {
        let app = Arc::clone(app);
        async move {
            app.life.reached(Phase::Draining).await;
            // Whoever sends traffic here learns that it should not, before connections are refused.
            tokio::time::sleep(app.settings.drain_delay).await;
        }
    };
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(error = &error as &dyn std::error::Error, "no TCP_NODELAY");
        }
    });
    let serving = axum::serve(listener, requests).with_graceful_shutdown(until);
    tokio::select! {
        _ = serving => {}
        () = app.life.reached(Phase::Stopping) => tracing::warn!("requests were cut off: DRAIN_TIMEOUT is over"),
    }
}

/// Waits for the signal and leads the way down; ends early when the last request has ended.
async fn drain(app: &Arc<App>, stop: impl Future<Output = ()>) {
    stop.await;
    tracing::info!("draining");
    app.life.advance(Phase::Draining);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        tokio::time::sleep(app.settings.drain_delay + app.settings.drain_timeout).await;
        app.life.advance(Phase::Stopping);
    });
}
