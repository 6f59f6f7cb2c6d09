//! What holds for every request: a bound on how many and how long, a name in the answer, a count.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::metrics::gauge::Gauge;

use super::{ApiError, ROUTES};
use crate::app::App;
use crate::telemetry::RequestLabels;

const REPLICA: HeaderName = HeaderName::from_static("x-replica");
const VERSION: HeaderName = HeaderName::from_static("x-version");

/// One request in flight; counted down even when the client goes away.
struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Around every route.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = method(request.method());
    let route = route(request.extensions().get::<MatchedPath>());
    let mut answer = bounded(&app, route, request, next).await;
    let headers = answer.headers_mut();
    headers.insert(REPLICA, app.replica.clone());
    headers.insert(VERSION, app.version.clone());
    if app.life.is_draining() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let (status, seconds) = (answer.status().as_u16(), begun.elapsed().as_secs_f64());
    app.metrics.request(RequestLabels { method, route, status }, seconds);
    tracing::debug!(method, route, status, seconds, "request");
    answer
}

/// Refuses at once what is one too many, and ends what takes too long.
async fn bounded(app: &App, route: &str, request: Request, next: Next) -> Response {
    let before = app.metrics.in_flight.inc();
    let _in_flight = InFlight(&app.metrics.in_flight);
    let most = i64::try_from(app.settings.max_concurrent_requests).unwrap_or(i64::MAX);
    if before >= most && !is_health(route) {
        return ApiError::Overloaded.into_response();
    }
    match tokio::time::timeout(app.settings.request_timeout, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

/// Probes are answered however busy the service is; a busy replica must not be restarted.
fn is_health(route: &str) -> bool {
    matches!(route, "/health" | "/health/ready" | "/ready")
}

fn route(matched: Option<&MatchedPath>) -> &'static str {
    let matched = matched.map_or("", MatchedPath::as_str);
    ROUTES.iter().find(|route| **route == matched).copied().unwrap_or("unmatched")
}

fn method(method: &Method) -> &'static str {
    let known = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS];
    let names = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"];
    known.iter().position(|k| k == method).map_or("OTHER", |at| names[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_closed_sets() {
        assert_eq!(method(&Method::PUT), "PUT");
        assert_eq!(method(&Method::from_bytes(b"BREW").unwrap()), "OTHER");
        assert_eq!(route(None), "unmatched");
    }

    #[test]
    fn in_flight_is_counted_down_however_the_request_ends() {
        let gauge = Gauge::default();
        gauge.inc();
        drop(InFlight(&gauge));
        assert_eq!(gauge.get(), 0);
    }
}
