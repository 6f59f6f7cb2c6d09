//! Whether rows that were there are there after a restore, while a load goes on that adds others.

use std::{collections::BTreeMap, fmt};

use super::{RowDifference, compare_rows};
use crate::{call::Programs, error::Error, postgres::Connection, snapshot::Snapshot};

/// Every row of a database, by table: key and digest, a JSON text each. About a hundred bytes of memory a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows(pub(crate) BTreeMap<String, Vec<String>>);

/// What became of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Tables that were compared.
    pub tables: usize,
    /// Their rows that had to be there.
    pub rows: u64,
    /// Tables that were not.
    pub changing: Vec<String>,
    /// Rows that are not there, or not as they were.
    pub lost: Vec<RowDifference>,
}

impl Rows {
    /// Reads them in one snapshot; writes go on meanwhile.
    pub async fn read(connection: &Connection, programs: &dyn Programs) -> Result<Self, Error> {
        let work = async |mut snapshot: Snapshot| snapshot.rows().await.map(Self);
        Snapshot::during(connection, programs, work).await
    }

    /// Tables in which rows change or go while nothing is wrong: what a restore has changed in them nobody could tell.
    pub fn changing(&self, later: &Self) -> Result<Vec<String>, Error> {
        let mut changing = vec![];
        for table in self.0.keys() {
            if !self.lost_in(table, later)?.is_empty() {
                changing.push(table.clone());
            }
        }
        Ok(changing)
    }

    /// What became of these rows after a restore, but for tables that change anyway.
    pub fn kept(&self, changing: Vec<String>, restored: &Self) -> Result<Kept, Error> {
        let mut kept = Kept { changing, ..Kept::default() };
        for (table, rows) in &self.0 {
            if !kept.changing.contains(table) {
                kept.tables += 1;
                kept.rows += rows.len() as u64;
                kept.lost.extend(self.lost_in(table, restored)?);
            }
        }
        Ok(kept)
    }

    fn of(&self, table: &str) -> &[String] {
        self.0.get(table).map(Vec::as_slice).unwrap_or_default()
    }

    fn lost_in(&self, table: &str, other: &Self) -> Result<Vec<RowDifference>, Error> {
        let all = compare_rows(table, self.of(table), other.of(table))?;
        Ok(all.into_iter().filter(|row| row.missing > 0).collect())
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tables with {} rows", self.tables, self.rows)?;
        if !self.changing.is_empty() {
            write!(
                f,
                " (not compared, for their rows change under this load: {})",
                self.changing.join(", ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    fn rows(tables: &[(&str, &[(&str, &str)])]) -> Rows {
        let lines = |rows: &[(&str, &str)]| {
            rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect::<Vec<_>>()
        };
        Rows(tables.iter().map(|(name, rows)| ((*name).to_owned(), lines(rows))).collect())
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
    fn a_table_that_the_load_changes_is_left_out_and_named() {
        let before = rows(&[("a", &[("(1)", "x")]), ("b", &[("(1)", "x")])]);
        let later = rows(&[("a", &[("(1)", "y")]), ("b", &[("(1)", "x")])]);
        let changing = before.changing(&later).unwrap();
        let kept = before.kept(changing, &rows(&[("b", &[("(1)", "x")])])).unwrap();
        assert_eq!((kept.changing.clone(), kept.rows, kept.lost.len()), (vec!["a".to_owned()], 1, 0));
        assert!(kept.to_string().contains("1 tables with 1 rows (not compared"), "{kept}");
    }
}
