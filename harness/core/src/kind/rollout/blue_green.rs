//! `blue-green`: as many replicas of another revision as the component has are started beside it, must be ready, and get all of the
//! traffic at once, while those that ran before stay as they are. A judge that may be asked at every second asks whether
//! the new ones keep what they must. Broken beyond doubt, or not kept when the time is over: the traffic is back where it was
//! at once. Kept: the component is rolled out, and then takes the traffic back.

use serde_json::Map;

use super::{About, Beside, Rolled, RolloutKind, canary, update};
use crate::{act::Revision, step::Track, yaml::Mistake};

/// The kind.
pub struct BlueGreen;

static ABOUT: About = About {
    word: "blue-green",
    summary: "starts a whole set of another revision, gives it all of the traffic, and keeps the old one until it is proved",
    example: "blue-green: service\nto: v2\nat: release + 1s\neach: 60s\nkeeps: { errors: 0.5%, p95: 200ms }\n",
    schema: |about, generator| canary::gated(about, generator, Map::new(), &["each", "keeps"]),
};

impl RolloutKind for BlueGreen {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn revision(&self, said: &Rolled<'_>) -> Result<Revision, Mistake> {
        update::Update.revision(said)
    }

    fn after(&self, past: &mut Vec<Revision>, revision: Revision) {
        past.push(revision);
    }

    fn beside(&self) -> Option<Beside> {
        Some(Beside::Green)
    }

    fn track(&self, said: &Rolled<'_>, revision: &Revision) -> Track {
        canary::track(&ABOUT, said, revision)
    }
}
