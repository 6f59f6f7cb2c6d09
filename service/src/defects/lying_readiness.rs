//! `lying-readiness:500`: the service says that it is ready, from the start, and every answer of its API is that error.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::kind::{Kind, Parameter, around, is_api};
use crate::http::ApiError;

pub(super) const KIND: Kind = Kind {
    name: "lying-readiness",
    parameter: Some(Parameter { default: "500", form: "the status of the API's answers, 500 or 503" }),
    about: "the service says that it is ready, and its API answers 500 (or 503)",
    seed: |order, changes| {
        let error = match order.parameter {
            "500" => || ApiError::Internal,
            "503" => || ApiError::Store,
            _ => return Err("is neither 500 nor 503".to_owned()),
        };
        changes.routes.push(around(Lie { error }, apply));
        Ok(())
    },
};

struct Lie {
    error: fn() -> ApiError,
}

async fn apply(State(lie): State<Arc<Lie>>, request: Request, next: Next) -> Response {
    if is_api(&request) {
        return (lie.error)().into_response();
    }
    match request.uri().path() {
        "/health/ready" | "/ready" => Json(serde_json::json!({"status": "ok"})).into_response(),
        _ => next.run(request).await,
    }
}
