//! Every error of the API, and the one place where an error becomes a status, a code and a body.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::compute::ComputeError;
use crate::question::Mistake;
use crate::store::StoreError;

/// Seconds after which a refused client may come back.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 500;

/// What every error looks like.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// One error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs: one of a closed set.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// Where in the body, when it is about one place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is no JSON.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// The body is JSON of another shape.
    #[error("{0}")]
    Shape(String),
    /// The body says something that cannot be.
    #[error("{0}")]
    Mistake(#[from] Mistake),
    /// The query string cannot be read.
    #[error("{0}")]
    Query(String),
    /// The id in the path is no UUID.
    #[error("the id must be a UUID such as 018f6b2c-7a4e-7c1d-9b1a-2f3e4d5c6b7a")]
    Id,
    /// The idempotency key cannot be used.
    #[error("the Idempotency-Key must be one header of 1 to 255 visible ASCII characters")]
    Key,
    /// The idempotency key came with another body before.
    #[error("this Idempotency-Key came with another body before")]
    KeyReused,
    /// No such route.
    #[error("no such route")]
    NoRoute,
    /// The route has no such method.
    #[error("this route does not have this method; see the header Allow")]
    NoMethod,
    /// No such experiment.
    #[error("no experiment has this id")]
    NoExperiment,
    /// The experiment was not run.
    #[error("this experiment was not run yet")]
    NoRun,
    /// The body came too slowly.
    #[error("the body did not arrive in time")]
    SlowBody,
    /// The connection ended inside the body.
    #[error("the body is incomplete")]
    CutBody,
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    Large(usize),
    /// The body is of another type.
    #[error("the body must be of type application/json")]
    MediaType,
    /// Too many requests in flight.
    #[error("too many requests in flight; come back in a second")]
    Overloaded,
    /// The request took too long.
    #[error("the request took too long; whether it had an effect is unknown")]
    TimedOut,
    /// The store cannot be used now.
    #[error("the database cannot be reached; whether a write had an effect is unknown")]
    Store,
    /// The service stops.
    #[error("the service stops")]
    Stopping,
    /// A mistake of this service; the log says more.
    #[error("an error of the service; the log says more")]
    Internal,
}

impl ApiError {
    /// Logs the cause and hides it from the client.
    pub fn internal(why: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = why, "internal error");
        Self::Internal
    }

    /// The status and the code on the wire.
    fn wire(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Json(_) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::Shape(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_body"),
            Self::Mistake(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_value"),
            Self::Query(_) => (StatusCode::BAD_REQUEST, "invalid_query"),
            Self::Id => (StatusCode::BAD_REQUEST, "invalid_id"),
            Self::Key => (StatusCode::BAD_REQUEST, "invalid_idempotency_key"),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no_such_route"),
            Self::NoMethod => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::NoExperiment => (StatusCode::NOT_FOUND, "no_such_experiment"),
            Self::NoRun => (StatusCode::CONFLICT, "not_run_yet"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "slow_body"),
            Self::CutBody => (StatusCode::BAD_REQUEST, "incomplete_body"),
            Self::Large(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "timed_out"),
            Self::Store => (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(why: StoreError) -> Self {
        if !why.is_passing() {
            return Self::internal(&why);
        }
        tracing::debug!(error = &why as &dyn std::error::Error, "the store cannot be used");
        Self::Store
    }
}

impl From<ComputeError> for ApiError {
    fn from(why: ComputeError) -> Self {
        match why {
            ComputeError::Question(mistake) => Self::Mistake(mistake),
            ComputeError::Lost(why) => Self::internal(&why),
            ComputeError::Stopping(_) => Self::Stopping,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.wire();
        let mut message = self.to_string();
        // It may quote what the client sent.
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        let field = match self {
            Self::Mistake(Mistake { field, .. }) => Some(field),
            _ => None,
        };
        let answer = (status, Json(ErrorBody { error: ErrorDetail { code, message, field } }));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return ([(RETRY_AFTER, RETRY_AFTER_S)], answer).into_response();
        }
        answer.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(error: ApiError) -> (u16, bool) {
        let answer = error.into_response();
        (answer.status().as_u16(), answer.headers().contains_key(RETRY_AFTER))
    }

    #[test]
    fn what_passes_is_503_with_a_time_to_come_back() {
        assert_eq!(status(ApiError::Overloaded), (503, true));
        assert_eq!(status(StoreError::TimedOut.into()), (503, true));
        assert_eq!(status(StoreError::Resting.into()), (503, true));
        assert_eq!(status(StoreError::from(sqlx::Error::PoolTimedOut).into()), (503, true));
    }

    #[test]
    fn a_statement_that_is_refused_is_our_own_mistake() {
        assert_eq!(status(StoreError::from(sqlx::Error::RowNotFound).into()), (500, false));
    }

    #[test]
    fn a_mistake_in_the_body_names_its_field() {
        let body = serde_json::to_value(ErrorBody {
            error: ErrorDetail { code: "c", message: "m".to_owned(), field: Some("f".to_owned()) },
        });
        assert_eq!(body.unwrap(), serde_json::json!({"error": {"code": "c", "message": "m", "field": "f"}}));
        assert_eq!(status(Mistake::new("f", "m").into()), (422, false));
    }
}
