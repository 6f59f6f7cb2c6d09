//! `/api/v1/experiments`: make, read, list, replace, delete.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::body::JsonBody;
use super::openapi::{BodyErrors, StoreErrors};
use super::params::{Id, Key, ListParams};
use super::{ApiError, ErrorBody};
use crate::app::App;
use crate::compute;
use crate::experiment::{Draft, Experiment, Page};
use crate::store::{Created, IdempotencyKey, Listing};

/// Says that an answer is that of an earlier request.
pub(super) const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));

/// A draft that was found sound: it can be run.
struct Sound {
    draft: Draft,
    query: Box<RawValue>,
}

impl Sound {
    fn new(draft: Draft) -> Result<Self, ApiError> {
        draft.check()?;
        let in_query = |mut wrong: crate::question::Mistake| {
            wrong.field.insert_str(0, "query.");
            wrong
        };
        let question = draft.query.clone().canonical().map_err(in_query)?;
        compute::check(&question).map_err(in_query)?;
        let query = serde_json::value::to_raw_value(&draft.query).map_err(|why| ApiError::internal(&why))?;
        Ok(Self { draft, query })
    }

    /// The body's identity: what it says, not how it was spaced.
    fn identity(&self) -> [u8; 32] {
        let mut sha = Sha256::new();
        for part in [Some(self.draft.name.as_str()), self.draft.note.as_deref(), Some(self.query.get())] {
            sha.update([u8::from(part.is_some())]);
            sha.update((part.unwrap_or_default().len() as u64).to_le_bytes());
            sha.update(part.unwrap_or_default());
        }
        sha.finalize().into()
    }

    /// The experiment as it was when it was made; the same for a repeated request.
    fn made(self, id: Uuid, at: String) -> Experiment {
        let Draft { name, note, .. } = self.draft;
        Experiment { id, name, note, query: self.query, revision: 1, created_at: at.clone(), updated_at: at }
    }
}

/// Makes an experiment.
///
/// With an `Idempotency-Key`, a repeated request makes no second experiment and has the same answer, for a day.
#[utoipa::path(post, path = "/api/v1/experiments", tag = "experiments", operation_id = "create_experiment",
    request_body = Draft,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses((status = 201, description = "It is stored.", body = Experiment,
               headers(("location" = String, description = "Where it is."),
                       ("idempotent-replayed" = String, description = "`true` when an earlier request made it."))),
              BodyErrors, StoreErrors))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Key(key): Key,
    JsonBody(draft): JsonBody<Draft>,
) -> Result<Response, ApiError> {
    let sound = Sound::new(draft)?;
    let key = key?.map(|key| IdempotencyKey { key, body: sound.identity() });
    let id = Uuid::now_v7();
    let (experiment, replayed) =
        match app.store.create(id, &sound.draft, sound.query.get(), key.as_ref()).await? {
            Created::New(at) => (sound.made(id, at), None),
            Created::Earlier(id, at) => (sound.made(id, at), Some([REPLAYED])),
            Created::OtherBody => return Err(ApiError::KeyReused),
        };
    let location = [(LOCATION, format!("/api/v1/experiments/{}", experiment.id))];
    let answer = (StatusCode::CREATED, location, Json(experiment));
    Ok(match replayed {
        Some(header) => (header, answer).into_response(),
        None => answer.into_response(),
    })
}

/// Lists experiments in the order of their ids, without their questions.
#[utoipa::path(get, path = "/api/v1/experiments", tag = "experiments", operation_id = "list_experiments",
    params(ListParams),
    responses((status = 200, description = "One page.", body = Page),
              (status = 400, description = "The query string cannot be read.", body = ErrorBody), StoreErrors))]
pub(super) async fn list(State(app): State<Arc<App>>, params: ListParams) -> Result<Json<Page>, ApiError> {
    let limit = params.limit();
    let listing = Listing { limit, name: params.name, after: params.after };
    let items = app.store.list(&listing).await?;
    let full = items.len() == usize::from(limit);
    let next = items.last().filter(|_| full).map(|last| last.id);
    Ok(Json(Page { items, next }))
}

/// Reads an experiment.
#[utoipa::path(get, path = "/api/v1/experiments/{id}", tag = "experiments", operation_id = "read_experiment",
    params(("id" = Uuid, Path, description = "The experiment.")),
    responses((status = 200, description = "The experiment.", body = Experiment),
              (status = 400, description = "The id is no UUID.", body = ErrorBody),
              (status = 404, description = "No such experiment.", body = ErrorBody), StoreErrors))]
pub(super) async fn read(State(app): State<Arc<App>>, Id(id): Id) -> Result<Json<Experiment>, ApiError> {
    app.store.experiment(id).await?.map(Json).ok_or(ApiError::NoExperiment)
}

/// Replaces an experiment.
#[utoipa::path(put, path = "/api/v1/experiments/{id}", tag = "experiments", operation_id = "replace_experiment",
    request_body = Draft, params(("id" = Uuid, Path, description = "The experiment.")),
    responses((status = 200, description = "It is replaced.", body = Experiment),
              (status = 404, description = "No such experiment.", body = ErrorBody), BodyErrors, StoreErrors))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    Id(id): Id,
    JsonBody(draft): JsonBody<Draft>,
) -> Result<Json<Experiment>, ApiError> {
    let Sound { draft, query } = Sound::new(draft)?;
    app.store.replace(id, &draft, query.get()).await?.map(Json).ok_or(ApiError::NoExperiment)
}

/// Deletes an experiment and its runs.
#[utoipa::path(delete, path = "/api/v1/experiments/{id}", tag = "experiments", operation_id = "delete_experiment",
    params(("id" = Uuid, Path, description = "The experiment.")),
    responses((status = 204, description = "It is gone."),
              (status = 400, description = "The id is no UUID.", body = ErrorBody),
              (status = 404, description = "No such experiment.", body = ErrorBody), StoreErrors))]
pub(super) async fn delete(State(app): State<Arc<App>>, Id(id): Id) -> Result<StatusCode, ApiError> {
    if app.store.delete(id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NoExperiment) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::chain;

    fn identity(change: fn(&mut Draft)) -> [u8; 32] {
        let mut draft = Draft { name: "d".to_owned(), query: chain(), note: None };
        change(&mut draft);
        Sound::new(draft).unwrap_or_else(|_| panic!("sound")).identity()
    }

    #[test]
    fn the_identity_of_a_body_is_what_it_says() {
        let base = identity(|_| {});
        assert_eq!(base, identity(|_| {}));
        assert_ne!(base, identity(|d| d.name.push('x')));
        assert_ne!(base, identity(|d| d.note = Some(String::new())));
        assert_ne!(base, identity(|d| d.query.seed += 1));
    }

    #[test]
    fn a_question_that_cannot_be_run_is_refused_when_it_is_stored() {
        let mut query = chain();
        query.treatment = "nobody".to_owned();
        let wrong = Sound::new(Draft { name: "d".to_owned(), query, note: None }).err();
        assert!(matches!(wrong, Some(ApiError::Mistake(m)) if m.field == "query.treatment"));
    }
}
