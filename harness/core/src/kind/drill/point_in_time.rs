//! `point-in-time`: a base backup is taken under load and the log is kept; a transaction empties every table, and the server is
//! restored to just before it. Only what was acknowledged after that transaction is lost.
//!
//! The transaction is known by its id, exclusive: a clock is too coarse. Source: PostgreSQL's documentation, "Continuous
//! Archiving and Point-in-Time Recovery".

use super::{About, DrillKind, Drilled, Form, Loses, Stage, Staged, Taken, hold, item, sql};
use crate::{
    act::{Act, Artefact},
    kind::server::postgres,
    name::Name,
    yaml::Mistake,
};

/// The kind.
pub struct PointInTime;

static ABOUT: About = About {
    word: "point-in-time",
    summary: "empties a PostgreSQL server's tables, and restores it to just before that",
    example: "point-in-time: database\nat: drill + 5s\nlose: 1000\n",
    schema: item,
};

/// One transaction, whose id is all that it prints. The service goes on and writes into empty tables, as after a wrong statement.
const DESTROY: &str = "do $$ declare tables text; begin
  select string_agg(format('%I.%I', schemaname, tablename), ', ') into tables from pg_tables
  where schemaname not in ('pg_catalog', 'information_schema');
  execute 'truncate ' || tables;
end $$; select pg_current_xact_id()";

impl DrillKind for PointInTime {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake> {
        postgres(&ABOUT, said)
    }

    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged> {
        let mut destroy = sql(&said.first(), None, DESTROY);
        if let Act::Exec { program, .. } = &mut destroy {
            program.stdout = Some(Artefact(Name::numbered("transaction", said.number)));
        }
        vec![
            hold(&said.first(), &said.name(&ABOUT)),
            Staged::asks(Stage::Backup),
            Staged::asks(Stage::Write),
            Staged::acts(Stage::Destroy, vec![destroy]),
            Staged::asks(Stage::Extend),
            said.stop(),
            Staged::asks(Stage::Restore),
        ]
    }

    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken> {
        vec![Taken { at: said.first(), form: Form::BaseAndLogBefore }]
    }

    fn loses(&self) -> Loses {
        Loses::SinceDestruction
    }
}
