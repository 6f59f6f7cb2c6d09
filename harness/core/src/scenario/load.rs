//! Load as written: who comes, and how often.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Moment;
use crate::{
    name::Name,
    unit::{Rate, Span},
};

/// A stream of users.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// What each of them does: a behaviour of the system file.
    pub behaviour: Name,
    /// How often one comes, whatever became of those before.
    pub arrivals: Shape,
}

/// The rate over time. It is fixed before the run and never waits for answers.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Shape {
    /// Evenly spaced at one rate.
    Constant(Rate),
    /// At random, independent of each other, at one mean rate.
    Poisson(Rate),
    /// From one rate straight to another over the whole time line.
    Ramp {
        /// At the beginning.
        from: Rate,
        /// At the end.
        to: Rate,
    },
    /// One rate, but for one stretch of the time line.
    Spike {
        /// Before and after.
        base: Rate,
        /// During it.
        peak: Rate,
        /// When it begins.
        at: Moment,
        /// How long it lasts.
        #[serde(rename = "for")]
        lasts: Span,
    },
}

#[cfg(test)]
mod tests {
    use super::{Load, Shape};
    use crate::yaml;

    fn read(arrivals: &str) -> Result<Load, String> {
        let text = format!("behaviour: mixed\narrivals: {arrivals}\n");
        yaml::read(&yaml::tree(text.as_bytes()).unwrap()).map_err(|mistakes| mistakes[0].show("x.yml"))
    }

    #[test]
    fn every_shape_is_read() {
        for good in [
            "{ constant: 600/s }",
            "{ poisson: 90/m }",
            "{ ramp: { from: 10/s, to: 100/s } }",
            "{ spike: { base: 10/s, peak: 100/s, at: fault + 2s, for: 5s } }",
        ] {
            read(good).unwrap();
        }
        assert!(matches!(read("{ ramp: { from: 1/s, to: 2/s } }").unwrap().arrivals, Shape::Ramp { .. }));
    }

    #[test]
    fn a_wrong_rate_and_a_misspelt_shape_are_told_with_place_and_mend() {
        insta::assert_snapshot!(read("{ poisson: -5/s }").unwrap_err(), @r#"x.yml:2:22: "-5/s" is no rate: it is negative; write it like "600/s" or "90/m""#);
        insta::assert_snapshot!(read("{ constant: 600 }").unwrap_err(), @r#"x.yml:2:23: "600" is no rate: the unit is missing; write it like "600/s" or "90/m""#);
        insta::assert_snapshot!(read("{ posson: 5/s }").unwrap_err(), @"x.yml:2:13: unknown word `posson`; did you mean `poisson`?");
        insta::assert_snapshot!(read("600/s").unwrap_err(), @"x.yml:2:11: unknown word `600/s`; write one of `constant`, `poisson`, `ramp`, `spike`");
        insta::assert_snapshot!(read("{ ramp: { from: 1/s, too: 2/s } }").unwrap_err(), @"x.yml:2:32: unknown field `too`; did you mean `to`?");
    }
}
