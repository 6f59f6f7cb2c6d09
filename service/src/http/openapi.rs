//! The OpenAPI document, made from the handlers and their types.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponsesBuilder};
use utoipa::{IntoResponses, OpenApi};

use super::{ErrorBody, ate, experiments, health, runs};

/// The API of the service.
#[derive(OpenApi)]
#[openapi(
    info(title = "causal-service", description = "Average treatment effects in linear-Gaussian causal models.",
         license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(ate::estimate, experiments::create, experiments::list, experiments::read, experiments::replace,
          experiments::delete, runs::start, runs::results, health::live, health::ready, serve),
    components(schemas(ErrorBody)),
    tags((name = "interventions", description = "Effects of interventions."),
         (name = "experiments", description = "Stored questions and their runs."),
         (name = "health", description = "Probes."),
         (name = "meta", description = "About this API."))
)]
struct Api;

/// The document as pretty JSON with a line feed at its end.
pub fn document() -> Result<String, serde_json::Error> {
    Api::openapi().to_pretty_json().map(|text| text + "\n")
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "meta", operation_id = "openapi",
    responses((status = 200, description = "The document.", body = serde_json::Value),
              (status = 503, description = "Too many requests in flight.", body = ErrorBody)))]
pub(super) async fn serve() -> impl IntoResponse {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().unwrap_or_default().into());
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}

/// What can go wrong wherever a body is read.
pub(super) struct BodyErrors;

impl IntoResponses for BodyErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[
            ("400", "The body is no JSON, or something beside it cannot be read."),
            ("408", "The body did not arrive in time."),
            ("413", "The body is larger than 1 MiB."),
            ("415", "The body is of another type."),
            ("422", "The body says something that cannot be; the field is named."),
            ("503", "Too many requests in flight, or the request took too long."),
        ])
    }
}

/// What can go wrong wherever the database is asked.
pub(super) struct StoreErrors;

impl IntoResponses for StoreErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[
            ("500", "An error of the service."),
            (
                "503",
                "The database cannot be reached, or too many requests are in flight. A write may have happened.",
            ),
        ])
    }
}

fn errors(errors: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let responses = errors.iter().fold(ResponsesBuilder::new(), |all, (status, description)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
        let response = ResponseBuilder::new().description(*description).content("application/json", content);
        all.response(*status, response)
    });
    responses.build().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ROUTES;

    #[test]
    fn every_route_but_the_alias_is_documented() {
        let api = Api::openapi();
        let mut documented: Vec<&str> = api.paths.paths.keys().map(String::as_str).collect();
        let mut routes: Vec<&str> = ROUTES.into_iter().filter(|route| *route != "/ready").collect();
        documented.sort_unstable();
        routes.sort_unstable();
        assert_eq!(documented, routes);
    }

    #[test]
    fn the_document_states_the_limits_of_the_engine() {
        use causal_engine::limits::{MAX_EDGES, MAX_MAGNITUDE, MAX_NAME_CHARS, MAX_NODES, MAX_SAMPLES};
        let api: serde_json::Value = serde_json::from_str(&document().unwrap()).unwrap();
        let schema = |name: &str, field: &str, limit: &str| {
            api["components"]["schemas"][name]["properties"][field][limit].as_f64().unwrap()
        };
        assert_eq!(schema("Model", "nodes", "maxItems"), MAX_NODES as f64);
        assert_eq!(schema("Model", "edges", "maxItems"), MAX_EDGES as f64);
        assert_eq!(schema("Node", "name", "maxLength"), MAX_NAME_CHARS as f64);
        assert_eq!(schema("Question", "samples", "maximum"), MAX_SAMPLES as f64);
        assert_eq!(schema("Edge", "weight", "maximum"), MAX_MAGNITUDE);
    }
}
