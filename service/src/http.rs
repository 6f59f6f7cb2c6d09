//! The API: routes, and what holds for every request.

mod ate;
mod body;
mod error;
mod experiments;
mod guard;
mod health;
mod openapi;
mod params;
mod runs;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::app::App;
use crate::changes::Around;

pub use error::{ApiError, ErrorBody, ErrorDetail};
pub use openapi::document;

/// Every route's template: the only values of the label `route`.
pub const ROUTES: [&str; 9] = [
    "/api/v1/interventions/ate",
    "/api/v1/experiments",
    "/api/v1/experiments/{id}",
    "/api/v1/experiments/{id}/run",
    "/api/v1/experiments/{id}/results",
    "/health",
    "/health/ready",
    "/ready",
    "/openapi.json",
];

/// The API with the changes of another build and the guard around it.
pub fn api(app: &Arc<App>, changes: Vec<Around>) -> Router {
    let routes = Router::new()
        .route("/api/v1/interventions/ate", post(ate::estimate))
        .route("/api/v1/experiments", post(experiments::create).get(experiments::list))
        .route(
            "/api/v1/experiments/{id}",
            get(experiments::read).put(experiments::replace).delete(experiments::delete),
        )
        .route("/api/v1/experiments/{id}/run", post(runs::start))
        .route("/api/v1/experiments/{id}/results", get(runs::results))
        .route("/health", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/ready", get(health::ready))
        .route("/openapi.json", get(openapi::serve))
        .fallback(|| async { ApiError::NoRoute })
        .method_not_allowed_fallback(|| async { ApiError::NoMethod })
        .with_state(Arc::clone(app));
    let routes = changes.into_iter().fold(routes, |routes, around| around(routes, app));
    routes.layer(axum::middleware::from_fn_with_state(Arc::clone(app), guard::guard))
}

/// The metrics, on a listener of their own.
pub fn metrics(app: &Arc<App>) -> Router {
    let app = Arc::clone(app);
    let scrape = move || async move {
        let open_metrics = [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
        match app.metrics.text() {
            Ok(text) => (open_metrics, text).into_response(),
            Err(why) => ApiError::internal(&why).into_response(),
        }
    };
    Router::new().route("/metrics", get(scrape)).fallback(|| async { ApiError::NoRoute })
}
