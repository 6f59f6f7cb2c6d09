//! `cold-cache`: a Redis server ends, its data are destroyed, and it starts empty, without a backup: what users have while it warms.
//! No write may be lost.

use super::{About, DrillKind, Drilled, Loses, Stage, Staged, Taken, item, wipe_redis};
use crate::{kind::server::redis, yaml::Mistake};

/// The kind.
pub struct ColdCache;

static ABOUT: About = About {
    word: "cold-cache",
    summary: "destroys a Redis server's data, and starts it empty",
    example: "cold-cache: cache\nat: drill + 5s\n",
    schema: item,
};

impl DrillKind for ColdCache {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake> {
        redis(&ABOUT, said)
    }

    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged> {
        let wipe = vec![wipe_redis(&said.first())];
        vec![Staged::asks(Stage::Write), said.stop(), Staged::acts(Stage::Destroy, wipe)]
    }

    fn takes(&self, _: &Drilled<'_>) -> Vec<Taken> {
        vec![]
    }

    fn loses(&self) -> Loses {
        Loses::Nothing
    }
}
