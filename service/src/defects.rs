//! Seeded defects: each makes the service wrong in one way that a test harness should find. Never in a release image.
//!
//! They lie around the routes and change nothing inside them, so the code that is released is the code that is tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, LOCATION};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::App;
use crate::config::{Environment, Source};
use crate::http::ApiError;

/// The setting that selects a defect.
const SETTING: &str = "DEFECT";
/// The longest answer that a defect changes.
const MAX_ANSWER: usize = 1024 * 1024;

/// One defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Every tenth answer comes 300 ms late.
    SlowTenth,
    /// Every fiftieth experiment is acknowledged but not stored.
    LostWrite,
    /// Every fifth request is refused at once.
    Fast503,
    /// Every hundredth estimate is far off.
    WrongAnswer,
    /// Every fiftieth experiment is stored twice.
    DoubleWrite,
}

/// All of them, by name.
pub const DEFECTS: [(&str, Defect); 5] = [
    ("slow-tenth", Defect::SlowTenth),
    ("lost-write", Defect::LostWrite),
    ("fast-503", Defect::Fast503),
    ("wrong-answer", Defect::WrongAnswer),
    ("double-write", Defect::DoubleWrite),
];

/// `DEFECT` names no defect.
#[derive(Debug, thiserror::Error)]
#[error("{SETTING}: {name:?} is no defect; write one of {}", DEFECTS.map(|(name, _)| name).join(", "))]
pub struct UnknownDefect {
    name: String,
}

/// The defect that is asked for; without the setting there is none, which is the control.
pub fn selected(source: &dyn Source) -> Result<Option<Defect>, UnknownDefect> {
    let Some(name) = source.get(SETTING).filter(|name| !name.is_empty()) else { return Ok(None) };
    let found = DEFECTS.iter().find(|(known, _)| *known == name);
    found.map(|(_, defect)| Some(*defect)).ok_or(UnknownDefect { name })
}

/// Puts the selected defect around the routes.
pub fn wrap(routes: Router, app: &Arc<App>) -> Router {
    let Ok(Some(defect)) = selected(&Environment) else { return routes };
    tracing::warn!(?defect, "this build has a defect, on purpose");
    let Ok(pool) = PgPool::connect_lazy(app.settings.database_url.expose()) else { return routes };
    let seeded = Arc::new(Seeded { defect, pool, count: AtomicU64::new(0) });
    routes.layer(axum::middleware::from_fn_with_state(seeded, apply))
}

struct Seeded {
    defect: Defect,
    pool: PgPool,
    count: AtomicU64,
}

impl Seeded {
    /// True on every nth call.
    fn every(&self, nth: u64) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed) % nth == nth - 1
    }
}

async fn apply(State(seeded): State<Arc<Seeded>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let api = route.starts_with("/api/");
    let asks = route == "/api/v1/interventions/ate";
    let creates = route == "/api/v1/experiments" && request.method() == Method::POST;
    if seeded.defect == Defect::Fast503 && api && seeded.every(5) {
        return ApiError::Overloaded.into_response();
    }
    let answer = next.run(request).await;
    match seeded.defect {
        Defect::SlowTenth if api && seeded.every(10) => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            answer
        }
        Defect::LostWrite if creates && seeded.every(50) => {
            after_write(&seeded, answer, "DELETE FROM experiments WHERE id = $1").await
        }
        Defect::DoubleWrite if creates && seeded.every(50) => {
            let again = "INSERT INTO experiments (id, name, note, query)
                         SELECT gen_random_uuid(), name, note, query FROM experiments WHERE id = $1";
            after_write(&seeded, answer, again).await
        }
        Defect::WrongAnswer if asks && seeded.every(100) => falsify(answer).await,
        _ => answer,
    }
}

/// Does something to the experiment that the answer acknowledges.
async fn after_write(seeded: &Seeded, answer: Response, statement: &'static str) -> Response {
    let location = answer.headers().get(LOCATION).and_then(|at| at.to_str().ok());
    let id = location.and_then(|at| at.rsplit('/').next()).and_then(|id| Uuid::try_parse(id).ok());
    if let Some(id) = id
        && let Err(error) = sqlx::query(statement).bind(id).execute(&seeded.pool).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "a defect did not come about");
    }
    answer
}

/// Moves the estimate and its interval by a lot.
async fn falsify(answer: Response) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_ANSWER).await else { return ApiError::Internal.into_response() };
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
        return Response::from_parts(head, Body::from(bytes));
    };
    let estimate = value["estimate"].as_f64().unwrap_or_default();
    let off = 10.0 + 2.0 * estimate.abs();
    value["estimate"] = (estimate + off).into();
    for at in 0..2 {
        let bound = value["confidence_interval"][at].as_f64().unwrap_or_default();
        value["confidence_interval"][at] = (bound + off).into();
    }
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn ask(name: &str) -> Result<Option<Defect>, UnknownDefect> {
        selected(&BTreeMap::from([(SETTING.to_owned(), name.to_owned())]))
    }

    #[test]
    fn a_defect_is_selected_by_its_name_and_a_misspelt_one_is_refused() {
        for (name, defect) in DEFECTS {
            assert_eq!(ask(name).unwrap(), Some(defect));
        }
        assert_eq!(ask("").unwrap(), None);
        assert!(ask("slow-tent").unwrap_err().to_string().contains("slow-tenth"));
    }

    #[tokio::test]
    async fn a_falsified_answer_is_far_off_and_still_well_formed() {
        let answer = Response::new(Body::from(r#"{"estimate":1.0,"confidence_interval":[0.5,1.5]}"#));
        let bytes = to_bytes(falsify(answer).await.into_body(), 1000).await.unwrap();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value, serde_json::json!({"estimate": 13.0, "confidence_interval": [12.5, 13.5]}));
    }
}
