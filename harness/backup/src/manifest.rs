//! `manifest.json`: what a set says of itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::digest::Extent;
use crate::{form::Form, lsn::Lsn};

/// The format that this crate writes and reads.
pub const FORMAT: u32 = 1;

/// What a set holds, of what, from when, made by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The number of this format.
    pub format: u32,
    /// The form of backup.
    pub form: Form,
    /// The system that it belongs to.
    pub system: String,
    /// All that was acknowledged before this is in the set (by the clock of the machine that made it); its age counts from here.
    pub as_of: Timestamp,
    /// When it was finished.
    pub made: Timestamp,
    /// What it was taken from.
    pub source: Origin,
    /// Versions of the programs that made it.
    pub tools: BTreeMap<String, String>,
    /// The write-ahead log that it spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Span>,
    /// Named places that it can be restored to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restore_points: Vec<RestorePoint>,
    /// SHA-256 of the recipients that it is sealed to; none: it is in the clear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed_to: Vec<String>,
    /// Its parts, in the order in which a restore reads them.
    pub parts: Vec<Part>,
}

/// What a set was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// A PostgreSQL server.
    Postgres(Postgres),
    /// A Redis server.
    Redis(Redis),
    /// Objects of a deployment, given as a stream.
    Configuration {
        /// Where they came from, in words: `namespace shop`.
        of: String,
    },
}

/// A PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Its system identifier, given by initdb.
    pub identifier: String,
    /// The timeline that it wrote.
    pub timeline: u32,
    /// Its version.
    pub version: String,
    /// The first number of it.
    pub major: u32,
    /// The database that was asked.
    pub database: String,
    /// Its encoding.
    pub encoding: String,
    /// Its collation.
    pub collate: String,
    /// Its classes of characters.
    pub ctype: String,
}

/// A Redis server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Its run id: another one after each start.
    pub run: String,
    /// Its replication id: that of its data set.
    pub replication: String,
    /// Its version.
    pub version: String,
    /// The first number of it.
    pub major: u32,
}

/// Log positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The set needs nothing from before.
    pub start: Lsn,
    /// Everything up to here is in it; a segment that was being written may reach further.
    pub end: Lsn,
}

/// A named place in the write-ahead log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestorePoint {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub lsn: Lsn,
}

/// One file of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The file's name.
    pub name: String,
    /// What it is.
    pub kind: PartKind,
    /// Its content.
    pub plain: Extent,
    /// The file as it lies there.
    pub stored: Extent,
    /// The log segments in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Segments>,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// pg_dump's custom format.
    Dump,
    /// Digests of what a dump holds.
    Content,
    /// A base backup as tar, with its `backup_manifest`.
    Base,
    /// Segments of the write-ahead log as tar.
    Wal,
    /// Redis' snapshot.
    Rdb,
    /// Redis' append-only directory as tar.
    Aof,
    /// Files as tar.
    Tar,
    /// Objects as a stream of YAML documents.
    Yaml,
}

/// Consecutive segments of the write-ahead log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// The first file's name.
    pub first: String,
    /// The last complete one's.
    pub last: String,
    /// Whether the one after it, still being written, is there too.
    #[serde(default)]
    pub partial: bool,
}

impl Origin {
    /// What tells one source from another of the same name.
    pub fn identity(&self) -> Option<&str> {
        match self {
            Self::Postgres(server) => Some(&server.identifier),
            Self::Redis(server) => Some(&server.replication),
            Self::Configuration { .. } => None,
        }
    }

    /// The server's major version.
    pub fn major(&self) -> Option<u32> {
        match self {
            Self::Postgres(server) => Some(server.major),
            Self::Redis(server) => Some(server.major),
            Self::Configuration { .. } => None,
        }
    }
}

impl Manifest {
    /// Bytes of the content.
    pub fn plain_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.plain.bytes).sum()
    }

    /// Bytes on disk.
    pub fn stored_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.stored.bytes).sum()
    }
}
