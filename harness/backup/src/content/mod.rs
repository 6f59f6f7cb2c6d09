//! What a database holds, as digests that two databases can be compared by: rows, sequences, definitions.
//!
//! A row's digest is the MD5 of its text form under fixed settings; a range's is the sum of its rows' digests, so it depends on
//! neither plan, order nor locale, and counts rows that are there twice (an additive multiset hash after Bellare and Micciancio,
//! "A New Paradigm for Collision-Free Hashing: Incrementality at Reduced Cost", EUROCRYPT 1997; MD5 finds accidents, not forgers). Ranges are
//! those of the primary key's own digest, not of its order: both sides cut alike without agreeing on bounds or collation, whatever
//! rows are missing. A table without a primary key is cut by its whole rows.
//!
//! Not in it: large objects, privileges, foreign tables, and tables of extensions.

mod compare;
mod kept;
mod redis;
pub(crate) mod statements;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

pub use self::{
    compare::{Difference, RowDifference, Side, compare, compare_rows, lost},
    kept::{Kept, Rows},
    statements::rows,
};
use crate::{call::Programs, error::Error, postgres::Connection, snapshot::Snapshot};

/// Into how many ranges a table is cut, unless said: a million rows give ranges of four thousand.
pub const RANGES: u16 = 256;

/// A table, as `catalogue` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns of its primary key; none: it has none.
    pub key: Vec<String>,
    /// All of its columns by name: in which order they stand may change on the way through a dump.
    pub columns: Vec<String>,
}

/// What a database holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Tables by their qualified names.
    pub tables: BTreeMap<String, Table>,
    /// Sequences by theirs.
    pub sequences: BTreeMap<String, Sequence>,
    /// Constraints, indexes, columns, triggers, views, functions, extensions: kind and name to definition.
    pub definitions: BTreeMap<String, String>,
}

/// A table's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// How it is listed.
    pub listed: Listed,
    /// How many ranges it was cut into.
    pub cut: u16,
    /// Rows.
    pub rows: u64,
    /// The ranges that hold any: rows and sum.
    pub ranges: BTreeMap<u16, (u64, String)>,
}

/// A sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// The last value given; none: it was never asked.
    pub last: Option<i64>,
    /// The step.
    pub by: i64,
    /// Whether it begins again at its end.
    pub cycles: bool,
}

/// How much was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Tables.
    pub tables: usize,
    /// Their rows.
    pub rows: u64,
}

impl From<&Content> for Compared {
    fn from(content: &Content) -> Self {
        Self { tables: content.tables.len(), rows: content.tables.values().map(|table| table.rows).sum() }
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tables with {} rows", self.tables, self.rows)
    }
}

#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Table { name: String, listed: Listed, cut: u16, rows: u64, ranges: Vec<(u16, u64, String)> },
    Sequence { name: String, last: Option<i64>, by: i64, cycles: bool },
    Definition { name: String, text: String },
}

/// The tables that `catalogue` answered.
pub(crate) fn listed<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Listed>, Error> {
    lines.into_iter().filter(|line| !line.is_empty()).map(parsed).collect()
}

/// What `digests` answered.
pub(crate) fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Content, Error> {
    let mut content = Content::default();
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        match parsed(line)? {
            Line::Table { name, listed, cut, rows, ranges } => {
                let ranges = ranges.into_iter().map(|(range, rows, sum)| (range, (rows, sum))).collect();
                content.tables.insert(name, Table { listed, cut, rows, ranges });
            }
            Line::Sequence { name, last, by, cycles } => {
                content.sequences.insert(name, Sequence { last, by, cycles });
            }
            Line::Definition { name, text } => {
                content.definitions.insert(name, text);
            }
        }
    }
    Ok(content)
}

fn parsed<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Error> {
    serde_json::from_str(line)
        .map_err(|why| Error::at("an answer of the database", why, "look at its server's log"))
}

/// Reads a database's content with psql, in one snapshot; writes go on meanwhile.
pub async fn read(connection: &Connection, programs: &dyn Programs, ranges: u16) -> Result<Content, Error> {
    let work = async |mut snapshot: Snapshot| snapshot.content(ranges).await;
    Snapshot::during(connection, programs, work).await
}

/// The exact rows in which two databases differ, where `compare` found ranges to.
pub async fn read_rows(
    (before, after): (&Connection, &Connection),
    programs: &dyn Programs,
    differences: &[Difference],
) -> Result<Vec<RowDifference>, Error> {
    let mut found = Vec::new();
    for difference in differences {
        if let Difference::Rows { table, listed, cut, ranges, .. } = difference {
            let sql = rows(listed, *cut, ranges);
            let (before, after) = (before.ask(programs, &sql).await?, after.ask(programs, &sql).await?);
            found.extend(compare_rows(table, &before, &after)?);
        }
    }
    Ok(found)
}
