//! `scale-in`: a component runs with fewer replicas for a time, as when an autoscaler takes some away: each is asked to
//! end, and drains. Which of them go is the target's choice. Where it kills something that users wait for, the drain is bad.

use std::time::Duration;

use super::{About, Said, item};
use crate::{
    act::{Act, Place, Unit},
    kind::Kind,
    plan::Known,
    proof::{Expect, Proof, Query},
    step::Track,
    yaml::Mistake,
};

/// The kind.
pub struct ScaleIn;

static ABOUT: About = About {
    word: "scale-in",
    summary: "takes replicas away in order, so many as `pick` says, for a time: each is asked to end, and drains",
    example: "scale-in: service\npick: 1\nat: fault + 2s\nfor: 10s\n",
    schema: |about, generator| item(about, generator, &["at", "for"]),
};

const EFFECT: Duration = Duration::from_secs(15);
const GONE: Duration = Duration::from_secs(30);

impl Kind for ScaleIn {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn expand(&self, said: &Said<'_>, known: &Known<'_>) -> Result<Track, Mistake> {
        let unsaid = || Mistake::at("", "a scale-in needs a length").mend("add `for: 10s`");
        let lasts = said.lasts.ok_or_else(unsaid)?;
        let all = known.system.components.get(said.component).map_or(0, |component| component.replicas);
        let left = all.saturating_sub(u16::try_from(said.picks.len()).unwrap_or(u16::MAX));
        let unit = Unit::Component { component: said.component.clone() };
        let count = |is: u16, within| Proof {
            ask: Query::Replicas { at: Place::component(said.component) },
            expect: Expect::Is(is.to_string()),
            within,
        };
        let ready = (1..=all).map(|index| Proof {
            ask: Query::Ready { at: Place::replica(said.component, index) },
            expect: Expect::Is("ready".to_owned()),
            within: GONE,
        });
        let gone = std::iter::once(count(all, GONE)).chain(ready).collect();
        let acts = vec![Act::Scale { unit, replicas: left }];
        let mut track = said.track(&ABOUT, acts, (vec![count(left, EFFECT)], gone), lasts);
        for step in &mut track.steps {
            step.title = format!("scale-in {} to {left}", said.component);
        }
        Ok(track)
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::fault::tests::{expand, shown};

    #[test]
    fn a_scale_in_is_proved_by_the_count_and_undone_by_the_count() {
        insta::assert_snapshot!(shown(&expand(&super::ScaleIn, &[3], Some(8)).unwrap()), @r"
        scale-in-1/1: scale-in service to 2, At(10s) to After(8s)
          act    scale service to 2
          effect replicas of service is 2 within 15s
          gone   replicas of service is 3 within 30s
          gone   readiness of service-1 is ready within 30s
          gone   readiness of service-2 is ready within 30s
          gone   readiness of service-3 is ready within 30s
        ");
    }

    #[test]
    fn a_scale_in_without_a_length_is_told() {
        let told = expand(&super::ScaleIn, &[3], None).unwrap_err().show("x.yml");
        assert_eq!(told, "x.yml: a scale-in needs a length; add `for: 10s`");
    }
}
