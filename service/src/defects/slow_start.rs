//! `slow-start:20s`: for so long after the start the service is not ready and its API answers 503; then it is as ever.
//!
//! Liveness answers from the beginning: a service that is slow to start must not be restarted for it.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::kind::{Kind, Parameter, around};
use super::parameter::duration;
use crate::http::ApiError;

pub(super) const KIND: Kind = Kind {
    name: "slow-start",
    parameter: Some(Parameter { default: "20s", form: "a time (ms, s, m) after the start" }),
    about: "for so long the service is not ready and its API answers 503",
    seed: |order, changes| {
        let until = Instant::now() + duration(order.parameter)?;
        changes.routes.push(around(until, apply));
        Ok(())
    },
};

async fn apply(State(until): State<Arc<Instant>>, request: Request, next: Next) -> Response {
    let live = request.uri().path() == "/health";
    if !live && Instant::now() < *until {
        return ApiError::Overloaded.into_response();
    }
    next.run(request).await
}
