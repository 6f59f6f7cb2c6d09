//! Components: how many, what they listen on, how they are started, when they are ready, what must be true of them.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    kubernetes::Pods,
    revision::Changes,
    sets::{SetOf, Weighs},
};
use crate::{
    act::Signal,
    name::Name,
    unit::{Bytes, Span},
};

/// One component of the system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// How many replicas; 1 unless said.
    #[serde(default = "one")]
    pub replicas: u16,
    /// Names of the ports that each replica listens on.
    pub ports: Vec<Name>,
    /// The components that it connects to: links of the system.
    #[serde(default)]
    pub uses: Vec<Name>,
    /// Environment of each replica. Values are MiniJinja templates, as all texts of `local` are.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Named changes that a rollout can make: other settings, another program or image.
    #[serde(default)]
    pub revisions: IndexMap<Name, Changes>,
    /// What one replica is entitled to; objectives on CPU are shares of it.
    #[serde(default)]
    pub allotment: Option<Allotment>,
    /// How a replica is started as a process of this machine.
    #[serde(default)]
    pub local: Option<Local>,
    /// Which pods are its replicas on Kubernetes.
    #[serde(default)]
    pub kube: Option<Pods>,
    /// Whose traffic it splits between sets of replicas, where it is a load balancer: for canaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighs: Option<Weighs>,
    /// Whose set it is; nobody writes that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub set: Option<SetOf>,
    /// When a replica is ready.
    pub ready: Ready,
    /// How long it may take until a started replica is ready; 30 s unless said.
    #[serde(default = "thirty_seconds")]
    #[schemars(with = "Span")]
    pub ready_within: Span,
    /// Where its metrics are.
    #[serde(default)]
    pub scrape: Option<Scrape>,
    /// What is read back from the running component and must hold, or the run is set up wrongly.
    #[serde(default)]
    pub must: Vec<Must>,
}

/// What one replica is entitled to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allotment {
    /// Cores.
    pub cpu: f64,
    /// Memory.
    #[serde(default)]
    pub memory: Option<Bytes>,
}

/// A process of this machine. In its texts stand `{{ dir }}` (the replica's private directory, also its working
/// directory), `{{ index }}`, `{{ host }}`, `{{ port.NAME }}`, `{{ secret.NAME }}` (dashes become underscores), `{{ root }}` (the system file's
/// directory), `{{ components.NAME }}` (a list of replicas, each with `.name`, `.host`, `.port.NAME`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// The program: a name that is looked up in `search` and `PATH`, or a path relative to the system file.
    pub program: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Directories to look in before `PATH`; `*` stands for any one name, the highest version wins.
    #[serde(default)]
    pub search: Vec<String>,
    /// The Debian package that has it, named when it is missing.
    #[serde(default)]
    pub package: Option<String>,
    /// The command that builds it, named when it is missing.
    #[serde(default)]
    pub build: Option<String>,
    /// Commands run to their end in the private directory before the first start, such as `initdb`.
    #[serde(default)]
    pub before: Vec<Vec<String>>,
    /// Files written into the private directory first, mode 0600.
    #[serde(default)]
    pub files: BTreeMap<String, FileSource>,
    /// The account it runs as when the harness is root, for programs that refuse root.
    #[serde(default)]
    pub user: Option<String>,
    /// How it is asked to end.
    #[serde(default)]
    pub stop: Stop,
}

/// Where a file's text comes from; a MiniJinja template either way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum FileSource {
    /// The text itself.
    Text(String),
    /// A file beside the system file.
    From(String),
}

/// How a process is asked to end, before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The first signal.
    #[serde(default = "terminate")]
    #[schemars(with = "String")]
    pub signal: Signal,
    /// How long it may take; then its whole tree is killed.
    #[serde(default = "three_seconds")]
    pub within: Span,
}

/// When a replica is ready: one round trip that succeeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Ready {
    /// A GET that answers with this status (200 unless said).
    Http {
        /// Which port.
        port: Name,
        /// The path.
        path: String,
        /// The status.
        #[serde(default = "ok_status")]
        status: u16,
    },
    /// A text that is sent over TCP and the start of the answer.
    Tcp {
        /// Which port.
        port: Name,
        /// What is sent; may be empty.
        #[serde(default)]
        send: String,
        /// How the answer starts; empty: the connection is enough.
        #[serde(default)]
        answer: String,
    },
    /// A PostgreSQL session that answers `select 1`.
    Postgres {
        /// Which port.
        port: Name,
        /// The role.
        user: String,
        /// The secret that holds its password.
        #[serde(default)]
        password: Option<Name>,
        /// The database.
        database: String,
    },
}

/// Where metrics are exported, in Prometheus' text format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scrape {
    /// Which port.
    pub port: Name,
    /// The path.
    pub path: String,
    /// The names of the series that are recorded beside those that `metrics` need.
    #[serde(default)]
    pub keep: Vec<String>,
}

/// A fact that is read back with SQL and must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Must {
    /// A statement that answers one value.
    pub sql: String,
    /// That value, as text.
    pub is: String,
}

/// One port of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The component.
    pub component: Name,
    /// The port's name there.
    pub port: Name,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: terminate(), within: three_seconds() }
    }
}

fn one() -> u16 {
    1
}

fn ok_status() -> u16 {
    200
}

fn terminate() -> Signal {
    Signal::Terminate
}

fn three_seconds() -> Span {
    Span::from_micros(3_000_000)
}

fn thirty_seconds() -> Span {
    Span::from_micros(30_000_000)
}
