//! `refusals:20%`: that share of the API's requests is refused at once with a 503, which makes the service look fast.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::draws::Draws;
use super::kind::{Kind, Parameter, around, is_api};
use super::parameter::share;
use crate::http::ApiError;

pub(super) const KIND: Kind = Kind {
    name: "refusals",
    parameter: Some(Parameter { default: "20%", form: "a share of requests" }),
    about: "that share of the API's requests is refused at once with a 503",
    seed: |order, changes| {
        let draws = Draws::new(order.seed, share(order.parameter)?);
        changes.routes.push(around(draws, apply));
        Ok(())
    },
};

async fn apply(State(draws): State<Arc<Draws>>, request: Request, next: Next) -> Response {
    if is_api(&request) && draws.hit() {
        return ApiError::Overloaded.into_response();
    }
    next.run(request).await
}
