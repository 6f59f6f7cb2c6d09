//! Whether rows or keys that were there are there after a restore, while a load goes on that adds others.

use std::collections::{BTreeMap, BTreeSet};

use super::{Content, Difference, RowDifference, compare::gone, compare_rows};
use crate::{call::Programs, error::Error, postgres::Connection, snapshot::Snapshot};

/// Every row of a database by table, or every key of Redis by its prefix: key and digest, a JSON text each. About a hundred bytes
/// of memory a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    pub(crate) tables: BTreeMap<String, Vec<String>>,
    /// Sequences and definitions of a database; Redis has none.
    pub(crate) shape: Content,
    /// When keys expire, in Unix milliseconds, by prefix and key.
    pub(crate) expires: BTreeMap<String, BTreeMap<String, u64>>,
    /// When it was read, by the clock that they expire by.
    pub(crate) read: u64,
}

/// What became of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Tables, or prefixes of keys, that were compared.
    pub tables: usize,
    /// Their rows that had to be there.
    pub rows: usize,
    /// Tables that were not.
    pub changing: Vec<String>,
    /// Rows that are not there, or not as they were.
    pub lost: Vec<RowDifference>,
    /// Sequences and definitions that had to be there.
    pub shape: usize,
    /// Those that are not there, or not as they were.
    pub gone: Vec<Difference>,
}

impl Rows {
    /// Reads them in one snapshot; writes go on meanwhile.
    pub async fn read(connection: &Connection, programs: &dyn Programs) -> Result<Self, Error> {
        let work = async |mut snapshot: Snapshot| {
            let tables = snapshot.rows().await?;
            Ok(Self { tables, shape: snapshot.shape().await?, ..Self::default() })
        };
        Snapshot::during(connection, programs, work).await
    }

    /// Tables in which rows change or go while nothing is wrong: what a restore has changed in them nobody could tell.
    pub fn changing(&self, later: &Self) -> Result<Vec<String>, Error> {
        let mut changing = vec![];
        for table in self.tables.keys() {
            if !self.lost_in(table, later)?.is_empty() {
                changing.push(table.clone());
            }
        }
        Ok(changing)
    }

    /// What became of these rows after a restore, but for tables that change anyway.
    pub fn kept(&self, changing: Vec<String>, restored: &Self) -> Result<Kept, Error> {
        let shape = self.shape.sequences.len() + self.shape.definitions.len();
        let gone = gone(&self.shape, &restored.shape);
        let mut kept = Kept { changing, shape, gone, ..Kept::default() };
        for (table, rows) in &self.tables {
            if !kept.changing.contains(table) {
                kept.tables += 1;
                kept.rows += rows.len() - self.expired(table, restored.read).len();
                kept.lost.extend(self.lost_in(table, restored)?);
            }
        }
        Ok(kept)
    }

    fn of(&self, table: &str) -> &[String] {
        self.tables.get(table).map(Vec::as_slice).unwrap_or_default()
    }

    /// Its keys that had expired by then.
    fn expired(&self, table: &str, by: u64) -> BTreeSet<&str> {
        let expire = self.expires.get(table).into_iter().flatten();
        expire.filter(|(_, at)| **at <= by).map(|(key, _)| key.as_str()).collect()
    }

    fn lost_in(&self, table: &str, other: &Self) -> Result<Vec<RowDifference>, Error> {
        let all = compare_rows(table, self.of(table), other.of(table))?;
        let expired = self.expired(table, other.read);
        Ok(all.into_iter().filter(|row| row.missing > 0 && !expired.contains(row.key.as_str())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, Rows};
    use crate::content::Sequence;

    fn rows(tables: &[(&str, &[(&str, &str)])]) -> Rows {
        let lines = |rows: &[(&str, &str)]| {
            rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect::<Vec<_>>()
        };
        let tables = tables.iter().map(|(name, rows)| ((*name).to_owned(), lines(rows))).collect();
        Rows { tables, ..Rows::default() }
    }

    #[test]
    fn a_key_that_expired_meanwhile_is_neither_lost_nor_a_sign_of_change() {
        let mut before = rows(&[("a", &[("1", "x"), ("2", "y")])]);
        before.expires.insert("a".into(), [("2".into(), 1000)].into());
        let without = |read| Rows { read, ..rows(&[("a", &[("1", "x")])]) };
        assert_eq!(before.changing(&without(999)).unwrap(), ["a"]);
        assert!(before.changing(&without(1000)).unwrap().is_empty());
        assert_eq!(before.kept(vec![], &without(999)).unwrap().lost[0].key, "2");
        let kept = before.kept(vec![], &without(1000)).unwrap();
        assert_eq!((kept.rows, kept.lost.len()), (1, 0));
    }

    #[test]
    fn a_row_that_is_gone_or_changed_is_named_and_a_new_one_is_none() {
        let before = rows(&[("a", &[("(1)", "x"), ("(2)", "y"), ("(3)", "z")])]);
        let more = rows(&[("a", &[("(1)", "x"), ("(2)", "y"), ("(3)", "z"), ("(4)", "new")])]);
        assert_eq!(before.changing(&more).unwrap(), Vec::<String>::new());
        let kept = before.kept(vec![], &more).unwrap();
        assert_eq!((kept.tables, kept.rows, kept.lost.len()), (1, 3, 0));
        let worse = rows(&[("a", &[("(1)", "x"), ("(3)", "other")])]);
        let kept = before.kept(vec![], &worse).unwrap();
        let lost: Vec<_> = kept.lost.iter().map(|row| (row.key.as_str(), row.missing, row.extra)).collect();
        assert_eq!(lost, [("(2)", 1, 0), ("(3)", 1, 1)]);
        assert_eq!(before.kept(vec![], &rows(&[])).unwrap().lost.len(), 3, "a table that is gone");
    }

    #[test]
    fn a_definition_that_is_not_as_it_was_and_a_sequence_that_fell_back_are_named() {
        let shape = |last: i64, index: &str| {
            let sequence = Sequence { last: Some(last), by: 1, cycles: false };
            let definitions = [("index i".to_owned(), index.to_owned())].into();
            let shape =
                Content { sequences: [("s".to_owned(), sequence)].into(), definitions, ..Content::default() };
            Rows { shape, ..Rows::default() }
        };
        let before = shape(7, "on t (a)");
        let kept = before.kept(vec![], &shape(900, "on t (a)")).unwrap();
        assert_eq!((kept.shape, kept.gone), (2, vec![]));
        let told = |restored: &Rows| -> Vec<String> {
            before.kept(vec![], restored).unwrap().gone.iter().map(ToString::to_string).collect()
        };
        assert_eq!(told(&shape(7, "on t (b)")), ["index i: \"on t (a)\" before, \"on t (b)\" after"]);
        assert_eq!(told(&shape(6, "on t (a)")), ["sequence s: Some(Some(7)) before, Some(Some(6)) after"]);
        assert_eq!(told(&Rows::default()).len(), 2);
        // What is new is nobody's loss.
        assert_eq!(Rows::default().kept(vec![], &before).unwrap().gone, []);
    }

    #[test]
    fn a_table_that_the_load_changes_is_left_out_and_named() {
        let before = rows(&[("a", &[("(1)", "x")]), ("b", &[("(1)", "x")])]);
        let later = rows(&[("a", &[("(1)", "y")]), ("b", &[("(1)", "x")])]);
        let changing = before.changing(&later).unwrap();
        let kept = before.kept(changing, &rows(&[("b", &[("(1)", "x")])])).unwrap();
        assert_eq!((kept.changing.clone(), kept.rows, kept.lost.len()), (vec!["a".to_owned()], 1, 0));
    }
}
