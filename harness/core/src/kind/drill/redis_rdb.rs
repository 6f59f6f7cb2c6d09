//! `redis-rdb`: a snapshot of Redis is taken under load, its data are destroyed, and restored from the snapshot: the cache is warm
//! again at once. No write may be lost: they are not kept there.

use super::{About, DrillKind, Drilled, Form, Loses, Staged, Taken, item, wipe_redis};
use crate::{kind::server::redis, yaml::Mistake};

/// The kind.
pub struct RedisRdb;

static ABOUT: About = About {
    word: "redis-rdb",
    summary: "destroys a Redis server's data, and restores them from its snapshot",
    example: "redis-rdb: cache\nat: drill + 5s\n",
    schema: item,
};

impl DrillKind for RedisRdb {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake> {
        redis(&ABOUT, said)
    }

    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged> {
        said.stopped(vec![wipe_redis(&said.first())])
    }

    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken> {
        vec![Taken { at: said.first(), form: Form::Snapshot }]
    }

    fn loses(&self) -> Loses {
        Loses::Nothing
    }
}
