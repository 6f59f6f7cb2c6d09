//! Where every path of a file stands, so that mistakes found later still name line and column.

use std::collections::BTreeMap;

use super::{Mistake, Node, Place, Value};

/// Places by path: `faults[0].at`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    values: BTreeMap<String, Place>,
    keys: BTreeMap<String, Place>,
}

impl Places {
    /// All places of a tree.
    pub fn of(tree: &Node) -> Self {
        let mut places = Self::default();
        places.walk(tree, String::new());
        places
    }

    fn walk(&mut self, node: &Node, path: String) {
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, format!("{path}[{index}]"));
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let below =
                        if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    self.keys.insert(below.clone(), entry.place);
                    self.walk(&entry.node, below);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) | Value::Dropped => {}
        }
        // A map's or list's own place is that of its first line; its key says more.
        let own = match (&node.value, self.keys.get(&path)) {
            (Value::Map(_) | Value::List(_), Some(key)) => *key,
            _ => node.place,
        };
        self.values.insert(path, own);
    }

    /// The mistake with line and column: those of its path, or of the nearest that encloses it.
    pub fn locate(&self, mistake: Mistake) -> Mistake {
        if mistake.line != 0 {
            return mistake;
        }
        let own = if mistake.of_key { self.keys.get(&mistake.path) } else { None };
        let mut path = mistake.path.as_str();
        let place = own.or_else(|| {
            loop {
                match (self.values.get(path), path.rfind(['.', '['])) {
                    (Some(place), _) => return Some(place),
                    (None, Some(end)) => path = path.get(..end).unwrap_or_default(),
                    (None, None) if path.is_empty() => return None,
                    (None, None) => path = "",
                }
            }
        });
        let place = place.copied().unwrap_or_default();
        Mistake { line: place.line, column: place.column, ..mistake }
    }
}

#[cfg(test)]
mod tests {
    use super::Places;
    use crate::yaml::{Mistake, tree};

    fn located(mistake: Mistake) -> (u32, u32) {
        let places = Places::of(&tree(b"faults:\n  - kill: service\n    pick: [1,\n      2]\n").unwrap());
        let found = places.locate(mistake);
        (found.line, found.column)
    }

    #[test]
    fn a_value_a_key_and_an_item_are_found() {
        assert_eq!(located(Mistake::at("faults[0].kill", "")), (2, 11));
        assert_eq!(located(Mistake::of_key("faults[0].kill", "")), (2, 5));
        assert_eq!(located(Mistake::at("faults[0].pick[1]", "")), (4, 7));
        assert_eq!(located(Mistake::at("faults[0].pick", "")), (3, 5));
    }

    #[test]
    fn a_path_that_is_not_written_is_placed_at_what_encloses_it() {
        assert_eq!(located(Mistake::at("faults[0].at", "")), (2, 5));
        assert_eq!(located(Mistake::at("load", "")), (1, 1));
    }
}
