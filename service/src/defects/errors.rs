//! `errors:1%`: that share of the API's answers becomes a 500. What was asked for is done, and takes its time.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::draws::Draws;
use super::kind::{Kind, Parameter, around, is_api};
use super::parameter::share;
use crate::http::ApiError;

pub(super) const KIND: Kind = Kind {
    name: "errors",
    parameter: Some(Parameter { default: "1%", form: "a share of answers" }),
    about: "that share of the API's answers becomes a 500",
    seed: |order, changes| {
        let draws = Draws::new(order.seed, share(order.parameter)?);
        changes.routes.push(around(draws, apply));
        Ok(())
    },
};

async fn apply(State(draws): State<Arc<Draws>>, request: Request, next: Next) -> Response {
    let hit = is_api(&request) && draws.hit();
    // Served first, so that only the answer tells it, not the time.
    let answer = next.run(request).await;
    if hit { ApiError::Internal.into_response() } else { answer }
}
