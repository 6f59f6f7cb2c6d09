//! `rollback`: a component returns to the revision that it ran before its last update, replica by replica, while the load
//! goes on.

use super::{About, Rolled, RolloutKind, item};
use crate::{act::Revision, yaml::Mistake};

/// The kind.
pub struct Rollback;

static ABOUT: About = About {
    word: "rollback",
    summary: "returns a component to the revision before its last update",
    example: "rollback: service\nat: rollback + 1s\n",
    schema: |about, generator| item(about, generator, &[]),
};

impl RolloutKind for Rollback {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn revision(&self, said: &Rolled<'_>) -> Result<Revision, Mistake> {
        if let Some(to) = said.to {
            let what = format!("a rollback goes to the revision before the update, not to `{to}`");
            return Err(Mistake::at("to", what).mend("take `to` out, or write `update:`"));
        }
        let none = || {
            let what = format!("no update of `{}` is left to take back at this time", said.component);
            Mistake::at("rollback", what).mend("write a time after an `update:` of it")
        };
        said.past.iter().rev().nth(1).cloned().ok_or_else(none)
    }

    fn after(&self, past: &mut Vec<Revision>, _: Revision) {
        past.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::Rollback;
    use crate::kind::{fault::tests::shown, rollout::tests::expand};

    #[test]
    fn a_rollback_goes_to_the_revision_before_the_last_update() {
        let track = shown(&expand(&Rollback, &["original", "v3", "v2"], None).unwrap());
        insta::assert_snapshot!(track, @r"
        rollback-1/1: rollback web to v3, At(10s) to Keep
          act    configure web as v3
          effect revision of web is v3 within 20s
          effect readiness of web-1 is ready within 20s
          effect readiness of web-2 is ready within 20s
          gone   revision of web is v2 within 10s
          gone   readiness of web-1 is ready within 10s
          gone   readiness of web-2 is ready within 10s
        ");
        let first = expand(&Rollback, &["original", "v2"], None).unwrap();
        assert_eq!(first.steps[0].title, "rollback web to original");
    }

    #[test]
    fn a_rollback_without_an_update_or_with_a_goal_is_told() {
        let told = |past: &[&str], to| expand(&Rollback, past, to).unwrap_err().show("x.yml");
        insta::assert_snapshot!(told(&["original"], None), @"x.yml: no update of `web` is left to take back at this time; write a time after an `update:` of it");
        insta::assert_snapshot!(told(&["original", "v2"], Some("v3")), @"x.yml: a rollback goes to the revision before the update, not to `v3`; take `to` out, or write `update:`");
    }
}
