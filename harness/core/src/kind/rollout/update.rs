//! `update`: every replica of a component is replaced by one of another revision, while the load goes on. What the system
//! file names under `revisions` is changed: settings, the program or the image. It stays until the run ends; one that does
//! not complete in its time is the component's fault, and is taken back at once.

use serde_json::json;

use super::{About, Rolled, RolloutKind, item};
use crate::{act::Revision, name::Name, yaml::Mistake};

/// The kind.
pub struct Update;

static ABOUT: About = About {
    word: "update",
    summary: "rolls a component out to another of its revisions, replica by replica",
    example: "update: service\nto: v2\nat: update + 1s\n",
    schema: |about, generator| item(about, generator, &[("to", json!("one of the component's `revisions`"))]),
};

impl RolloutKind for Update {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn revision(&self, said: &Rolled<'_>) -> Result<Revision, Mistake> {
        let known = || said.spec.revisions.keys().map(Name::as_str);
        let unsaid =
            || Mistake::at("", "the revision that it goes to is not said").mend("add `to: REVISION`");
        let to = said.to.ok_or_else(unsaid)?;
        let declared = said.spec.revisions.contains_key(to);
        let found = said.spec.revision(to).filter(|_| declared);
        let revision = found.ok_or_else(|| Mistake::unknown("to", "revision", to.as_str(), known()))?;
        if said.past.last() == Some(&revision) {
            let what = format!("`{}` runs `{to}` already", said.component);
            return Err(Mistake::at("to", what).mend("write another revision"));
        }
        Ok(revision)
    }

    fn after(&self, past: &mut Vec<Revision>, revision: Revision) {
        past.push(revision);
    }
}

#[cfg(test)]
mod tests {
    use super::Update;
    use crate::kind::{fault::tests::shown, rollout::tests::expand};

    #[test]
    fn an_update_is_one_step_that_is_kept_and_proved_by_revision_and_readiness() {
        insta::assert_snapshot!(shown(&expand(&Update, &["original"], Some("v2")).unwrap()), @r"
        update-1/1: update web to v2, At(10s) to Keep
          act    configure web as v2
          effect revision of web is v2 within 20s
          effect readiness of web-1 is ready within 20s
          effect readiness of web-2 is ready within 20s
          gone   revision of web is original within 10s
          gone   readiness of web-1 is ready within 10s
          gone   readiness of web-2 is ready within 10s
        ");
    }

    #[test]
    fn a_revision_that_is_unknown_unsaid_or_there_already_is_told_with_a_mend() {
        let told = |past: &[&str], to| expand(&Update, past, to).unwrap_err().show("x.yml");
        insta::assert_snapshot!(told(&["original"], Some("v22")), @"x.yml: unknown revision `v22`; did you mean `v2`?");
        insta::assert_snapshot!(told(&["original"], Some("original")), @"x.yml: unknown revision `original`; write one of `v2`, `v3`");
        insta::assert_snapshot!(told(&["original"], None), @"x.yml: the revision that it goes to is not said; add `to: REVISION`");
        insta::assert_snapshot!(told(&["original", "v2"], Some("v2")), @"x.yml: `web` runs `v2` already; write another revision");
    }
}
