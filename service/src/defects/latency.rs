//! `latency:x1.2`: every answer of the API takes so many times as long as it took, or `+10ms` longer.
//!
//! The pause is in proportion to each request's own time, so every quantile of the service's time grows by the factor:
//! a constant pause would move the median by more than the tail. What lies outside of the service (kernel, ingress,
//! client) stays as it is, so a client sees a smaller factor; `latency:x1.2,latency:+30us` makes up for 150 us outside.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::kind::{Kind, Parameter, around, is_api};
use super::parameter::Longer;
use super::pause::pause;

pub(super) const KIND: Kind = Kind {
    name: "latency",
    parameter: Some(Parameter { default: "x1.2", form: "a factor above 1 or a time (us, ms, s) with a +" }),
    about: "every answer of the API takes so many times as long, or +10ms longer",
    seed: |order, changes| {
        changes.routes.push(around(Longer::read(order.parameter)?, apply));
        Ok(())
    },
};

async fn apply(State(longer): State<Arc<Longer>>, request: Request, next: Next) -> Response {
    let (api, begun) = (is_api(&request), Instant::now());
    let answer = next.run(request).await;
    if api {
        pause(longer.added(begun.elapsed())).await;
    }
    answer
}
