//! `logical`: a dump of a PostgreSQL database is taken under load, the database is dropped while writes go on, and restored
//! from the dump into a new one. What was acknowledged after the dump began is lost, and nothing else. Settings, roles and
//! other databases of the server are not part of it.

use std::time::Duration;

use super::{About, DrillKind, Drilled, item};
use crate::{act::Act, system::Ready, yaml::Mistake};

/// The kind.
pub struct Logical;

static ABOUT: About = About {
    word: "logical",
    summary: "dumps a PostgreSQL database, drops it, and restores it from the dump",
    example: "logical: database\nat: drill + 5s\nlose: 1000\n",
    schema: item,
};

/// How long the server may take to end all sessions and drop the database.
const DROPPED_WITHIN: Duration = Duration::from_secs(60);

impl DrillKind for Logical {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake> {
        if matches!(said.spec.ready, Ready::Postgres { .. }) {
            return Ok(());
        }
        let what = format!("`{}` is no PostgreSQL server: its `ready` is no session", said.component);
        Err(Mistake::at(ABOUT.word, what).mend("write a component with `ready: { postgres: ... }`"))
    }

    fn destroys(&self, said: &Drilled<'_>) -> Vec<Act> {
        let Ready::Postgres { database, .. } = &said.spec.ready else { return vec![] };
        // Nobody drops the database that they are in.
        let from = if database == "template1" { "postgres" } else { "template1" };
        let drop = format!("drop database \"{}\" with (force)", database.replace('"', "\"\""));
        let psql =
            ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", from, "--command", &drop];
        vec![said.exec(&psql, DROPPED_WITHIN)]
    }
}
