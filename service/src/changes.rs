//! What another build changes of the service: a build for tests seeds defects this way. The service changes nothing.

use std::sync::Arc;

use axum::Router;
use sqlx::migrate::Migration;

use crate::app::App;

/// A change to the routes, inside the guard.
pub type Around = Box<dyn FnOnce(Router, &Arc<App>) -> Router>;

/// The changes; by default there is none.
#[derive(Default)]
pub struct Changes {
    /// Put around the routes in this order: the first is the innermost.
    pub routes: Vec<Around>,
    /// Done after the service's own.
    pub migrations: Vec<Migration>,
}
