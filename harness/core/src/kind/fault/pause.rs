//! `pause`: a replica's whole process tree is frozen by SIGSTOP and thawed when the fault ends. Its sockets stay open
//! and silent: to its peers it looks like a machine that hangs.

use std::time::Duration;

use super::{About, Said, each, item, process, ready, well_again};
use crate::{act::Signal, kind::Kind, plan::Known, step::Track, yaml::Mistake};

/// The kind.
pub struct Pause;

static ABOUT: About = About {
    word: "pause",
    summary: "freezes replicas: their connections stay open and nothing answers",
    example: "pause: service\npick: one\nat: fault + 10s\nfor: 8s\n",
    schema: |about, generator| item(about, generator, &["at", "for"]),
};

const EFFECT: Duration = Duration::from_secs(3);
const GONE: Duration = Duration::from_secs(15);

impl Kind for Pause {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn expand(&self, said: &Said<'_>, _: &Known<'_>) -> Result<Track, Mistake> {
        let unsaid = || Mistake::at("", "a pause needs its length").mend("add `for: 8s`");
        let lasts = said.lasts.filter(|lasts| !lasts.is_zero()).ok_or_else(unsaid)?;
        let mut effect = each(said, process, "paused", EFFECT);
        effect.extend(each(said, ready, "silent", EFFECT));
        Ok(said.track(&ABOUT, said.signals(Signal::Pause), (effect, well_again(said, GONE)), lasts))
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::fault::tests::{expand, shown};

    #[test]
    fn a_pause_is_proved_by_its_state_and_by_silence() {
        insta::assert_snapshot!(shown(&expand(&super::Pause, &[3], Some(8)).unwrap()), @r"
        pause-1/1: pause service-3, At(10s) to After(8s)
          act    pause service-3
          effect process of service-3 is paused within 3s
          effect readiness of service-3 is silent within 3s
          gone   process of service-3 is running within 15s
          gone   readiness of service-3 is ready within 15s
        ");
    }

    #[test]
    fn a_pause_without_a_length_is_refused_with_a_mend() {
        for lasts in [None, Some(0)] {
            let mistake = expand(&super::Pause, &[3], lasts).unwrap_err();
            assert_eq!(mistake.mend.as_deref(), Some("add `for: 8s`"));
        }
    }
}
