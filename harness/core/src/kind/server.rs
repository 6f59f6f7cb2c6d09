//! Servers whose data are drilled: which components are some, and what the programs of a drill must find beside them.

use super::{About, Drilled};
use crate::{
    system::{Component, Ready},
    yaml::Mistake,
};

/// What libpq's programs read.
const POSTGRES: [&str; 5] = ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGDATA"];
/// What the programs of a drill of Redis are told.
const REDIS: [&str; 3] = ["REDIS_HOST", "REDIS_PORT", "REDIS_DIR"];

/// Whether what a component keeps is data that a drill can restore: one replica holds them then.
pub fn keeps_data(spec: &Component) -> bool {
    is_postgres(spec) || is_redis(spec)
}

/// Whether a component is a PostgreSQL server.
pub(super) fn is_postgres(spec: &Component) -> bool {
    matches!(spec.ready, Ready::Postgres { .. })
}

/// Whether a component is a Redis server: it is asked for as one.
pub(super) fn is_redis(spec: &Component) -> bool {
    matches!(&spec.ready, Ready::Tcp { answer, .. } if answer == "+PONG")
}

/// A drill of one PostgreSQL server.
pub(super) fn postgres(about: &'static About, said: &Drilled<'_>) -> Result<(), Mistake> {
    let (name, spec) = said.one(about)?;
    if is_postgres(spec) {
        return found(about, said);
    }
    let what = format!("`{name}` is no PostgreSQL server: its `ready` is no session");
    Err(Mistake::at(about.word, what).mend("write a component with `ready: { postgres: ... }`"))
}

/// A drill of one Redis server.
pub(super) fn redis(about: &'static About, said: &Drilled<'_>) -> Result<(), Mistake> {
    let (name, spec) = said.one(about)?;
    if is_redis(spec) {
        return found(about, said);
    }
    let what = format!("`{name}` is no Redis server: its `ready` asks for no `+PONG`");
    let mend = r#"write a component with `ready: { tcp: { port: ..., send: "PING\r\n", answer: "+PONG" } }`"#;
    Err(Mistake::at(about.word, what).mend(mend))
}

/// The programs of a drill find the servers by the environment that these have.
pub(super) fn found(about: &'static About, said: &Drilled<'_>) -> Result<(), Mistake> {
    // Where objects configure a system they say what is in its environment.
    for (name, spec) in said.components.iter().filter(|_| !said.objects) {
        let wanted = match &spec.ready {
            Ready::Postgres { .. } => POSTGRES.as_slice(),
            _ if is_redis(spec) => REDIS.as_slice(),
            _ => &[],
        };
        let lacks = |setting: &&&str| !spec.settings.contains_key(**setting);
        if let Some(missing) = wanted.iter().find(lacks) {
            let what =
                format!("what the drill runs beside `{name}` reads `{missing}`, which its settings lack");
            let mend = format!("add {} to its `settings` in the system file", wanted.join(", "));
            return Err(Mistake::at(about.word, what).mend(mend));
        }
        if let (Ready::Postgres { database, .. }, Some(said)) = (&spec.ready, spec.settings.get("PGDATABASE"))
            && !said.contains("{{")
            && said != database
        {
            let what = format!(
                "`{name}` has `PGDATABASE: {said}`, and its `ready` asks `{database}`: one would be backed up, and the other destroyed"
            );
            return Err(Mistake::at(about.word, what).mend("write the same in both, in the system file"));
        }
    }
    Ok(())
}
