//! `failing-migration`: one migration more, which PostgreSQL refuses at its second statement. The process ends with
//! the database's message; the first statement is taken back with the transaction, so the schema is as before.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType};

use super::kind::Kind;

/// Behind every migration that there will be.
const VERSION: i64 = i64::MAX;

const SQL: &str = "ALTER TABLE experiments ADD COLUMN half_done text;
                   ALTER TABLE experiments ADD COLUMN name text;";

pub(super) const KIND: Kind = Kind {
    name: "failing-migration",
    parameter: None,
    about: "a migration fails at start: the process ends with the database's message",
    seed: |_, changes| {
        let (kind, sql) = (MigrationType::Simple, SQL.into_sql_str());
        changes.migrations.push(Migration::new(VERSION, "a defect".into(), kind, sql, false));
        Ok(())
    },
};
