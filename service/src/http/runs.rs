//! `/api/v1/experiments/{id}/run` and `/results`: ask for a run, read what came of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::experiments::REPLAYED;
use super::openapi::StoreErrors;
use super::params::{Id, Key};
use super::{ApiError, ErrorBody};
use crate::app::App;
use crate::experiment::Run;
use crate::store::Started;

/// Asks for a run of the experiment's question as it is now.
///
/// An experiment has one open run at most: while it is open, and with the `Idempotency-Key` that it was asked for
/// with, the answer is that run.
#[utoipa::path(post, path = "/api/v1/experiments/{id}/run", tag = "experiments", operation_id = "run_experiment",
    params(("id" = Uuid, Path, description = "The experiment."),
           ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses((status = 202, description = "The run is queued, and survives the death of any replica.", body = Run,
               headers(("location" = String, description = "Where its result will be."),
                       ("idempotent-replayed" = String, description = "`true` when it was there already."))),
              (status = 400, description = "The id or the key cannot be used.", body = ErrorBody),
              (status = 404, description = "No such experiment.", body = ErrorBody), StoreErrors))]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Key(key): Key,
) -> Result<Response, ApiError> {
    let (run, replayed) = match app.store.start_run(Uuid::now_v7(), id, key?.as_deref()).await? {
        Started::New(run) => (run, None),
        Started::Earlier(run) => (run, Some([REPLAYED])),
        Started::NoExperiment => return Err(ApiError::NoExperiment),
    };
    app.queued.notify_one();
    let location = [(LOCATION, format!("/api/v1/experiments/{id}/results"))];
    let answer = (StatusCode::ACCEPTED, location, Json(run));
    Ok(match replayed {
        Some(header) => (header, answer).into_response(),
        None => answer.into_response(),
    })
}

/// Reads the latest run of an experiment.
#[utoipa::path(get, path = "/api/v1/experiments/{id}/results", tag = "experiments", operation_id = "read_results",
    params(("id" = Uuid, Path, description = "The experiment.")),
    responses((status = 200, description = "The latest run, with its answer once it is finished.", body = Run),
              (status = 400, description = "The id is no UUID.", body = ErrorBody),
              (status = 404, description = "No such experiment.", body = ErrorBody),
              (status = 409, description = "It was not run yet.", body = ErrorBody), StoreErrors))]
pub(super) async fn results(State(app): State<Arc<App>>, Id(id): Id) -> Result<Json<Run>, ApiError> {
    let latest = app.store.latest_run(id).await?.ok_or(ApiError::NoExperiment)?;
    latest.map(Json).ok_or(ApiError::NoRun)
}
