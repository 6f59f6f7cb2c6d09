//! What names mean at one place of a behaviour.
//!
//! Drawn items, captures and the recalled item stay known in the steps after the one that binds them; a later step
//! may bind a name anew.

use std::collections::BTreeMap;

use gauntlet_core::{name::Name, system::Expr};

use super::{data::DataBuilder, parts::Slot};
use crate::error::PlanFault;

/// The pools, and the fields of their items; none when nothing fills a pool.
pub(super) type PoolFields = BTreeMap<Name, Option<Vec<Name>>>;

/// What is known so far in a behaviour.
pub(super) struct Scope<'a, 'd> {
    pub(super) data: &'a mut DataBuilder<'d>,
    pools: &'a PoolFields,
    drawn: Vec<(Name, Name)>,
    captured: Vec<Name>,
    recalled: Option<Name>,
    key: bool,
}

impl<'a, 'd> Scope<'a, 'd> {
    pub(super) fn new(data: &'a mut DataBuilder<'d>, pools: &'a PoolFields) -> Self {
        Self { data, pools, drawn: Vec::new(), captured: Vec::new(), recalled: None, key: false }
    }

    /// In an audit only the key is known.
    pub(super) fn for_audit(data: &'a mut DataBuilder<'d>, pools: &'a PoolFields) -> Self {
        Self { key: true, ..Self::new(data, pools) }
    }

    /// Binds a name to an item of a data set: the binding, and how many items there are.
    pub(super) fn draw(&mut self, name: &Name, set: &Name) -> Result<(usize, usize), PlanFault> {
        let items = self.data.items(set)?;
        let known = self.drawn.iter().position(|(bound, _)| bound == name);
        let binding = known.unwrap_or(self.drawn.len());
        match self.drawn.get_mut(binding) {
            Some(bound) => bound.1 = set.clone(),
            None => self.drawn.push((name.clone(), set.clone())),
        }
        Ok((binding, items))
    }

    /// Makes the fields of a pool known: its index.
    pub(super) fn recall(&mut self, pool: &Name) -> Result<usize, PlanFault> {
        self.recalled = Some(pool.clone());
        self.pool(pool)
    }

    /// The index of a pool.
    pub(super) fn pool(&self, pool: &Name) -> Result<usize, PlanFault> {
        self.pools.keys().position(|known| known == pool).ok_or_else(|| PlanFault::Unknown(pool.to_string()))
    }

    /// Makes a capture known: its slot.
    pub(super) fn capture(&mut self, name: &Name) -> usize {
        let known = self.captured.iter().position(|captured| captured == name);
        known.unwrap_or_else(|| {
            self.captured.push(name.clone());
            self.captured.len() - 1
        })
    }

    /// How many data bindings and captures the behaviour has.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.drawn.len(), self.captured.len())
    }

    /// What an expression means here.
    pub(super) fn slot(&mut self, expr: &Expr) -> Result<Slot, PlanFault> {
        let found = match expr {
            // There is no arrival behind an audit.
            Expr::Uuid | Expr::Fresh | Expr::Pick(_) if self.key => None,
            Expr::Uuid => Some(Slot::Uuid),
            Expr::Fresh => Some(Slot::Fresh),
            Expr::Pick(bound) => Some(Slot::Pick(*bound)),
            Expr::Key => self.key.then_some(Slot::Key),
            Expr::Captured(name) => self.captured.iter().position(|known| known == name).map(Slot::Captured),
            Expr::Recalled(name) => self.recalled(name),
            Expr::Drawn { name, pointer } => self.drawn(name, pointer)?,
        };
        found.ok_or_else(|| PlanFault::Unknown(told(expr)))
    }

    fn drawn(&mut self, name: &Name, pointer: &str) -> Result<Option<Slot>, PlanFault> {
        let Some(binding) = self.drawn.iter().position(|(bound, _)| bound == name) else { return Ok(None) };
        let column = self.data.column(&self.drawn[binding].1, pointer)?;
        Ok(Some(Slot::Drawn { binding, column }))
    }

    fn recalled(&self, field: &Name) -> Option<Slot> {
        match self.pools.get(self.recalled.as_ref()?)? {
            Some(fields) => fields.iter().position(|known| known == field).map(Slot::Recalled),
            // Nothing fills this pool: whatever is recalled from it is never sent.
            None => Some(Slot::Recalled(0)),
        }
    }
}

fn told(expr: &Expr) -> String {
    match expr {
        Expr::Uuid => "uuid".into(),
        Expr::Fresh => "fresh".into(),
        Expr::Pick(bound) => format!("pick {bound}"),
        Expr::Key => "key".into(),
        Expr::Captured(name) => format!("captured/{name}"),
        Expr::Recalled(name) => format!("recalled/{name}"),
        Expr::Drawn { name, pointer } => format!("{name}{pointer}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gauntlet_core::{name::Name, system::Expr};
    use serde_json::json;

    use super::{DataBuilder, Scope};
    use crate::compile::Slot;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_that_is_drawn_again_keeps_its_binding_and_changes_its_set() {
        let raw = BTreeMap::from([
            (name("a"), vec![json!({"x": 1})]),
            (name("b"), vec![json!({"y": 2}), json!({"y": 3})]),
        ]);
        let (mut data, pools) = (DataBuilder::new(&raw), BTreeMap::new());
        let mut scope = Scope::new(&mut data, &pools);
        let field = |pointer: &str| Expr::Drawn { name: name("it"), pointer: pointer.into() };
        assert_eq!(scope.draw(&name("it"), &name("a")).unwrap(), (0, 1));
        assert_eq!(scope.slot(&field("/x")).unwrap(), Slot::Drawn { binding: 0, column: 0 });
        assert_eq!(scope.draw(&name("it"), &name("b")).unwrap(), (0, 2));
        assert_eq!(scope.slot(&field("/y")).unwrap(), Slot::Drawn { binding: 0, column: 1 });
        assert!(scope.slot(&field("/x")).is_err());
        assert_eq!(scope.counts(), (1, 0));
    }

    #[test]
    fn an_audit_knows_its_key_and_nothing_of_an_arrival() {
        let (raw, pools) = (BTreeMap::new(), BTreeMap::new());
        let mut data = DataBuilder::new(&raw);
        let mut scope = Scope::for_audit(&mut data, &pools);
        assert_eq!(scope.slot(&Expr::Key).unwrap(), Slot::Key);
        assert!(scope.slot(&Expr::Uuid).is_err());
    }
}
