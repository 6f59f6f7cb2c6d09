//! Where two contents differ: tables, ranges, sequences, definitions; and then the exact rows.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Content, Listed, Sequence, Table, parsed};
use crate::error::Error;

/// PostgreSQL logs a sequence's values ahead (`SEQ_LOG_VALS`), so after a recovery it may stand this many steps further on.
const LOGGED_AHEAD: i64 = 32;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "differs", rename_all = "kebab-case")]
pub enum Difference {
    /// A table is on one side only.
    Table {
        /// Its name.
        name: String,
        /// Where it is.
        only: Side,
        /// Its rows.
        rows: u64,
    },
    /// Rows of a table.
    Rows {
        /// The table.
        table: String,
        /// How it is listed, for the statement that reads its rows.
        listed: Listed,
        /// Into how many ranges it was cut.
        cut: u16,
        /// Its rows before.
        before: u64,
        /// Its rows after.
        after: u64,
        /// The ranges that differ.
        ranges: Vec<u16>,
    },
    /// A sequence that would give values again, or stands too far on.
    Sequence {
        /// Its name.
        name: String,
        /// Before.
        before: Option<Sequence>,
        /// After.
        after: Option<Sequence>,
    },
    /// A definition.
    Definition {
        /// Kind and name.
        name: String,
        /// Before; none: it was not there.
        before: Option<String>,
        /// After.
        after: Option<String>,
    },
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The source.
    Before,
    /// The restored one.
    After,
}

/// A row in which two tables differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowDifference {
    /// The table.
    pub table: String,
    /// The primary key, or the whole row where there is none, as PostgreSQL writes a row: `(7,x)`.
    pub key: String,
    /// How often it is there before and not after.
    pub missing: u64,
    /// How often it is there after and not before. A row with both has changed.
    pub extra: u64,
}

/// Everything in which the second differs from the first.
pub fn compare(before: &Content, after: &Content) -> Vec<Difference> {
    let mut found = Vec::new();
    for (name, old, new) in both(&before.tables, &after.tables) {
        found.extend(tables(name, old, new));
    }
    for (name, old, new) in both(&before.sequences, &after.sequences) {
        if !old.zip(new).is_some_and(|(old, new)| goes_on(old, new)) {
            found.push(Difference::Sequence {
                name: name.clone(),
                before: old.copied(),
                after: new.copied(),
            });
        }
    }
    for (name, old, new) in both(&before.definitions, &after.definitions) {
        if old != new {
            found.push(Difference::Definition {
                name: name.clone(),
                before: old.cloned(),
                after: new.cloned(),
            });
        }
    }
    found
}

/// What a database that was restored from a dump lacks of what was dumped. A dump is not always printed again as it was: the
/// text of definitions may change, a sequence that users asked meanwhile is ahead, and another major version may print rows in another way.
pub fn lost(before: &Content, after: &Content, same_version: bool) -> Vec<Difference> {
    let is_lost = |difference: &Difference| match difference {
        Difference::Table { .. } => true,
        Difference::Rows { before, after, .. } => same_version || before != after,
        Difference::Sequence { before, after, .. } => !gives_none_again(*before, *after),
        Difference::Definition { after, .. } => after.is_none(),
    };
    compare(before, after).into_iter().filter(is_lost).collect()
}

/// What a server that came back with its own files lacks, while it goes on: a definition is there to the letter, no sequence gives values again.
pub(super) fn gone(before: &Content, after: &Content) -> Vec<Difference> {
    let is_gone = |difference: &Difference| match difference {
        Difference::Sequence { before, after, .. } => before.is_some() && !gives_none_again(*before, *after),
        Difference::Definition { before, .. } => before.is_some(),
        Difference::Table { .. } | Difference::Rows { .. } => true,
    };
    compare(before, after).into_iter().filter(is_gone).collect()
}

/// Both are there, and the second is as far as the first or further on.
fn gives_none_again(before: Option<Sequence>, after: Option<Sequence>) -> bool {
    before.zip(after).is_some_and(|(old, new)| {
        let ahead = |(old_last, last): (i64, i64)| last.cmp(&old_last) as i64 * old.by.signum() >= 0;
        old.cycles || old.last.is_none() || old.last.zip(new.last).is_some_and(ahead)
    })
}

type Pair<'a, T> = (&'a String, Option<&'a T>, Option<&'a T>);

fn both<'a, T>(before: &'a BTreeMap<String, T>, after: &'a BTreeMap<String, T>) -> Vec<Pair<'a, T>> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| (name, before.get(name), after.get(name))).collect()
}

fn tables(name: &str, old: Option<&Table>, new: Option<&Table>) -> Option<Difference> {
    let only =
        |only, table: &Table| Some(Difference::Table { name: name.to_owned(), only, rows: table.rows });
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(old), None) => return only(Side::Before, old),
        (None, Some(new)) => return only(Side::After, new),
        (None, None) => return None,
    };
    // Cut otherwise, all that is known is that everything has to be looked at.
    let alike = old.cut == new.cut && old.listed == new.listed;
    let ranges: Vec<u16> =
        (0..old.cut).filter(|range| !alike || old.ranges.get(range) != new.ranges.get(range)).collect();
    (!ranges.is_empty()).then(|| Difference::Rows {
        table: name.to_owned(),
        listed: old.listed.clone(),
        cut: old.cut,
        before: old.rows,
        after: new.rows,
        ranges,
    })
}

// The same, or as far ahead as a recovery leaves it.
fn goes_on(old: &Sequence, new: &Sequence) -> bool {
    let steps = |last: i64, start: i64| last.checked_sub(start).and_then(|way| way.checked_div(old.by));
    match (old.last, new.last) {
        (None, None) => old.by == new.by,
        (Some(start), Some(last)) => {
            old.by == new.by && steps(last, start).is_some_and(|steps| (0..=LOGGED_AHEAD).contains(&steps))
        }
        _ => false,
    }
}

/// The rows that differ, from what `rows` answered on both sides.
pub fn compare_rows(table: &str, before: &[String], after: &[String]) -> Result<Vec<RowDifference>, Error> {
    let mut counts = BTreeMap::<(String, String), (u64, u64)>::new();
    for line in before.iter().filter(|line| !line.is_empty()) {
        counts.entry(parsed(line)?).or_default().0 += 1;
    }
    for line in after.iter().filter(|line| !line.is_empty()) {
        counts.entry(parsed(line)?).or_default().1 += 1;
    }
    let mut keys = BTreeMap::<String, (u64, u64)>::new();
    for ((key, _), (old, new)) in counts {
        if old != new {
            let (missing, extra) = keys.entry(key).or_default();
            *missing += old.saturating_sub(new);
            *extra += new.saturating_sub(old);
        }
    }
    let row = |(key, (missing, extra))| RowDifference { table: table.to_owned(), key, missing, extra };
    Ok(keys.into_iter().map(row).collect())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = |side: bool| if side { "there" } else { "not there" };
        match self {
            Self::Table { name, only: Side::Before, rows } => {
                write!(f, "table {name} with {rows} rows is missing")
            }
            Self::Table { name, only: Side::After, rows } => {
                write!(f, "table {name} with {rows} rows is new")
            }
            Self::Rows { table, before, after, ranges, cut, .. } => {
                write!(
                    f,
                    "{table}: {before} rows before, {after} after; {} of {cut} ranges differ",
                    ranges.len()
                )
            }
            Self::Sequence { name, before, after } => {
                let last = |sequence: &Option<Sequence>| sequence.map(|sequence| sequence.last);
                write!(f, "sequence {name}: {:?} before, {:?} after", last(before), last(after))
            }
            Self::Definition { name, before: Some(before), after: Some(after) } => {
                write!(f, "{name}: {before:?} before, {after:?} after")
            }
            Self::Definition { name, before, after } => {
                write!(f, "{name}: {} before, {} after", there(before.is_some()), there(after.is_some()))
            }
        }
    }
}

impl fmt::Display for RowDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.missing, self.extra) {
            (_, 0) => "missing",
            (0, _) => "extra",
            _ => "changed",
        };
        write!(f, "{} {}: {what}", self.table, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Difference, compare, compare_rows, lost};
    use crate::content::{Content, Sequence};

    fn lines(rows: &[(&str, &str)]) -> Vec<String> {
        rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect()
    }

    fn sequence(last: Option<i64>) -> Content {
        Content {
            sequences: [("public.s".to_owned(), Sequence { last, by: 1, cycles: false })].into(),
            ..Content::default()
        }
    }

    #[test]
    fn rows_are_missing_extra_or_changed_by_key() {
        let (before, after) = (
            lines(&[("(1)", "a"), ("(2)", "b"), ("(3)", "c")]),
            lines(&[("(2)", "x"), ("(3)", "c"), ("(4)", "d")]),
        );
        let found: Vec<String> =
            compare_rows("t", &before, &after).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["t (1): missing", "t (2): changed", "t (4): extra"]);
    }

    #[test]
    fn rows_without_a_key_are_counted() {
        let (before, after) = (lines(&[("(a)", "1"), ("(a)", "1"), ("(a)", "1")]), lines(&[("(a)", "1")]));
        let found = compare_rows("t", &before, &after).unwrap();
        assert_eq!((found.len(), found[0].missing, found[0].extra), (1, 2, 0));
    }

    #[test]
    fn a_sequence_may_be_ahead_as_after_a_recovery_but_never_behind() {
        let differs = |before, after| !compare(&sequence(before), &sequence(after)).is_empty();
        assert!(!differs(Some(7), Some(7)) && !differs(Some(7), Some(39)) && !differs(None, None));
        assert!(differs(Some(7), Some(6)) && differs(Some(7), Some(40)) && differs(Some(7), None));
    }

    #[test]
    fn a_definition_that_is_gone_is_told() {
        let before = Content {
            definitions: [("index i".to_owned(), "create".to_owned())].into(),
            ..Content::default()
        };
        let found = compare(&before, &Content::default());
        assert!(matches!(found.as_slice(), [Difference::Definition { after: None, .. }]));
        assert_eq!(found[0].to_string(), "index i: there before, not there after");
    }

    #[test]
    fn what_a_dump_changes_is_not_lost_and_what_it_leaves_out_is() {
        let is_lost = |before, after| !lost(&sequence(before), &sequence(after), true).is_empty();
        assert!(!is_lost(Some(7), Some(7)) && !is_lost(Some(7), Some(4000)) && !is_lost(None, Some(1)));
        assert!(is_lost(Some(7), Some(6)) && is_lost(Some(7), None));
        let view = |text: Option<&str>| Content {
            definitions: text.map(|text| ("view v".to_owned(), text.to_owned())).into_iter().collect(),
            ..Content::default()
        };
        assert_eq!(lost(&view(Some("select 1")), &view(Some("SELECT 1")), true), []);
        assert_eq!(lost(&view(Some("select 1")), &view(None), true).len(), 1);
    }
}
