//! What a kind of defect is, and how most of them lie around the API's routes.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use super::DefectError;
use crate::changes::{Around, Changes};

/// One kind of defect.
#[derive(Debug)]
pub struct Kind {
    /// What is written in `DEFECT`.
    pub name: &'static str,
    /// What stands behind the colon, if anything.
    pub parameter: Option<Parameter>,
    /// What a client sees, in one line.
    pub about: &'static str,
    /// Adds the defect to the changes, or says what is wrong with the parameter.
    pub(super) seed: fn(&Order<'_>, &mut Changes) -> Result<(), String>,
}

/// The parameter of a kind.
#[derive(Debug)]
pub struct Parameter {
    /// Taken when none is written; also the example.
    pub default: &'static str,
    /// What it may be, with its units.
    pub form: &'static str,
}

/// One defect that is asked for.
pub(super) struct Order<'a> {
    pub(super) parameter: &'a str,
    /// Of the defect's own draws.
    pub(super) seed: u64,
}

impl Kind {
    /// How it is asked for, with the default written out.
    pub fn example(&self) -> String {
        match &self.parameter {
            Some(parameter) => format!("{}:{}", self.name, parameter.default),
            None => self.name.to_owned(),
        }
    }

    pub(super) fn seed(
        &self,
        written: Option<&str>,
        seed: u64,
        changes: &mut Changes,
    ) -> Result<(), DefectError> {
        let (default, form) = match &self.parameter {
            Some(parameter) => (parameter.default, parameter.form),
            None => ("", "its name alone"),
        };
        let parameter = written.unwrap_or(default);
        let done = match (&self.parameter, written) {
            (None, Some(_)) => Err("is a parameter, and it has none".to_owned()),
            _ => (self.seed)(&Order { parameter, seed }, changes),
        };
        done.map_err(|why| DefectError::Parameter {
            name: self.name,
            wrong: format!("{parameter:?} {why}"),
            write: format!("{form}: {}", self.example()),
        })
    }
}

/// Puts a middleware around every route.
pub(super) fn around<S, A>(state: S, change: fn(State<Arc<S>>, Request, Next) -> A) -> Around
where
    S: Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    Box::new(move |routes, _| routes.layer(from_fn_with_state(Arc::new(state), change)))
}

/// The template of the route that a request goes to; probes and metrics are none of the API's.
pub(super) fn is_api(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    route.starts_with("/api/")
}
