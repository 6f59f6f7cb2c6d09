//! One request of a behaviour, ready to be filled in.

use std::time::Duration;

use bytes::Bytes;
use gauntlet_core::{
    evidence::Operation,
    system::{Mark, Method, RequestSpec},
};
use http::{HeaderName, HeaderValue, Request, Uri, header, uri::PathAndQuery};
use http_body_util::Full;

use super::{Compiled, expectation::Expectation, header_name, parts::Parts, plain, rendered, scope::Scope};
use crate::{
    bindings::{Bindings, Missing},
    error::{PlanError, PlanFault},
    recall::Pools,
};

/// One request.
pub(crate) struct Step {
    method: http::Method,
    path: Parts,
    headers: Vec<(HeaderName, Parts)>,
    body: Option<Parts>,
    draws: Vec<(usize, usize)>,
    recall: Option<usize>,
    mark: Option<(Operation, Parts, Parts)>,
    /// How long the whole answer may take.
    pub(crate) timeout: Duration,
    /// What is expected of the answer, and done with it.
    pub(crate) expectation: Expectation,
}

/// A request, filled in.
pub(crate) struct Prepared {
    /// What is sent.
    pub(crate) request: Request<Full<Bytes>>,
    /// What it does to a record.
    pub(crate) operation: Operation,
    /// Which record.
    pub(crate) key: String,
    /// What it writes.
    pub(crate) value: String,
}

/// What the generator sets itself.
const OWN_HEADERS: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

impl Step {
    /// Resolves every name of a request; the place in an error is the part of the request.
    pub(super) fn compile(spec: &RequestSpec, scope: &mut Scope<'_, '_>) -> Result<Self, PlanError> {
        let draws = spec.draw.iter().map(|(name, set)| scope.draw(name, set)).collect::<Result<_, _>>();
        let recall = spec.recall.as_ref().map(|pool| scope.recall(pool)).transpose();
        let draws = draws.map_err(|f| f.at("draw"))?;
        let recall = recall.map_err(|f| f.at("recall"))?;
        let path = Parts::path(&spec.path, scope).map_err(|f| f.at("path"))?;
        let body = spec.body.as_ref().map(|body| Parts::json(body, scope)).transpose();
        // Before the captures: a write that is not acknowledged must have its key as well.
        let mark = spec.mark.as_ref().map(|mark| compile_mark(mark, scope)).transpose();
        Ok(Self {
            method: method(spec.method),
            path,
            headers: compile_headers(spec, scope).map_err(|f| f.at("headers"))?,
            body: body.map_err(|f| f.at("body"))?,
            draws,
            recall,
            mark: mark.map_err(|f| f.at("mark"))?,
            timeout: spec.timeout.get(),
            expectation: Expectation::compile(spec, scope)?,
        })
    }

    /// Fills the request in.
    pub(crate) fn prepare(
        &self,
        plan: &Compiled,
        pools: &Pools,
        bindings: &mut Bindings,
    ) -> Result<Prepared, Missing> {
        for (binding, items) in &self.draws {
            bindings.drawn[*binding] = bindings.draws.below(*items);
        }
        if let Some(pool) = self.recall {
            bindings.recalled = Some(pools.draw(pool, &mut bindings.draws).ok_or(Missing)?);
        }
        let bindings = &*bindings;
        let text = |parts: &Parts| rendered(parts, bindings, &plan.data);
        let (operation, key, value) = match &self.mark {
            None => (Operation::None, String::new(), String::new()),
            Some((operation, key, value)) => (*operation, text(key)?, text(value)?),
        };
        Ok(Prepared { request: self.request(plan, bindings)?, operation, key, value })
    }

    fn request(&self, plan: &Compiled, bindings: &Bindings) -> Result<Request<Full<Bytes>>, Missing> {
        let mut path = Vec::with_capacity(128);
        self.path.write(bindings, &plan.data, &mut path)?;
        let mut body = Vec::new();
        if let Some(parts) = &self.body {
            parts.write(bindings, &plan.data, &mut body)?;
        }
        let mut request = assemble(self.method.clone(), path, body, plan)?;
        if self.body.is_some() {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, parts) in &self.headers {
            let mut value = Vec::new();
            parts.write(bindings, &plan.data, &mut value)?;
            let value = HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(|_| Missing)?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

/// A request to the plan's host.
pub(crate) fn assemble(
    method: http::Method,
    path: Vec<u8>,
    body: Vec<u8>,
    plan: &Compiled,
) -> Result<Request<Full<Bytes>>, Missing> {
    let path = PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| Missing)?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(header::HOST, plan.host.clone());
    Ok(request)
}

fn compile_headers(
    spec: &RequestSpec,
    scope: &mut Scope<'_, '_>,
) -> Result<Vec<(HeaderName, Parts)>, PlanFault> {
    let one = |(name, template)| {
        let refused = || PlanFault::NotAHeader(String::clone(name));
        let parsed = header_name(name)?;
        let parts = plain(template, scope)?;
        let sendable = parts.fixed().is_none_or(|value| HeaderValue::from_bytes(value).is_ok());
        if OWN_HEADERS.contains(&parsed) || !sendable { Err(refused()) } else { Ok((parsed, parts)) }
    };
    spec.headers.iter().map(one).collect()
}

fn compile_mark(mark: &Mark, scope: &mut Scope<'_, '_>) -> Result<(Operation, Parts, Parts), PlanFault> {
    match mark {
        Mark::Write { key, value } => Ok((Operation::Write, plain(key, scope)?, plain(value, scope)?)),
        // What was read is in the answer.
        Mark::Read { key, .. } => Ok((Operation::Read, plain(key, scope)?, Parts::default())),
    }
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::evidence::Operation;
    use serde_json::json;

    use crate::{
        bindings::{Missing, Salt, tests::bindings},
        compile::{compile, tests::job},
        recall::Pools,
        value::Datum,
    };

    #[test]
    fn a_request_carries_its_path_headers_and_mark_for_the_same_arrival() {
        let step = json!({"method": "PUT", "path": "/things/{{uuid}}?n={{pick 5}}", "headers": {"Idempotency-Key": "k-{{uuid}}"},
            "body": {"id": "{{uuid}}"}, "mark": {"write": {"key": "{{uuid}}", "value": "{{fresh}}"}}});
        let plan = compile(&job(vec![step])).unwrap();
        let mut bindings = bindings(1, &Salt::draw().unwrap());
        let prepared = plan.steps[0].prepare(&plan, &Pools::new(0), &mut bindings).unwrap();
        let request = prepared.request;
        assert_eq!(request.method(), "PUT");
        assert!(request.uri().path().ends_with(&prepared.key), "{}", request.uri());
        assert_eq!(request.headers()["idempotency-key"], format!("k-{}", prepared.key).as_str());
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.headers()["host"], "127.0.0.1:1");
        assert_eq!(prepared.operation, Operation::Write);
        assert!(prepared.value.parse::<u64>().unwrap() > 1_000_000);
    }

    #[test]
    fn nothing_is_made_while_the_pool_is_empty() {
        let fill = json!({"method": "GET", "path": "/", "remember": {"pool": "p", "fields": {"id": "1"}}});
        let take = json!({"method": "GET", "path": "/{{recalled/id}}", "recall": "p"});
        let plan = compile(&job(vec![fill, take])).unwrap();
        let (pools, mut bindings) = (Pools::new(1), bindings(1, &Salt::draw().unwrap()));
        assert!(matches!(plan.steps[1].prepare(&plan, &pools, &mut bindings), Err(Missing)));
        pools.put(0, [Datum::text("a b")].into());
        let prepared = plan.steps[1].prepare(&plan, &pools, &mut bindings).unwrap();
        assert_eq!(prepared.request.uri().path(), "/a%20b");
    }
}
