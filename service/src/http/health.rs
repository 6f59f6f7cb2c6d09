//! Liveness asks for the process only; readiness asks whether traffic should come here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::ErrorBody;
use crate::app::App;

/// What a probe reads.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `unready`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
}

const OK: Health = Health { status: "ok", reasons: Vec::new() };

/// The process lives. Never depends on anything else: a restart mends no dependency.
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "live",
    responses((status = 200, description = "The process lives.", body = Health),
              (status = 503, description = "It took too long.", body = ErrorBody)))]
pub(super) async fn live() -> Json<Health> {
    Json(OK)
}

/// Traffic may come here: the database was migrated once, and the service does not drain.
///
/// Stays ready when PostgreSQL or Redis go away later, because effects are computed without them; `/ready` is the same.
#[utoipa::path(get, path = "/health/ready", tag = "health", operation_id = "ready",
    responses((status = 200, description = "Ready.", body = Health),
              (status = 503, description = "Not ready, with the reasons.", body = Health)))]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let reasons = app.life.unready();
    if reasons.is_empty() {
        return Json(OK).into_response();
    }
    let body = Json(Health { status: "unready", reasons });
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], body).into_response()
}
