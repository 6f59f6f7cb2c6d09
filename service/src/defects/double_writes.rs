//! `double-writes:2%`: that share of experiments is stored twice, the second time under another id.

use super::draws::Draws;
use super::kind::{Kind, Parameter};
use super::parameter::share;
use super::write::after_some;

const AGAIN: &str = "INSERT INTO experiments (id, name, note, query)
                     SELECT gen_random_uuid(), name, note, query FROM experiments WHERE id = $1";

pub(super) const KIND: Kind = Kind {
    name: "double-writes",
    parameter: Some(Parameter { default: "2%", form: "a share of experiments" }),
    about: "that share of experiments is stored twice",
    seed: |order, changes| {
        let draws = Draws::new(order.seed, share(order.parameter)?);
        changes.routes.push(after_some(draws, AGAIN));
        Ok(())
    },
};
