//! `POST /api/v1/interventions/ate`: an average treatment effect, from the cache or computed.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::JsonBody;
use super::openapi::BodyErrors;
use super::{ApiError, ErrorBody};
use crate::answer::Answer;
use crate::app::App;
use crate::cache::Lookup;
use crate::question::Question;
use crate::telemetry::LookupResult;

/// An estimated average treatment effect, and how it came about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Estimate {
    /// Mean outcome of the treated arm less that of the control arm.
    pub estimate: f64,
    /// Standard error of the estimate.
    #[schema(minimum = 0)]
    pub standard_error: f64,
    /// The 95 % confidence interval: lower bound, upper bound.
    pub confidence_interval: [f64; 2],
    /// Draws for each arm.
    pub samples: u64,
    /// Time from the parsed request to the answer, in milliseconds.
    #[schema(minimum = 0)]
    pub elapsed_ms: f64,
    /// What computed it.
    #[schema(example = "cpu")]
    pub backend: &'static str,
    /// Whether it was computed before.
    pub cached: bool,
}

/// Estimates an average treatment effect by drawing from the model under both interventions.
///
/// The same question, in any order of nodes and edges, has the same answer to the last bit. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/interventions/ate", tag = "interventions", operation_id = "estimate",
    request_body = Question,
    responses((status = 200, description = "The estimate.", body = Estimate), BodyErrors,
              (status = 500, description = "An error of the service.", body = ErrorBody)))]
pub(super) async fn estimate(
    State(app): State<Arc<App>>,
    JsonBody(question): JsonBody<Question>,
) -> Result<Json<Estimate>, ApiError> {
    let begun = Instant::now();
    let question = question.canonical()?;
    let name = question.digest();
    let found = app.cache.get(name).await;
    if let Lookup::Hit(answer) = found {
        app.metrics.lookup(LookupResult::Hit);
        return Ok(body(answer, begun, true));
    }
    let answer = app.compute.answer(question).await?;
    // Counted only now: a question without an answer says nothing about the cache.
    let missed = if found == Lookup::Miss { LookupResult::Miss } else { LookupResult::Error };
    app.metrics.lookup(missed);
    app.cache.put(name, &answer).await;
    Ok(body(answer, begun, false))
}

fn body(answer: Answer, begun: Instant, cached: bool) -> Json<Estimate> {
    let Answer { estimate, standard_error, confidence_interval, samples } = answer;
    let elapsed_ms = begun.elapsed().as_secs_f64() * 1e3;
    Json(Estimate {
        estimate,
        standard_error,
        confidence_interval,
        samples,
        elapsed_ms,
        backend: "cpu",
        cached,
    })
}
