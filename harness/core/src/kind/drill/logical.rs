//! `logical`: a dump of a PostgreSQL database is taken under load, the database is dropped while writes go on, and restored
//! from the dump into a new one. What was acknowledged after the dump began is lost, and nothing else. Settings, roles and
//! other databases of the server are not part of it.

use super::{About, DrillKind, Drilled, Form, Loses, Stage, Staged, Taken, item, sql};
use crate::{kind::server::postgres, system::Ready, yaml::Mistake};

/// The kind.
pub struct Logical;

static ABOUT: About = About {
    word: "logical",
    summary: "dumps a PostgreSQL database, drops it, and restores it from the dump",
    example: "logical: database\nat: drill + 5s\nlose: 1000\n",
    schema: item,
};

impl DrillKind for Logical {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake> {
        postgres(&ABOUT, said)
    }

    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged> {
        let drop = said.components.iter().filter_map(|(_, spec)| match &spec.ready {
            Ready::Postgres { database, .. } => Some(database),
            _ => None,
        });
        let drop = drop.map(|database| {
            // Nobody drops the database that they are in.
            let from = if database == "template1" { "postgres" } else { "template1" };
            let drop = format!("drop database \"{}\" with (force)", database.replace('"', "\"\""));
            sql(&said.first(), Some(from), &drop)
        });
        vec![
            Staged::asks(Stage::Backup),
            Staged::asks(Stage::Write),
            Staged::acts(Stage::Destroy, drop.collect()),
            Staged::asks(Stage::Restore),
        ]
    }

    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken> {
        vec![Taken { at: said.first(), form: Form::Dump }]
    }

    fn loses(&self) -> Loses {
        Loses::SinceBackup
    }
}
