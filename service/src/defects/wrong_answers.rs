//! `wrong-answers:1%`: that share of estimates is off by more than 20 standard errors, with its interval, status 200.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::draws::Draws;
use super::kind::{Kind, Parameter, around};
use super::parameter::share;
use crate::http::ApiError;

/// The longest answer that is changed.
const MAX_ANSWER: usize = 1024 * 1024;

pub(super) const KIND: Kind = Kind {
    name: "wrong-answers",
    parameter: Some(Parameter { default: "1%", form: "a share of estimates" }),
    about: "that share of estimates is off by more than 20 standard errors, with status 200",
    seed: |order, changes| {
        let draws = Draws::new(order.seed, share(order.parameter)?);
        changes.routes.push(around(draws, apply));
        Ok(())
    },
};

async fn apply(State(draws): State<Arc<Draws>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let asks = route == "/api/v1/interventions/ate";
    let answer = next.run(request).await;
    if asks && answer.status() == StatusCode::OK && draws.hit() { falsify(answer).await } else { answer }
}

/// Moves the estimate and its interval by more than any tolerance.
async fn falsify(answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_ANSWER).await else { return ApiError::Internal.into_response() };
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
        return Response::from_parts(head, Body::from(bytes));
    };
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_default();
    let estimate = number(&value["estimate"]);
    let off = 10.0 + 2.0 * estimate.abs() + 20.0 * number(&value["standard_error"]);
    value["estimate"] = (estimate + off).into();
    for at in 0..2 {
        value["confidence_interval"][at] = (number(&value["confidence_interval"][at]) + off).into();
    }
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_falsified_answer_is_far_off_and_still_well_formed() {
        let right = r#"{"estimate":1.0,"standard_error":0.25,"confidence_interval":[0.5,1.5]}"#;
        let wrong = falsify(Response::new(Body::from(right))).await;
        let bytes = to_bytes(wrong.into_body(), 1000).await.unwrap();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let expected = serde_json::json!({
            "estimate": 18.0, "standard_error": 0.25, "confidence_interval": [17.5, 18.5]
        });
        assert_eq!(value, expected);
    }
}
