//! Statements that follow an experiment that was made, on connections of their own.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::draws::Draws;
use crate::changes::Around;

/// Connections at most: replicas share what PostgreSQL has.
const CONNECTIONS: u32 = 2;

struct After {
    draws: Draws,
    pool: PgPool,
    statement: &'static str,
}

/// Runs a statement with the id of some acknowledged experiments, before the client hears of them.
pub(super) fn after_some(draws: Draws, statement: &'static str) -> Around {
    Box::new(move |routes, app| {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
        match pool.connect_lazy(app.settings.database_url.expose()) {
            Ok(pool) => {
                let after = Arc::new(After { draws, pool, statement });
                routes.layer(from_fn_with_state(after, apply))
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a defect cannot come about");
                routes
            }
        }
    })
}

async fn apply(State(after): State<Arc<After>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let creates = route == "/api/v1/experiments" && request.method() == Method::POST;
    let answer = next.run(request).await;
    let made = if creates && answer.status() == StatusCode::CREATED { id(&answer) } else { None };
    if let Some(id) = made
        && after.draws.hit()
        && let Err(error) = sqlx::query(after.statement).bind(id).execute(&after.pool).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "a defect did not come about");
    }
    answer
}

/// The experiment that an answer acknowledges.
fn id(answer: &Response) -> Option<Uuid> {
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    Uuid::try_parse(location.rsplit('/').next()?).ok()
}
