//! `logical`: one database as pg_dump's custom format; restored into a new database that takes the old one's name when it is complete.
//!
//! Roles are not part of it: the server that it is restored into must have those that own things. Sources: PostgreSQL's
//! documentation, `pg_dump`, `pg_restore`, `ALTER DATABASE`.

use jiff::Timestamp;
use tokio::io::AsyncReadExt;

use super::{Form, major, refusal, tool, unsound};
use crate::{
    backup::Taken,
    call::{Call, Programs},
    content::{Compared, Content, RANGES, lost, read},
    draft::Draft,
    error::Error,
    keys::Keys,
    manifest::{Origin, Part, PartKind, Postgres, Span},
    pipe::{feed, feed_into, fill, pour, unpack},
    postgres::{Connection, identifier, literal},
    refusal::Refusal,
    set::Set,
    snapshot::Snapshot,
};

/// The digests of what the dump holds.
const CONTENT: &str = "content.json";

const LSN: &str = "select pg_current_wal_lsn()";

/// The database that is restored into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The server, and the database by its name there; it need not exist.
    pub connection: Connection,
    /// What it holds now may be replaced.
    pub replace: bool,
}

pub(crate) async fn take(
    draft: &mut Draft,
    connection: &Connection,
    digests: bool,
    programs: &dyn Programs,
) -> Result<Taken, Error> {
    let source = connection.origin(programs).await?;
    let as_of = Timestamp::now();
    let start = connection.lsn(programs, LSN).await?;
    let dump =
        connection.call("pg_dump", ["--format=custom"]).arg(format!("--dbname={}", connection.database));
    let part = draft.part("database.dump", PartKind::Dump)?;
    if digests {
        // The digests come first: a sequence is of no snapshot, so what is dumped later is never behind.
        let work = async |mut snapshot: Snapshot| {
            let dump = dump.arg(format!("--snapshot={}", snapshot.export().await?));
            let content = snapshot.content(RANGES).await?;
            Ok((fill(programs, &dump, part).await?, content))
        };
        let (part, content) = Snapshot::during(connection, programs, work).await?;
        draft.parts.push(part);
        let text = serde_json::to_vec(&content).map_err(|why| Error::at(CONTENT, why, "tell its makers"))?;
        let part = draft.part(CONTENT, PartKind::Content)?;
        draft.parts.push(pour(&mut text.as_slice(), part).await?);
    } else {
        draft.parts.push(fill(programs, &dump, part).await?);
    }
    let end = connection.lsn(programs, LSN).await?;
    Ok(Taken {
        form: Form::Logical,
        as_of,
        source: Origin::Postgres(source),
        tools: [tool(programs, "pg_dump").await?].into(),
        lsn: Some(Span { start, end }),
        restore_points: vec![],
    })
}

/// The table of contents, then every block of data once through pg_restore, written to nowhere.
pub(crate) async fn check(set: &Set, keys: &Keys, programs: &dyn Programs) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for part in &set.manifest.parts {
        refusals.extend(check_part(set, part, keys, programs).await.err());
    }
    refusals
}

async fn check_part(set: &Set, part: &Part, keys: &Keys, programs: &dyn Programs) -> Result<(), Refusal> {
    match part.kind {
        PartKind::Dump => {}
        PartKind::Content => return content(set, part, keys).await.map(drop),
        _ => return Err(unsound(&part.name, "not a part of a logical set")),
    }
    let unreadable = |why| refusal(&part.name, why);
    let list = Call::new("pg_restore", ["--list"]);
    let (ended, contents) = feed(programs, &list, set.reader(part, keys)?).await.map_err(unreadable)?;
    list.check(&ended).map_err(|why| unsound(&part.name, why))?;
    let contents = String::from_utf8_lossy(&contents);
    let holds = contents.lines().any(|line| !line.starts_with(';') && line.contains(" TABLE "));
    if !holds {
        return Err(Refusal::Empty { part: part.name.clone() });
    }
    let whole = Call::new("pg_restore", ["--file=-"]);
    let nowhere = &mut tokio::io::sink();
    let ended = feed_into(programs, &whole, set.reader(part, keys)?, nowhere).await.map_err(unreadable)?;
    whole.check(&ended).map_err(|why| unsound(&part.name, why))
}

async fn content(set: &Set, part: &Part, keys: &Keys) -> Result<Content, Refusal> {
    let mut text = vec![];
    let mut stream = set.stream(part, keys)?;
    stream.read_to_end(&mut text).await.map_err(|why| unsound(&part.name, why))?;
    serde_json::from_slice(&text).map_err(|why| unsound(&part.name, why))
}

/// The major version that is restored with: the server's, or pg_restore's where that is older.
pub(crate) async fn version(target: &Database, programs: &dyn Programs) -> Result<Option<u32>, Error> {
    let server = target.maintenance();
    let server = server.value(programs, "select current_setting('server_version_num')::int / 10000").await?;
    let server = server.parse().ok();
    let (_, said) = tool(programs, "pg_restore").await?;
    Ok(server.min(major(&said)))
}

impl Database {
    // A database cannot be renamed by those who are in it.
    fn maintenance(&self) -> Connection {
        let other = if self.connection.database == "postgres" { "template1" } else { "postgres" };
        self.connection.to(other)
    }

    fn beside(&self, what: &str) -> String {
        let name: String = self.connection.database.chars().take(10).collect();
        format!("{name}_gauntlet_{what}")
    }

    async fn found(&self, programs: &dyn Programs) -> Result<Option<String>, Error> {
        let exists =
            format!("select 1 from pg_database where datname = {}", literal(&self.connection.database));
        if self.maintenance().ask(programs, &exists).await?.is_empty() {
            return Ok(None);
        }
        Ok(self.connection.ask(programs, FIRST).await?.into_iter().next())
    }
}

const FIRST: &str = "
select quote_ident(nspname) || '.' || quote_ident(relname) from pg_class c join pg_namespace n on n.oid = relnamespace
where nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_(toast|temp)'
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by 1 limit 1;
";

/// Answers how much was compared with the digests of the source; none: the set has none.
pub(crate) async fn restore(
    set: &Set,
    target: &Database,
    keys: &Keys,
    programs: &dyn Programs,
) -> Result<Option<Compared>, Error> {
    let of_kind = |kind| set.manifest.parts.iter().find(|part| part.kind == kind);
    let (Origin::Postgres(source), Some(part)) = (&set.manifest.source, of_kind(PartKind::Dump)) else {
        let why = "a logical set has a dump, from PostgreSQL";
        return Err(Error::Refused(vec![unsound("manifest.json", why)]));
    };
    if let (Some(found), false) = (target.found(programs).await?, target.replace) {
        return Err(Error::NotEmpty { place: format!("database {}", target.connection.database), found });
    }
    let (maintenance, new) = (target.maintenance(), target.beside("restoring"));
    maintenance.ask(programs, &fresh(&new, source)).await?;
    let call = target.connection.to(&new);
    let call =
        call.call("pg_restore", ["--single-transaction", "--exit-on-error"]).arg(format!("--dbname={new}"));
    let refused = |refusal| Error::Refused(vec![refusal]);
    let reader = set.reader(part, keys).map_err(refused)?;
    let restored = async {
        unpack(programs, &call, reader).await?;
        let Some(part) = of_kind(PartKind::Content) else { return Ok(None) };
        let before = content(set, part, keys).await.map_err(refused)?;
        same(&before, source, &target.connection.to(&new), programs).await.map(Some)
    };
    let compared = match restored.await {
        Ok(compared) => compared,
        Err(why) => {
            // What remains is dropped by the next restore.
            let _ = maintenance.ask(programs, &drop_database(&new)).await;
            return Err(why);
        }
    };
    let swap = swap(&target.connection.database, &new, &target.beside("replaced"));
    maintenance.ask(programs, &swap).await?;
    Ok(compared)
}

/// How many differences are told.
const TOLD: usize = 5;

// An error: what was restored is not what was dumped.
async fn same(
    before: &Content,
    source: &Postgres,
    new: &Connection,
    programs: &dyn Programs,
) -> Result<Compared, Error> {
    let version = new.origin(programs).await?;
    let after = read(new, programs, RANGES).await?;
    let lost = lost(before, &after, version.major == source.major);
    if lost.is_empty() {
        return Ok(Compared::from(before));
    }
    let more = lost.len().saturating_sub(TOLD);
    let mut told: Vec<String> = lost.iter().take(TOLD).map(ToString::to_string).collect();
    told.extend((more > 0).then(|| format!("{more} more")));
    Err(Error::at(
        "what was restored",
        format!("is not what was backed up: {}", told.join("; ")),
        "the target is as it was; look at the server's log, and use another set if it comes again",
    ))
}

// As its source was: pg_dump leaves that to the one who creates the database.
fn fresh(new: &str, source: &Postgres) -> String {
    format!(
        "{}\ncreate database {} template template0 encoding {} lc_collate {} lc_ctype {};\n",
        drop_database(new),
        identifier(new),
        literal(&source.encoding),
        literal(&source.collate),
        literal(&source.ctype),
    )
}

fn drop_database(name: &str) -> String {
    format!("drop database if exists {} with (force);", identifier(name))
}

// Nobody may be in a database that is renamed. Those who are in it are ended; newcomers wait for the rename's lock, and who slipped
// in between is ended in the next round. Both names change at once, so there is no moment without a database.
fn swap(name: &str, new: &str, old: &str) -> String {
    let (text, id, new, old_id) = (literal(name), identifier(name), identifier(new), identifier(old));
    format!(
        "{}
        do $gauntlet$ begin
            if not exists (select from pg_database where datname = {text}) then
                alter database {new} rename to {id};
                return;
            end if;
            for round in 1..10 loop
                begin
                    perform pg_stat_clear_snapshot();
                    perform pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = {text};
                    alter database {id} rename to {old_id};
                    alter database {new} rename to {id};
                    return;
                exception when object_in_use then
                    raise notice 'somebody came back';
                end;
            end loop;
            raise 'clients come back to {id} faster than they are ended: stop them';
        end $gauntlet$;
        {}",
        drop_database(old),
        drop_database(old),
    )
}

#[cfg(test)]
mod tests {
    use super::Database;
    use crate::postgres::{At, Connection};

    #[test]
    fn a_database_is_never_renamed_from_inside() {
        let at = At::Socket { directory: "/run".into(), port: 5432 };
        let connection = |database: &str| Connection {
            at: at.clone(),
            user: "u".into(),
            database: database.into(),
            password: None,
        };
        for (database, other) in [("postgres", "template1"), ("shop", "postgres")] {
            let target = Database { connection: connection(database), replace: false };
            assert_eq!(target.maintenance().database, other);
        }
    }
}
