//! `kill`: a replica's whole process tree ends by SIGKILL, without a chance to finish anything. It is started again
//! when the fault ends: at once, unless `for` says how long it stays away.

use std::time::Duration;

use super::{About, Said, each, item, process, well_again};
use crate::{
    act::{Ability, Signal},
    kind::Kind,
    plan::Known,
    step::Track,
    yaml::Mistake,
};

/// The kind.
pub struct Kill;

static ABOUT: About = About {
    word: "kill",
    summary: "ends replicas by SIGKILL; they are started again when the fault ends (at once without `for`)",
    example: "kill: service\npick: one\nat: fault + 2s\n",
    schema: |about, generator| item(about, generator, &["at"]),
};

const EFFECT: Duration = Duration::from_secs(2);
const GONE: Duration = Duration::from_secs(30);

impl Kind for Kill {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// The runner pins `effect` to the object that it found, so it holds although a successor may run by then.
    fn expand(&self, said: &Said<'_>, known: &Known<'_>) -> Result<Track, Mistake> {
        if said.lasts.is_some_and(|lasts| !lasts.is_zero()) && !known.abilities.contains(&Ability::Away) {
            let what = format!("on the target {} what was killed is started again at once", known.target);
            let mend = format!("leave `for` out; away for a while is `scale-in: {}`", said.component);
            return Err(Mistake::at("for", what).mend(mend));
        }
        let effect = each(said, process, "absent", EFFECT);
        let proofs = (effect, well_again(said, GONE));
        Ok(said.track(&ABOUT, said.signals(Signal::Kill), proofs, said.lasts.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{
        act::Ability,
        kind::fault::tests::{expand, expand_where, shown},
    };

    #[test]
    fn where_a_kubelet_starts_it_again_a_kill_has_no_length() {
        let on = |abilities, seconds| expand_where(&super::Kill, abilities, &[2], Some(seconds));
        let told = on(BTreeSet::from([Ability::Kill]), 5).unwrap_err().show("x.yml");
        assert!(told.contains("started again at once") && told.contains("scale-in: service"), "{told}");
        assert!(on(BTreeSet::from([Ability::Kill]), 0).is_ok());
        assert!(on(BTreeSet::from([Ability::Kill, Ability::Away]), 5).is_ok());
    }

    #[test]
    fn a_kill_is_undone_at_once_and_proved_by_absence_then_by_readiness() {
        insta::assert_snapshot!(shown(&expand(&super::Kill, &[2], None).unwrap()), @r"
        kill-1/1: kill service-2, At(10s) to After(0ns)
          act    kill service-2
          effect process of service-2 is absent within 2s
          gone   process of service-2 is running within 30s
          gone   readiness of service-2 is ready within 30s
        ");
    }

    #[test]
    fn a_kill_of_two_with_a_length_stays_for_that_long() {
        let track = expand(&super::Kill, &[1, 3], Some(5)).unwrap();
        assert_eq!(track.steps[0].title, "kill service-1, service-3");
        assert_eq!(track.steps[0].end, crate::step::End::After(std::time::Duration::from_secs(5)));
    }
}
