//! What comes beside the body: the id in the path, the query string, the idempotency key.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::ApiError;
use crate::experiment::MAX_NAME;
use crate::question::check_name;

/// Experiments on one page, at most and when nothing is asked.
const MAX_LIMIT: u16 = 100;
const LIMIT: u16 = 20;
/// The longest idempotency key.
const MAX_KEY: usize = 255;

/// The id in the path, in the hyphenated form and no other.
pub(super) struct Id(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| ApiError::Id)?;
        uuid(&text).map(Self).ok_or(ApiError::Id)
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// Which part of the list to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// At most so many.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(super) limit: Option<u16>,
    /// Only those behind this id: the `next` of the page before.
    pub(super) after: Option<Uuid>,
    /// Only those of exactly this name.
    #[param(min_length = 1, max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]+$")]
    pub(super) name: Option<String>,
}

impl ListParams {
    /// The limit, with its default.
    pub(super) fn limit(&self) -> u16 {
        self.limit.unwrap_or(LIMIT)
    }

    fn check(self) -> Result<Self, ApiError> {
        if !(1..=MAX_LIMIT).contains(&self.limit()) {
            return Err(ApiError::Query(format!("limit must be 1 to {MAX_LIMIT}")));
        }
        if let Some(name) = &self.name {
            check_name(name, MAX_NAME).map_err(|why| ApiError::Query(format!("name {why}")))?;
        }
        Ok(self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ListParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Query::<Self>::from_request_parts(parts, state).await;
        let Query(params) = read.map_err(|why| ApiError::Query(why.body_text()))?;
        params.check()
    }
}

/// The header `Idempotency-Key`, when it is there.
pub(super) struct Key(pub(super) Result<Option<String>, ApiError>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Infallible;

    /// Infallible, so that the body is judged first and the handler decides.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(first) = values.next() else { return Ok(Self(Ok(None))) };
        let bytes = first.as_bytes();
        let good = (1..=MAX_KEY).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        let text = first.to_str().ok().filter(|_| good && values.next().is_none());
        Ok(Self(text.map(|text| Some(text.to_owned())).ok_or(ApiError::Key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn key(values: &[&[u8]]) -> Result<Option<String>, ApiError> {
        let mut request = Request::builder();
        for value in values {
            request = request.header("Idempotency-Key", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Key::from_request_parts(&mut parts, &()).await.unwrap().0
    }

    async fn params(query: &str) -> Result<ListParams, ApiError> {
        let (mut parts, ()) = Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
        ListParams::from_request_parts(&mut parts, &()).await
    }

    #[test]
    fn an_id_has_one_form() {
        assert!(uuid("018f6b2c-7a4e-7c1d-9b1a-2f3e4d5c6b7a").is_some());
        assert!(uuid("018f6b2c7a4e7c1d9b1a2f3e4d5c6b7a").is_none());
        assert!(uuid("{018f6b2c-7a4e-7c1d-9b1a-2f3e4d5c6b7a}").is_none());
        assert!(uuid("").is_none());
    }

    #[tokio::test]
    async fn a_key_is_one_header_of_visible_characters() {
        assert!(matches!(key(&[]).await, Ok(None)));
        assert_eq!(key(&[b"a-1"]).await.unwrap().as_deref(), Some("a-1"));
        assert!(key(&[&[b'x'; MAX_KEY]]).await.is_ok());
        for bad in [&b""[..], b"a b", b"\xc3\xa9", &[b'x'; MAX_KEY + 1]] {
            assert!(matches!(key(&[bad]).await, Err(ApiError::Key)), "{bad:?}");
        }
        assert!(matches!(key(&[b"a", b"a"]).await, Err(ApiError::Key)), "two headers");
    }

    #[tokio::test]
    async fn the_query_string_is_read_strictly() {
        let read = params("limit=3&name=a%20b").await.unwrap();
        assert_eq!((read.limit(), read.name.as_deref()), (3, Some("a b")));
        assert_eq!(params("").await.unwrap().limit(), LIMIT);
        for bad in
            ["limit=0", "limit=101", "limit=x", "after=1", "nam=a", "name=", "name=%00", "limit=1&limit=2"]
        {
            assert!(matches!(params(bad).await, Err(ApiError::Query(_))), "{bad}");
        }
    }
}
