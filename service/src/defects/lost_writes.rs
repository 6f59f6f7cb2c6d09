//! `lost-writes:1%`: that share of experiments is acknowledged with a 201, and nothing of them stays.

use super::draws::Draws;
use super::kind::{Kind, Parameter};
use super::parameter::share;
use super::write::after_some;

pub(super) const KIND: Kind = Kind {
    name: "lost-writes",
    parameter: Some(Parameter { default: "1%", form: "a share of experiments" }),
    about: "that share of experiments is acknowledged with a 201 and not stored",
    seed: |order, changes| {
        let draws = Draws::new(order.seed, share(order.parameter)?);
        changes.routes.push(after_some(draws, "DELETE FROM experiments WHERE id = $1"));
        Ok(())
    },
};
