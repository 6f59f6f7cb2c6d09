//! `gauntlet backup`, `verify` and `restore` as a person types them, on a PostgreSQL and a Redis of this machine.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use age::{secrecy::ExposeSecret, x25519::Identity};
use gauntlet_core::act::Place;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::{Value, json};

use crate::{
    ground::{Run, replica, system},
    stage::{Stage, root},
};

/// Servers, a directory that their account may write to, and a key.
struct Desk {
    run: Run,
    dir: tempfile::TempDir,
    password: String,
    recipient: String,
}

impl Desk {
    async fn new() -> Self {
        let text = fs::read_to_string(root().join("deploy/system.yml")).unwrap();
        let whole: Value = serde_saphyr::from_str(&text).unwrap();
        let of = |name: &str| whole["components"][name].clone();
        let run =
            system(json!({ "database": of("database"), "cache": of("cache") }), json!(["database-password"]));
        let run = Run::up(run, Path::new("/")).await;
        let dir = tempfile::tempdir().unwrap();
        if let Some((uid, gid)) = account() {
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let secrets = fs::read_to_string(run.layout.secrets()).unwrap();
        let identity = Identity::generate();
        fs::write(dir.path().join("backup.key"), identity.to_string().expose_secret()).unwrap();
        let recipient = identity.to_public().to_string();
        Self { run, dir, password: secrets.split('"').nth(3).unwrap().to_owned(), recipient }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn at(&self) -> Place {
        replica("database", 1)
    }

    async fn sql(&self, statement: &str) -> String {
        self.run.sql(&self.at(), statement).await
    }

    /// Returns when the only replication slot is in use, or is not; panics after 20 s.
    async fn slot_is(&self, active: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.sql("select active::text from pg_replication_slots").await != active {
            assert!(Instant::now() < end, "the slot's `active` did not become {active}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Words separated by blanks: `PORT`, `REDIS`, `RECIPIENT` stand for this desk's, `@name` for a file of it.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        for word in words.split_whitespace() {
            command.arg(match (word, word.strip_prefix('@')) {
                ("PORT", _) => self.run.port("database", 1, "sql").to_string(),
                ("REDIS", _) => self.run.port("cache", 1, "redis").to_string(),
                ("RECIPIENT", _) => self.recipient.clone(),
                (_, Some(name)) => self.path(name),
                (word, None) => word.to_owned(),
            });
        }
        command.env("PGPASSWORD", &self.password).env("NO_COLOR", "1").env_remove("RUST_LOG");
        command.env("XDG_STATE_HOME", self.dir.path()).stdin(Stdio::null()).current_dir(self.dir.path());
        command
    }

    /// Exit code, standard output and standard error; no password is ever in it.
    fn told(&self, mut command: Command) -> (i32, String, String) {
        let output = command.output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(!out.contains(&self.password) && !err.contains(&self.password), "{out}{err}");
        (output.status.code().unwrap(), out, err)
    }

    fn gauntlet(&self, words: &str) -> (i32, String) {
        let (code, out, err) = self.told(self.command(words));
        (code, out + &err)
    }

    fn right(&self, words: &str) -> String {
        let (code, told) = self.gauntlet(words);
        assert_eq!(code, 0, "{words}: {told}");
        told
    }

    /// Makes a set with `--json`; its path as a word.
    fn made(&self, words: &str) -> String {
        let told: Value = serde_json::from_str(&self.right(&format!("{words} --json"))).unwrap();
        assert!(
            told["seconds"].as_f64().unwrap() > 0.0
                && told["manifest"]["parts"][0]["plain"]["bytes"].is_u64()
        );
        told["set"].as_str().unwrap().to_owned()
    }

    fn sets(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("sets")).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

fn account() -> Option<(u32, u32)> {
    let known = fs::read_to_string("/etc/passwd").unwrap();
    let line = known.lines().find(|line| line.starts_with("postgres:")).unwrap();
    let fields: Vec<&str> = line.split(':').collect();
    geteuid().is_root().then(|| (fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

/// Ended with the value.
struct Process(Child);

impl Process {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        let _ = kill_process(pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        let _ = self.0.wait();
    }
}

/// A server in a restored directory, and its port.
fn start(program: &str, args: &[&str]) -> Process {
    let mut found = fs::read_dir("/usr/lib/postgresql")
        .unwrap()
        .map(|entry| entry.unwrap().path().join("bin").join(program));
    let mut command = Command::new(found.find(|path| path.is_file()).unwrap_or(program.into()));
    if let Some((uid, gid)) = account() {
        command.uid(uid).gid(gid);
    }
    command.args(args).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process(command.spawn().unwrap())
}

/// Runs a program until it says something.
async fn until(said: &str, mut ask: impl FnMut() -> Command) {
    let (end, mut last) = (Instant::now() + Duration::from_secs(30), String::new());
    while Instant::now() < end {
        let output = ask().output().unwrap();
        last = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if last.contains(said) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never said {said:?}, last {last:?}");
}

const LOGICAL: &str =
    "backup logical --into @sets --system shop --port PORT --user causal --database postgres";
const STREAM: &str = "--system shop --port PORT --user causal --slot gauntlet --wal @wal";

#[tokio::test]
async fn a_database_goes_into_a_sealed_set_and_comes_back_under_another_name() {
    let desk = Desk::new().await;
    desk.sql("create table notes (text text); insert into notes values ('kept'); select 'done'").await;
    let set = desk.made(&format!("{LOGICAL} --recipient RECIPIENT"));
    let (code, told) = desk.gauntlet(&format!("verify {set}"));
    assert!(
        code == 1 && told.contains("refused: wrongly-encrypted") && told.contains("not looked at"),
        "{told}"
    );
    let told = desk.right(&format!("verify {set} --identity @backup.key --system shop --max-age 1h"));
    assert_eq!(told.matches(" right\n").count(), 4, "{told}");
    let (code, told) =
        desk.gauntlet(&format!("verify {set} --identity @backup.key --max-age 0s --system other --json"));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["refused"][0]["name"]), (1, &json!("foreign")), "{told}");

    let to = format!("restore {set} --identity @backup.key --port PORT --user causal --database again");
    desk.right(&to);
    let compare = "compare --port PORT --user causal --database postgres --with again";
    let told = desk.right(compare);
    assert!(told.contains("again holds what postgres does: 1 tables with 1 rows"), "{told}");
    desk.sql("insert into notes values ('later'); select 'done'").await;
    let (code, told) = desk.gauntlet(compare);
    assert!(code == 1 && told.contains("public.notes (later): missing"), "{told}");
    let (code, told) = desk.gauntlet(&compare.replace("again", "nowhere"));
    assert!(code == 4 && told.contains("does not exist"), "{told}");
    let (code, told) = desk.gauntlet(&to);
    assert!(code == 2 && told.contains("not empty (public.notes)"), "{told}");
    desk.right(&format!("{to} --replace"));
    let there = "select count(*)::text from pg_database where datname like '%again%'";
    assert_eq!(desk.sql(there).await, "1", "something was left beside it");
    let (code, told) = desk.gauntlet(&format!("restore {set} --identity @backup.key --directory @d"));
    assert!(code == 2 && told.contains("say --database"), "{told}");

    let part = Path::new(&set).join("database.dump.age");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    for words in [format!("verify {set} --identity @backup.key"), format!("{to} --replace")] {
        let (code, told) = desk.gauntlet(&words);
        assert!(code == 1 && told.contains("refused: flipped: database.dump.age"), "{told}");
    }
}

#[tokio::test]
async fn a_server_comes_back_as_it_was_at_a_restore_point() {
    let desk = Desk::new().await;
    desk.sql("create table notes (id int); insert into notes select generate_series(1, 10); select 'done'")
        .await;
    let first = desk.made(&format!("backup point-in-time --into @sets {STREAM}"));
    // The server lets go of the slot a moment after the backup's own stream has ended.
    desk.slot_is("false").await;
    let follow = "backup follow --port PORT --user causal --slot gauntlet --wal @wal";
    let mut following =
        Process(desk.command(follow).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    desk.slot_is("true").await;
    // Awake, the follower might have received all that there is before it is asked for.
    let stage = Stage::new();
    let receiver = stage.child_named(following.0.id(), "--slot=gauntlet");
    stage.signal(receiver, "STOP");
    let (code, told) = desk.gauntlet(&format!("backup extend {first} {STREAM}"));
    stage.signal(receiver, "CONT");
    assert!(code == 4 && told.contains("is active for PID"), "{told}");
    // Ended while it lays out a segment, it would leave one that no receiver goes on with.
    stage.await_some("whole segments only", || {
        let mut segments = fs::read_dir(desk.path("wal")).unwrap();
        segments.all(|file| file.unwrap().metadata().is_ok_and(|file| file.len() == 16 << 20)).then_some(())
    });
    following.signal(Signal::INT);
    assert_eq!(following.0.wait().unwrap().code(), Some(0), "Ctrl-C is how it ends");

    desk.sql("insert into notes select generate_series(11, 20); select 'done'").await;
    let marked = desk.made(&format!("backup extend {first} {STREAM} --restore-point before-release"));
    desk.sql("drop table notes; select 'done'").await;
    let last = desk.made(&format!("backup extend {marked} {STREAM} --keep-last 1"));
    assert_eq!(desk.sets(), [PathBuf::from(&last)]);
    let told = desk.right(&format!("verify {last} --system shop"));
    assert!(told.contains("points    before-release"), "{told}");
    let (code, told) = desk.gauntlet(&format!("restore {last} --directory @data --to-point nonsense"));
    assert!(code == 4 && told.contains("before-release"), "{told}");
    let told = desk.right(&format!("restore {last} --directory @data --to-point before-release"));
    assert!(told.contains("start PostgreSQL there"), "{told}");
    let port = free_port();
    let _server = start("postgres", &["-D", &desk.path("data"), "-p", &port, "-h", "127.0.0.1", "-k", ""]);
    until("20", || {
        let mut psql = Command::new("psql");
        psql.args([
            "-h",
            "127.0.0.1",
            "-U",
            "causal",
            "-Atc",
            "select count(*) from notes",
            "postgres",
            "-p",
            &port,
        ]);
        psql.env("PGPASSWORD", &desk.password);
        psql
    })
    .await;
}

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[tokio::test]
async fn a_cache_comes_back_from_its_snapshot() {
    let desk = Desk::new().await;
    let own = desk.run.port("cache", 1, "redis").to_string();
    let cli = |port: &str, words: &str| {
        let mut command = Command::new("redis-cli");
        command.args(["-p", port]).args(words.split(' '));
        command
    };
    until("OK", || cli(&own, "set note kept")).await;
    let set = desk.made("backup redis --into @sets --system shop --port REDIS");
    desk.right(&format!("verify {set}"));
    desk.right(&format!("restore {set} --directory @cache --append-only --account postgres"));
    let port = free_port();
    let _server = start(
        "redis-server",
        &["--port", &port, "--dir", &desk.path("cache"), "--appendonly", "yes", "--bind", "127.0.0.1"],
    );
    until("kept", || cli(&port, "get note")).await;
    let (code, told) = desk.gauntlet(&format!("restore {set} --directory @cache --account postgres"));
    assert!(code == 2 && told.contains("not empty (appendonlydir)"), "{told}");
    // Without its programs nothing is known of a set, and no set is made.
    for (words, expected) in
        [(format!("verify {set}"), 3), ("backup redis --into @other --system shop".into(), 4)]
    {
        let mut command = desk.command(&words);
        command.env("PATH", "/nowhere");
        let (code, out, err) = desk.told(command);
        assert_eq!(code, expected, "{out}{err}");
        assert!(
            err.contains("sh: not on this machine") || err.contains("install the package redis-tools"),
            "{err}"
        );
    }
    assert_eq!(fs::read_dir(desk.path("other")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_backup_that_is_interrupted_or_cannot_be_made_leaves_nothing() {
    let desk = Desk::new().await;
    desk.sql("create table notes (text text); select 'done'").await;
    let cases = [
        (LOGICAL.replace("PORT", "1"), "refused"),
        (LOGICAL.replace("--database postgres", "--database nonsense"), "does not exist"),
        (LOGICAL.to_owned() + " --host no-such-host.invalid", "could not translate host name"),
        (LOGICAL.to_owned() + " --password-file @wrong", "password authentication failed"),
        (LOGICAL.replace("@sets", "@wrong"), "wrong: "),
    ];
    fs::write(desk.path("wrong"), "nonsense").unwrap();
    for (words, why) in cases {
        let (code, told) = desk.gauntlet(&words);
        assert!(code == 4 && told.contains(why), "{words}: {code} {told}");
    }
    // pg_dump waits for the table.
    let port = desk.run.port("database", 1, "sql").to_string();
    let mut holder = Command::new("psql");
    holder.args([
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "causal",
        "postgres",
        "-c",
        "begin; lock notes; select pg_sleep(60)",
    ]);
    let _holder = Process(holder.env("PGPASSWORD", &desk.password).stdout(Stdio::null()).spawn().unwrap());
    let waiting = "select count(*)::text from pg_locks where not granted";
    let end = Instant::now() + Duration::from_secs(20);
    let held = "select count(*)::text from pg_locks where mode = 'AccessExclusiveLock' and granted";
    while desk.sql(held).await == "0" && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for signal in [Signal::INT, Signal::TERM] {
        let command = desk.command(LOGICAL).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let process = Process(command);
        while desk.sql(waiting).await == "0" && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(desk.sets().len(), 1, "it is being made");
        process.signal(signal);
        let mut process = std::mem::ManuallyDrop::new(process);
        assert_eq!(process.0.wait().unwrap().code(), Some(130));
        let told = std::io::read_to_string(process.0.stderr.take().unwrap()).unwrap();
        assert!(told.contains("interrupted: no half set was left"), "{told}");
        assert_eq!(desk.sets(), Vec::<PathBuf>::new());
        while desk.sql(waiting).await != "0" && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// SIGKILL, while rows go into the new database and while files go beside the directory.
#[tokio::test]
async fn a_restore_that_was_killed_left_its_target_and_is_simply_run_again() {
    let desk = Desk::new().await;
    desk.sql("create table notes (text text); insert into notes values ('kept'); select 'done'").await;
    let small = desk.made(LOGICAL);
    desk.right(&format!("restore {small} --port PORT --user causal --database shop"));
    desk.sql(
        "create table big (id int primary key, text text);
         insert into big select i, md5(i::text) from generate_series(1, 300000) i; select 'done'",
    )
    .await;
    let tables = async || {
        let mut psql = Command::new("psql");
        psql.args(["-h", "127.0.0.1", "-U", "causal", "-At", "-p"])
            .arg(desk.run.port("database", 1, "sql").to_string());
        psql.args([
            "-c",
            "select string_agg(tablename, ' ' order by 1) from pg_tables where schemaname = 'public'",
            "shop",
        ]);
        let output = psql.env("PGPASSWORD", &desk.password).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let set = desk.made(LOGICAL);
    let restore = format!("restore {set} --port PORT --user causal --database shop --replace");
    let at_work = "select count(*)::text from pg_stat_activity where application_name = 'pg_restore'";
    killed(&desk, &restore, async || desk.sql(at_work).await != "0").await;
    assert_eq!(tables().await, "notes");
    desk.right(&restore);
    assert_eq!(tables().await, "big notes");
    let left = "select count(*)::text from pg_database where datname like '%shop%'";
    assert_eq!((desk.sql(left).await.as_str(), desk.sql(at_work).await.as_str()), ("1", "0"));

    let set = desk.made(&format!("backup point-in-time --into @sets {STREAM}"));
    let (restore, beside) =
        (format!("restore {set} --directory @data"), desk.path("data.gauntlet-restoring/base"));
    killed(&desk, &restore, async || Path::new(&beside).exists()).await;
    assert!(!Path::new(&desk.path("data")).exists());
    desk.right(&restore);
    assert!(Path::new(&desk.path("data/PG_VERSION")).exists());
    assert!(!Path::new(&desk.path("data.gauntlet-restoring")).exists());
}

/// Kills a command as soon as it is seen at work.
async fn killed(desk: &Desk, words: &str, at_work: impl AsyncFn() -> bool) {
    let mut process =
        Process(desk.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(60);
    while !at_work().await {
        assert!(Instant::now() < end, "never seen at work: {words}");
        assert!(process.0.try_wait().unwrap().is_none(), "ended before it was seen at work: {words}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.signal(Signal::KILL);
    assert_eq!(process.0.wait().unwrap().code(), None, "it was to be killed: {words}");
}

#[test]
fn configuration_is_sealed_or_refused_and_old_sets_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let identity = Identity::generate();
    fs::write(path("key"), identity.to_string().expose_secret()).unwrap();
    fs::write(path("recipients"), format!("# the keeper\n{}\n", identity.to_public())).unwrap();
    fs::create_dir(path("etc")).unwrap();
    fs::write(path("etc/app.conf"), "password = hunter2\n").unwrap();
    let run = |words: &str| {
        let words = words.replace('@', dir.path().join("x").to_str().unwrap().strip_suffix('x').unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        let output = command.args(words.split_whitespace()).current_dir(dir.path()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), text)
    };
    let made = "backup configuration --into @sets --system shop --files @etc";
    let wrong = [
        (made.to_owned(), "name who may open it"),
        (format!("{made} --recipient age1nonsense"), "age-keygen"),
        (format!("{made} --recipients-file @nowhere"), "nowhere: No such file"),
        (format!("{made} --yaml -"), "cannot be used with"),
        (made.replace("shop", "a/b"), "name who may open it"),
        (made.replace("shop", "a/b") + " --recipients-file @recipients", "no name for a system"),
        (made.replace("@etc", "@nowhere") + " --recipients-file @recipients", "nowhere: no such directory"),
        ("backup nonsense".into(), "unrecognized subcommand"),
        ("verify @nowhere".into(), "nowhere: no such directory"),
        ("verify @etc --identity @nowhere".into(), "nowhere"),
        ("restore @etc".into(), "<--database <NAME>|--directory <DIR>>"),
        ("backup prune @etc".into(), "say what is kept"),
        ("backup prune @etc --keep-within soon".into(), "--keep-within"),
    ];
    for (words, why) in wrong {
        let (code, told) = run(&words);
        assert!(code == 2 && told.contains(why), "{words}: {code} {told}");
    }
    assert!(!fs::exists(path("sets")).unwrap(), "nothing was begun");
    assert_eq!(run("verify @etc").0, 1, "a directory that is no set");
    for _ in 0..3 {
        let (code, told) = run(&format!("{made} --recipients-file @recipients --keep-last 2"));
        assert_eq!(code, 0, "{told}");
    }
    let sets: Vec<_> = fs::read_dir(path("sets")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(sets.len(), 2);
    let (code, told) = run(&format!("restore {} --identity @key --directory @back", sets[0].display()));
    assert_eq!(code, 0, "{told}");
    assert_eq!(fs::read_to_string(path("back/app.conf")).unwrap(), "password = hunter2\n");
    let (code, told) = run("backup prune @sets --keep-last 1");
    assert!(code == 0 && told.contains("1 kept, 1 removed"), "{told}");
}

#[test]
fn the_doctor_knows_what_backups_need() {
    let doctor = |path: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.args(["doctor", "--backup", "--packages"]);
        command.envs(path.map(|path| ("PATH", path)));
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(doctor(None), (0, String::new()));
    let (code, told) = doctor(Some("/nowhere"));
    assert!(code == 4 && told.contains("redis-tools\nredis-server\ntar\n"), "{told}");
}
