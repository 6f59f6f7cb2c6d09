//! Data sets, column by column: every field that a template names is serialised once an item, before the run.

use std::collections::BTreeMap;

use gauntlet_core::name::Name;
use serde_json::Value;

use crate::{error::PlanFault, value::Datum};

/// The fields that templates name.
#[derive(Default)]
pub(crate) struct DataSets {
    columns: Vec<Vec<Datum>>,
}

/// Takes up fields as templates name them.
pub(super) struct DataBuilder<'d> {
    raw: &'d BTreeMap<Name, Vec<Value>>,
    known: BTreeMap<(Name, String), usize>,
    columns: Vec<Vec<Datum>>,
}

impl DataSets {
    /// The field of one item.
    pub(crate) fn cell(&self, column: usize, item: usize) -> Option<&Datum> {
        self.columns.get(column)?.get(item)
    }
}

impl<'d> DataBuilder<'d> {
    pub(super) fn new(raw: &'d BTreeMap<Name, Vec<Value>>) -> Self {
        Self { raw, known: BTreeMap::new(), columns: Vec::new() }
    }

    /// How many items a set has: one at least.
    pub(super) fn items(&self, set: &Name) -> Result<usize, PlanFault> {
        match self.raw.get(set).map(Vec::len) {
            None => Err(PlanFault::NoData(set.clone())),
            Some(0) => Err(PlanFault::EmptyData(set.clone())),
            Some(items) => Ok(items),
        }
    }

    /// The column of a field.
    pub(super) fn column(&mut self, set: &Name, pointer: &str) -> Result<usize, PlanFault> {
        if let Some(column) = self.known.get(&(set.clone(), pointer.to_owned())) {
            return Ok(*column);
        }
        let items = self.raw.get(set).ok_or_else(|| PlanFault::NoData(set.clone()))?;
        let cell = |(item, value): (usize, &Value)| {
            let found = value.pointer(pointer).map(Datum::of);
            found.ok_or_else(|| PlanFault::NoField { data: set.clone(), item, pointer: pointer.to_owned() })
        };
        self.columns.push(items.iter().enumerate().map(cell).collect::<Result<_, _>>()?);
        self.known.insert((set.clone(), pointer.to_owned()), self.columns.len() - 1);
        Ok(self.columns.len() - 1)
    }

    /// Whether every item has a number there.
    pub(super) fn is_numeric(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|cells| cells.iter().all(|cell| cell.show().number().is_some()))
    }

    pub(super) fn finish(self) -> DataSets {
        DataSets { columns: self.columns }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::DataBuilder;
    use crate::value::Shown;

    #[test]
    fn a_field_is_serialised_once_and_found_by_item() {
        let raw =
            BTreeMap::from([("q".parse().unwrap(), vec![json!({"m": {"x": 1}}), json!({"m": {"x": 2}})])]);
        let mut data = DataBuilder::new(&raw);
        let set = "q".parse().unwrap();
        let column = data.column(&set, "/m").unwrap();
        assert_eq!(data.column(&set, "/m").unwrap(), column, "the same field is the same column");
        assert!(!data.is_numeric(column));
        let numbers = data.column(&set, "/m/x").unwrap();
        assert!(data.is_numeric(numbers));
        let data = data.finish();
        assert_eq!(data.cell(column, 1).unwrap().show(), Shown::Json(r#"{"x":2}"#));
        assert!(data.cell(column, 2).is_none());
    }
}
