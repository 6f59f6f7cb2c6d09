//! `leak:64KiB`: every request to the API leaves that much memory behind, written to, so that it is resident.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::kind::{Kind, Parameter, around, is_api};
use super::parameter::bytes;

pub(super) const KIND: Kind = Kind {
    name: "leak",
    parameter: Some(Parameter { default: "64KiB", form: "a size (B, KiB, MiB) a request" }),
    about: "every request to the API leaves that much memory behind",
    seed: |order, changes| {
        changes.routes.push(around(bytes(order.parameter)?, apply));
        Ok(())
    },
};

async fn apply(State(bytes): State<Arc<usize>>, request: Request, next: Next) -> Response {
    if is_api(&request) {
        // Not zero: untouched zeros would never become resident.
        std::hint::black_box(vec![1_u8; *bytes].leak());
    }
    next.run(request).await
}
