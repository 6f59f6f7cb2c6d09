//! Reads a JSON body: the right type, not too large, not too slow, no field that nobody knows.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::ApiError;

/// The largest body.
pub(super) const MAX_BODY: usize = 1024 * 1024;
/// How much is read and thrown away, so that the client reads the refusal.
const MAX_DISCARDED: usize = 8 * MAX_BODY;
/// Time for a body to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// A body that was read and understood.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::MediaType);
        }
        parse(&read(request.into_body()).await?).map(Self)
    }
}

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_DISCARDED {
        return Err(ApiError::Large(MAX_BODY));
    }
    tokio::time::timeout(ARRIVAL, collect(body, announced)).await.map_err(|_| ApiError::SlowBody)?
}

/// Keeps what is allowed, and reads on for a while beyond it: a connection that is closed over unread data is reset,
/// and the client would never see why.
async fn collect(mut body: Body, announced: usize) -> Result<Vec<u8>, ApiError> {
    let mut kept = Vec::with_capacity(announced.min(MAX_BODY));
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ApiError::CutBody)?.into_data() else { continue };
        seen += data.len();
        if seen <= MAX_BODY {
            kept.extend_from_slice(&data);
        } else if seen > MAX_DISCARDED {
            break;
        }
    }
    if seen > MAX_BODY { Err(ApiError::Large(MAX_BODY)) } else { Ok(kept) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|why| match why.classify() {
        Category::Data => ApiError::Shape(why.to_string()),
        Category::Io | Category::Syntax | Category::Eof => ApiError::Json(why.to_string()),
    })
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return false };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Question;

    fn kind(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())])
    }

    #[test]
    fn only_json_is_json() {
        assert!(is_json(&kind("application/json")));
        assert!(is_json(&kind("Application/JSON; charset=utf-8")));
        assert!(!is_json(&kind("text/plain")));
        assert!(!is_json(&kind("application/jsonp")));
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn broken_json_and_json_of_another_shape_are_told_apart() {
        assert!(matches!(parse::<Question>(b"{"), Err(ApiError::Json(_))));
        assert!(matches!(parse::<Question>(b"\xff"), Err(ApiError::Json(_))));
        assert!(matches!(parse::<Question>(b"{} x"), Err(ApiError::Shape(_) | ApiError::Json(_))));
        assert!(matches!(parse::<Question>(b"[]"), Err(ApiError::Shape(_))));
        assert!(matches!(parse::<Question>(b"{\"sed\":1}"), Err(ApiError::Shape(_))));
    }

    #[tokio::test]
    async fn a_body_past_the_limit_is_refused_whether_or_not_it_is_announced() {
        for size in [MAX_BODY + 1, MAX_DISCARDED, MAX_DISCARDED + 1] {
            let announced = Body::from(vec![b' '; size]);
            assert!(matches!(read(announced).await, Err(ApiError::Large(_))));
            let unannounced = Body::new(Body::from(vec![b' '; size]).map_frame(|frame| frame));
            assert!(matches!(read(unannounced).await, Err(ApiError::Large(_))));
        }
        assert_eq!(read(Body::from(vec![b' '; MAX_BODY])).await.unwrap().len(), MAX_BODY);
    }
}
