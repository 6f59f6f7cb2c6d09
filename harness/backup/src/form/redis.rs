//! `redis`: the snapshot that a replica would get (RDB), or the append-only files; restored into an empty data directory.
//!
//! A snapshot goes into a server of either kind: one that appends finds it as the base of its append-only files. Sources: Redis'
//! documentation, "Redis persistence" (backing up AOF data: no rewrite may run), `redis-cli --rdb`.

use std::{io::Read, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Form, look, major,
    place::{Directory, untar, write},
    refusal, resp, tool, unsound,
};
use crate::{
    backup::Taken,
    call::{Call, Ended, Programs},
    draft::Draft,
    error::Error,
    keys::Keys,
    manifest::{Origin, Part, PartKind, Redis},
    part::PartReader,
    pipe::{ask, feed, fill, fill_first, unpack},
    refusal::Refusal,
    set::Set,
};

/// How often append-only files are read at most.
const ATTEMPTS: usize = 5;

/// A Redis server and what is taken from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user; none: the default one.
    #[serde(default)]
    pub user: Option<String>,
    /// The name of the secret that is its password.
    #[serde(default)]
    pub password: Option<String>,
    /// What is taken.
    #[serde(default)]
    pub way: Way,
}

/// What is taken from a Redis server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Way {
    /// A snapshot over the network.
    #[default]
    Rdb,
    /// The append-only directory, read where the programs run.
    Aof {
        /// The server's `dir`.
        directory: String,
        /// Its `appenddirname`.
        name: String,
    },
}

/// The data directory that is restored into; no server may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    /// The server's `dir`.
    pub directory: Directory,
    /// It runs with `appendonly yes` (and Redis' usual names): such a server does not read `dump.rdb`.
    pub append_only: bool,
}

impl Server {
    pub(crate) fn call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Call {
        let mut call =
            Call::new("redis-cli", ["-e", "-h", &self.host, "-p", &self.port.to_string()].map(String::from));
        call.args.extend(self.user.iter().flat_map(|user| ["--user".to_owned(), user.clone()]));
        call.args.extend(args.into_iter().map(str::to_owned));
        if let Some(password) = &self.password {
            call.secrets.insert("REDISCLI_AUTH".into(), password.clone());
        }
        call
    }

    /// How many keys it found in its snapshot when it started, those that had expired by then among them; none: it does not say
    /// (Redis before 7.0).
    pub async fn loaded(&self, programs: &dyn Programs) -> Result<Option<u64>, Error> {
        let said = ask(programs, &self.call(["info", "persistence"]), "").await?;
        let one = |key| field(&said, key).and_then(|number| number.parse::<u64>().ok());
        let (live, expired) = (one("rdb_last_load_keys_loaded"), one("rdb_last_load_keys_expired"));
        Ok(live.zip(expired).map(|(live, expired)| live + expired))
    }

    async fn origin(&self, programs: &dyn Programs) -> Result<Redis, Error> {
        let said = ask(programs, &self.call(["info", "server"]), "").await?;
        let said = said + &ask(programs, &self.call(["info", "replication"]), "").await?;
        let one = |key: &str| {
            let none = || {
                Error::at("redis-cli info", format!("no {key} in the answer"), "look at the server's answer")
            };
            field(&said, key).map(str::to_owned).ok_or_else(none)
        };
        let version = one("redis_version")?;
        let major = version.split('.').next().and_then(|first| first.parse().ok()).unwrap_or(0);
        Ok(Redis { run: one("run_id")?, replication: one("master_replid")?, version, major })
    }
}

fn field<'a>(said: &'a str, key: &str) -> Option<&'a str> {
    said.lines().find_map(|line| line.trim_end().strip_prefix(key)?.strip_prefix(':'))
}

pub(crate) async fn take(
    draft: &mut Draft,
    server: &Server,
    programs: &dyn Programs,
) -> Result<Taken, Error> {
    let source = server.origin(programs).await?;
    let as_of = Timestamp::now();
    let part = match &server.way {
        Way::Rdb => {
            fill_first(programs, &server.call(["--rdb", "-"]), draft.part("dump.rdb", PartKind::Rdb)?, length)
                .await?
        }
        Way::Aof { directory, name } => take_files(draft, server, (directory, name), programs).await?,
    };
    draft.parts.push(part);
    let tools = [tool(programs, "redis-cli").await?].into();
    let source = Origin::Redis(source);
    Ok(Taken { form: Form::Redis, as_of, source, tools, lsn: None, restore_points: vec![] })
}

// To standard output redis-cli also writes the mark that ends a diskless transfer, which it cuts off a file: "Transfer finished with
// success after 172 bytes".
fn length(ended: &Ended) -> Option<u64> {
    let (_, after) = ended.stderr.split_once("with success after ")?;
    after.split(' ').next()?.parse().ok()
}

// A rewrite in between would mix two generations of files. It is not forbidden (who is killed could not allow it again) but noticed: the
// files' own manifest is another one then.
async fn take_files(
    draft: &Draft,
    server: &Server,
    (directory, name): (&str, &str),
    programs: &dyn Programs,
) -> Result<Part, Error> {
    const PART: &str = "append-only.tar";
    let generation = Call::shell("cat \"$1/$2\"/*.manifest", [directory, name]);
    for _ in 0..ATTEMPTS {
        settled(server, programs).await?;
        let before = ask(programs, &generation, "").await?;
        let mut call = Call::new("tar", ["-C", directory, "-cf", "-", name]);
        // GNU tar's way to say that a file grew while it was read, as an append-only file does.
        call.accepts.push(1);
        let filled = fill(programs, &call, draft.part(PART, PartKind::Aof)?).await;
        if ask(programs, &generation, "").await? == before {
            return filled;
        }
        draft.discard(PART)?;
    }
    let what = format!("its append-only files were rewritten while they were read, {ATTEMPTS} times");
    Err(Error::at("redis", what, "take its snapshot, or back up when it writes less"))
}

async fn settled(server: &Server, programs: &dyn Programs) -> Result<(), Error> {
    for _ in 0..600 {
        let said = ask(programs, &server.call(["info", "persistence"]), "").await?;
        if field(&said, "aof_enabled") != Some("1") {
            return Err(Error::at("redis", "appendonly is off", "take its snapshot instead"));
        }
        let still = |key| field(&said, key) != Some("0");
        if !still("aof_rewrite_in_progress") && !still("aof_rewrite_scheduled") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Error::at("redis", "an AOF rewrite did not end within a minute", "back up when it has ended"))
}

/// A snapshot by redis-check-rdb; append-only files by name and command by command.
pub(crate) async fn check(set: &Set, keys: &Keys, programs: &dyn Programs) -> Vec<Refusal> {
    let [part] = set.manifest.parts.as_slice() else {
        return vec![unsound("manifest.json", "a Redis set has one part")];
    };
    match part.kind {
        PartKind::Rdb => check_snapshot(set, part, keys, programs).await.err().into_iter().collect(),
        PartKind::Aof => {
            look(set, keys, |set, index, reader| check_files(&set.manifest.parts[index], reader)).await
        }
        _ => vec![unsound(&part.name, "not a part of a Redis set")],
    }
}

/// How many keys a snapshot holds; none: the set is none of a snapshot.
pub async fn keys(set: &Set, keys: &Keys, programs: &dyn Programs) -> Result<Option<u64>, Error> {
    match set.manifest.parts.as_slice() {
        [part] if part.kind == PartKind::Rdb => {
            let found = check_snapshot(set, part, keys, programs).await;
            found.map(Some).map_err(|refusal| Error::Refused(vec![refusal]))
        }
        _ => Ok(None),
    }
}

// Answers how many keys it holds.
async fn check_snapshot(
    set: &Set,
    part: &Part,
    keys: &Keys,
    programs: &dyn Programs,
) -> Result<u64, Refusal> {
    // It opens a file by name; a pipe of another user's could not be opened again, so the shell makes one.
    let call = Call::shell("cat | redis-check-rdb /dev/stdin", []);
    let unreadable = |why| refusal(&part.name, why);
    let (ended, said) = feed(programs, &call, set.reader(part, keys)?).await.map_err(unreadable)?;
    let said = String::from_utf8_lossy(&said);
    if call.check(&ended).is_err() || !said.contains("RDB looks OK") {
        let last = said
            .lines()
            .rev()
            .find(|line| line.contains("---") || line.contains("rror"))
            .unwrap_or("no RDB file");
        return Err(unsound(&part.name, last.trim()));
    }
    let number =
        said.lines().find_map(|line| line.strip_suffix(" keys read")?.rsplit(' ').next()?.parse().ok());
    match number {
        Some(0) => Err(Refusal::Empty { part: part.name.clone() }),
        Some(number) => Ok(number),
        None => Err(unsound(&part.name, "redis-check-rdb does not say how many keys are in it")),
    }
}

fn check_files(part: &Part, reader: PartReader) -> Result<(), Refusal> {
    let (mut named, mut found, mut commands) = (Vec::new(), Vec::new(), 0);
    let mut archive = tar::Archive::new(reader);
    let cut = |why: std::io::Error| unsound(&part.name, why);
    for entry in archive.entries().map_err(cut)? {
        let mut entry = entry.map_err(cut)?;
        let path = entry.path().map_err(cut)?.to_path_buf();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if name.ends_with(".manifest") {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(cut)?;
            // file appendonly.aof.1.base.rdb seq 1 type b
            named.extend(text.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned));
        } else if name.ends_with(".aof") {
            commands += resp::scan(&mut entry)
                .map_err(cut)?
                .map_err(|why| unsound(&part.name, format!("{name}: {why}")))?;
        } else if name.ends_with(".rdb") {
            let mut magic = [0; 5];
            let right = entry.read_exact(&mut magic).is_ok() && &magic == b"REDIS";
            // An empty data set is 9 bytes of magic and version and some auxiliary fields.
            commands += usize::from(entry.size() > 200);
            right.then_some(()).ok_or_else(|| unsound(&part.name, format!("{name} is no RDB file")))?;
        }
        found.push(name);
    }
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(cut)?;
    if named.is_empty() {
        return Err(unsound(&part.name, "no manifest of append-only files in it"));
    }
    if let Some(missing) = named.iter().find(|name| !found.contains(name)) {
        return Err(unsound(&part.name, format!("{missing} is missing")));
    }
    if commands == 0 { Err(Refusal::Empty { part: part.name.clone() }) } else { Ok(()) }
}

/// The version of the server's programs in the place.
pub(crate) async fn version(programs: &dyn Programs) -> Result<Option<u32>, Error> {
    Ok(major(&tool(programs, "redis-server").await?.1))
}

pub(crate) async fn restore(
    set: &Set,
    target: &DataDirectory,
    keys: &Keys,
    programs: &dyn Programs,
) -> Result<(), Error> {
    target.directory.begin(programs).await?;
    let filled = fill_directory(set, target, keys, programs).await;
    if let Err(why) = filled {
        target.directory.give_up(programs).await;
        return Err(why);
    }
    target.directory.swap(programs).await
}

// Redis locks nothing, and would write what it has over what was restored. It works in the directory that it saves to.
async fn running(directory: &Directory, programs: &dyn Programs) -> Result<(), Error> {
    let found = ask(programs, &Call::shell(WORKS_IN, [&directory.path]), "").await?;
    match found.lines().next() {
        Some(server) => Err(Error::at(&directory.path, format!("{server} runs in it"), "stop it first")),
        None => Ok(()),
    }
}

const WORKS_IN: &str = "
for process in /proc/[0-9]*; do
    [ \"$process/cwd\" -ef \"$1\" ] || continue
    read -r name 2> /dev/null < \"$process/comm\" || continue
    case $name in redis-server | valkey-server | redis-sentinel) echo \"$name ${process#/proc/}\" ;; esac
done";

async fn fill_directory(
    set: &Set,
    target: &DataDirectory,
    keys: &Keys,
    programs: &dyn Programs,
) -> Result<(), Error> {
    running(&target.directory, programs).await?;
    let work = target.directory.work();
    for part in &set.manifest.parts {
        let reader = set.reader(part, keys).map_err(|refusal| Error::Refused(vec![refusal]))?;
        match part.kind {
            PartKind::Aof => {
                unpack(programs, &untar(&work), reader).await?;
                ask(programs, &Call::shell(MEND, [&work]), "").await?;
            }
            _ if target.append_only => {
                ask(
                    programs,
                    &Call::shell(AS_BASE, [&work]),
                    "file appendonly.aof.1.base.rdb seq 1 type b\n",
                )
                .await?;
                unpack(programs, &write(&format!("{work}/appendonlydir/appendonly.aof.1.base.rdb")), reader)
                    .await?;
            }
            _ => unpack(programs, &write(&format!("{work}/dump.rdb")), reader).await?,
        }
    }
    Ok(())
}

// The last command may have been written half when the file was read; it is cut off, as the server itself would do.
const MEND: &str =
    "for manifest in \"$1\"/*/*.manifest; do echo y | redis-check-aof --fix \"$manifest\" >&2; done";

const AS_BASE: &str = "mkdir \"$1/appendonlydir\"; cat > \"$1/appendonlydir/appendonly.aof.manifest\"";

#[cfg(test)]
mod tests {
    use super::{Server, Way, field, length};
    use crate::call::Ended;

    #[test]
    fn a_password_is_no_argument() {
        let server = Server {
            host: "h".into(),
            port: 1,
            user: Some("u".into()),
            password: Some("cache".into()),
            way: Way::Rdb,
        };
        let call = server.call(["--rdb", "-"]);
        assert_eq!(call.args, ["-e", "-h", "h", "-p", "1", "--user", "u", "--rdb", "-"]);
        assert_eq!(call.secrets["REDISCLI_AUTH"], "cache");
    }

    #[test]
    fn the_length_of_a_snapshot_is_what_redis_cli_says() {
        let said = |stderr: &str| length(&Ended { status: Some(0), stderr: stderr.into() });
        assert_eq!(
            said("until EOF marker to '-'\nTransfer finished with success after 172 bytes\n"),
            Some(172)
        );
        assert_eq!(said("writing 172 bytes to '-'\nTransfer finished with success.\n"), None);
    }

    #[test]
    fn a_field_is_read_by_its_whole_name() {
        let said = "# Server\r\nredis_version:7.0.15\r\nrun_id:ab\r\n";
        assert_eq!(field(said, "redis_version"), Some("7.0.15"));
        assert_eq!(field(said, "redis"), None);
    }
}
