//! `redis-aof`: the same as `redis-rdb`, with the append-only files instead of a snapshot.

use super::{About, DrillKind, Drilled, Form, Loses, Staged, Taken, item, wipe_redis};
use crate::{kind::server::redis, yaml::Mistake};

/// The kind.
pub struct RedisAof;

static ABOUT: About = About {
    word: "redis-aof",
    summary: "destroys a Redis server's data, and restores them from its append-only files",
    example: "redis-aof: cache\nat: drill + 5s\n",
    schema: item,
};

impl DrillKind for RedisAof {
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
        vec![Taken { at: said.first(), form: Form::AppendOnly }]
    }

    fn loses(&self) -> Loses {
        Loses::Nothing
    }
}
