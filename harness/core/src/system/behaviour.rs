//! Behaviours: what a user does, as HTTP requests with templates, checks of the answers, and captures.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::template::Template;
use crate::{name::Name, unit::Span};

/// What a user does: a mix of other behaviours, or requests one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Behaviour {
    /// Other behaviours, each with its weight.
    Mix(IndexMap<Name, f64>),
    /// Requests one after the other; the first that goes wrong ends it.
    Steps(Vec<RequestSpec>),
}

/// One request and what is expected of its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: Template,
    /// Headers besides Host, Content-Length and Content-Type.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The body, sent as JSON. A text in it that is one `{{expression}}` becomes that value with its type.
    #[serde(default)]
    pub body: Option<Value>,
    /// How long the whole answer may take; 5 s unless said.
    #[serde(default = "five_seconds")]
    pub timeout: Span,
    /// Data sets to draw one item from: `question: questions` makes `{{question/model}}` known.
    #[serde(default)]
    pub draw: BTreeMap<Name, Name>,
    /// The pool to take a remembered item from: makes `{{recalled/FIELD}}` known. Nothing is sent while the pool is empty.
    #[serde(default)]
    pub recall: Option<Name>,
    /// Which answer is right.
    #[serde(default)]
    pub expect: Expected,
    /// What to keep of a right answer for the steps after it: name and JSON pointer; makes `{{captured/NAME}}` known.
    #[serde(default)]
    pub capture: BTreeMap<Name, String>,
    /// The pool into which a right answer puts an item, with its fields.
    #[serde(default)]
    pub remember: Option<Remember>,
    /// What it does to a record, for the checks of correctness.
    #[serde(default)]
    pub mark: Option<Mark>,
}

/// What a right answer puts into a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remember {
    /// The pool.
    pub pool: Name,
    /// The item's fields; captures are known here.
    pub fields: BTreeMap<Name, Template>,
}

/// Which answer is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The status; 200 unless said.
    #[serde(default = "ok_status")]
    pub status: u16,
    /// What must be true of the JSON body. Without any the body is only counted.
    #[serde(default)]
    pub json: Vec<JsonCheck>,
}

/// One fact about a JSON body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonCheck {
    /// JSON pointer (RFC 6901) into the body. It must be there.
    pub at: String,
    /// The value there; any when neither this nor `near` is said.
    #[serde(default)]
    pub is: Option<Value>,
    /// A number to which the value must be near.
    #[serde(default)]
    pub near: Option<Value>,
    /// How near, absolutely.
    #[serde(default)]
    pub within: Option<Value>,
}

/// What a request does to a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Mark {
    /// It writes a new record: never twice under one key.
    Write {
        /// What the record is found by.
        key: Template,
        /// What must be found there.
        value: Template,
    },
    /// It reads one record.
    Read {
        /// What the record is found by.
        key: Template,
        /// JSON pointer to the value in the answer.
        value: String,
    },
}

/// The request that finds all that stands under a key; `{{key}}` is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The path of a GET.
    pub path: Template,
    /// Where its answer holds what was found.
    pub found: Found,
}

/// Where an answer holds what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// JSON pointer to an array.
    pub list: String,
    /// JSON pointer to the value within each of its items.
    pub value: String,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or asks.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Default for Expected {
    fn default() -> Self {
        Self { status: ok_status(), json: Vec::new() }
    }
}

impl Method {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

fn ok_status() -> u16 {
    200
}

fn five_seconds() -> Span {
    Span::from_micros(5_000_000)
}
