//! How one backup is taken and restored where its replica is. What the place alone knows is asked while it answers.

use gauntlet_backup::{
    Error, Source, Target,
    call::{Call, Programs},
    form::{
        configuration::{Packed, StreamKind},
        logical::Database,
        place::Directory,
        point_in_time::{self, Until},
        redis::{self, Server},
        wal::Stream,
    },
    postgres::{At, Connection},
};
use gauntlet_core::{
    kind::{Form, Taken, drill},
    name::Name,
};

/// What the environment of a database's place says of how it is reached from there.
const POSTGRES: &str = r#"printf '%s\n' "${PGHOST:?}" "${PGPORT:?}" "${PGUSER:?}" "${PGDATABASE:?}""#;
/// The same for Redis, and where its data are.
const REDIS: &str = r#"printf '%s\n' "${REDIS_HOST:?}" "${REDIS_PORT:?}"; cd "${REDIS_DIR:?}"; pwd"#;
/// Where a replica's files are.
const HOME: &str = r#"cd "${HOME:?}"; pwd"#;
/// Its files but for data, and what a server keeps beside them for a backup.
const PACK: &str = r#"cd "${HOME:?}"; tar -cf - --exclude=./data --exclude='./data.*' ."#;
/// Where files are restored to first: a directory is replaced as a whole, and programs run in this one.
const RESTORED: &str = "restored-configuration";
/// What was restored takes its place.
const SETTLE: &str = r#"cd "${HOME:?}"; cp -a restored-configuration/. .; rm -rf restored-configuration"#;

/// How a backup is taken and restored.
pub(super) enum Way {
    Dump(Connection),
    BaseAndLog { stream: Stream, data: String, before: bool },
    Redis { server: Server, data: String, append_only: bool },
    Configuration { of: String, home: String },
    Objects,
}

impl Way {
    /// Asks the place.
    pub(super) async fn find(taken: &Taken, track: &Name, programs: &dyn Programs) -> Result<Self, Error> {
        Ok(match taken.form {
            Form::Dump => Self::Dump(postgres(programs).await?),
            Form::BaseAndLog | Form::BaseAndLogBefore => {
                let connection = postgres(programs).await?;
                let data = connection.value(programs, "show data_directory").await?;
                let slot = drill::slot(track);
                let directory = format!("{data}.{slot}");
                let before = taken.form == Form::BaseAndLogBefore;
                Self::BaseAndLog { stream: Stream { connection, slot, directory }, data, before }
            }
            Form::Snapshot | Form::AppendOnly => cache(taken.form == Form::AppendOnly, programs).await?,
            Form::Configuration => {
                let [home] = lines(programs, HOME, "HOME").await?;
                Self::Configuration { of: format!("files of {}", taken.at), home }
            }
            Form::Objects => Self::Objects,
        })
    }

    /// What is backed up.
    pub(super) fn source(&self) -> Source<'_> {
        match self {
            Self::Dump(connection) => Source::Logical(connection.clone()),
            Self::BaseAndLog { stream, .. } => Source::PointInTime(stream.clone()),
            Self::Redis { server, .. } => Source::Redis(server.clone()),
            Self::Configuration { of, .. } => {
                let mut call = Call::shell(PACK, []);
                // GNU tar's way to say that a file changed while it was read.
                call.accepts.push(1);
                Source::Packed(Packed { of: of.clone(), kind: StreamKind::Tar, call })
            }
            Self::Objects => {
                let call = Call::new("objects", ["export"]);
                Source::Packed(Packed { of: "objects".to_owned(), kind: StreamKind::Yaml, call })
            }
        }
    }

    /// The log that a backup can be extended by.
    pub(super) fn stream(&self) -> Option<&Stream> {
        match self {
            Self::BaseAndLog { stream, .. } => Some(stream),
            _ => None,
        }
    }

    /// Whether it holds secrets.
    pub(super) fn sealed(&self) -> bool {
        matches!(self, Self::Configuration { .. } | Self::Objects)
    }

    /// Where it is restored to. `printed` is what the destruction printed.
    pub(super) fn target(&self, printed: &str) -> Result<Target, String> {
        let place = |path: &str| Directory { path: path.to_owned(), replace: true };
        Ok(match self {
            Self::Dump(connection) => {
                Target::Logical(Database { connection: connection.clone(), replace: true })
            }
            Self::BaseAndLog { data, before, .. } => {
                let until = if *before { Until::Before { xid: transaction(printed)? } } else { Until::End };
                Target::PointInTime(point_in_time::DataDirectory { directory: place(data), until })
            }
            Self::Redis { data, append_only, .. } => {
                let (directory, append_only) = (place(data), *append_only);
                Target::Redis(redis::DataDirectory { directory, append_only })
            }
            Self::Configuration { home, .. } => Target::Configuration(place(&format!("{home}/{RESTORED}"))),
            Self::Objects => Target::Objects(Call::new("objects", ["import", "closed"])),
        })
    }

    /// What is restored once more when everything else is: what lets users in.
    pub(super) fn last(&self) -> Option<Target> {
        matches!(self, Self::Objects).then(|| Target::Objects(Call::new("objects", ["import"])))
    }

    /// What remains to be done after a restore.
    pub(super) async fn settle(&self, programs: &dyn Programs) -> Result<(), Error> {
        match self {
            Self::Configuration { .. } => run(programs, &Call::shell(SETTLE, [])).await.map(drop),
            _ => Ok(()),
        }
    }
}

/// How a PostgreSQL server is reached from its own place: its environment says so, password and all.
async fn postgres(programs: &dyn Programs) -> Result<Connection, Error> {
    let mend = "PGHOST, PGPORT, PGUSER and PGDATABASE";
    let [host, port, user, database] = lines(programs, POSTGRES, mend).await?;
    let at = At::Tcp { host, port: number(&port, mend)? };
    Ok(Connection { at, user, database, password: None })
}

async fn cache(files: bool, programs: &dyn Programs) -> Result<Way, Error> {
    let mend = "REDIS_HOST, REDIS_PORT and REDIS_DIR";
    let [host, port, data] = lines(programs, REDIS, mend).await?;
    let port = number(&port, mend)?;
    let args = ["-e", "-h", &host, "-p", &port.to_string(), "config", "get", "append*"].map(String::from);
    let told = run(programs, &Call::new("redis-cli", args)).await?;
    let setting = |name: &str| told.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
    let append_only = setting("appendonly").as_deref() == Some("yes");
    let name = setting("appenddirname").unwrap_or_else(|| "appendonlydir".to_owned());
    let way = if files { redis::Way::Aof { directory: data.clone(), name } } else { redis::Way::Rdb };
    let server = Server { host, port, user: None, password: None, way };
    Ok(Way::Redis { server, data, append_only })
}

/// The id of the transaction that destroyed.
fn transaction(printed: &str) -> Result<u64, String> {
    let id = printed.lines().find_map(|line| line.trim().parse().ok());
    id.ok_or_else(|| format!("the destruction printed {printed:?}, which is no transaction id"))
}

fn number(port: &str, mend: &str) -> Result<u16, Error> {
    port.parse().map_err(|_| wrong(port, mend))
}

/// As many lines as are expected.
async fn lines<const N: usize>(
    programs: &dyn Programs,
    script: &str,
    variables: &str,
) -> Result<[String; N], Error> {
    let text = run(programs, &Call::shell(script, [])).await?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.try_into().map_err(|_| wrong(&text, variables))
}

fn wrong(text: &str, variables: &str) -> Error {
    Error::at("the environment of the component", format!("{text:?}"), format!("set {variables}"))
}

async fn run(programs: &dyn Programs, call: &Call) -> Result<String, Error> {
    let mut text = vec![];
    let ended = programs.run(call, None, Some(&mut text)).await?;
    call.check(&ended)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::transaction;

    #[test]
    fn a_transaction_is_the_number_that_was_printed() {
        assert_eq!(transaction("DO\n741\n"), Ok(741));
        assert!(transaction("").unwrap_err().contains("no transaction id"));
    }
}
