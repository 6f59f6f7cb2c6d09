//! Servers of this test's own: private directories, free ports, ended by their process ids.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use age::{secrecy::ExposeSecret, x25519::Identity};
use gauntlet_backup::{
    About, Keys, LocalPrograms, Made, Policy, Seal, Source, backup,
    form::redis::{Server, Way},
    postgres::{At, Connection},
};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The password of every server here.
const PASSWORD: &str = "an open secret";

pub(crate) struct Ground {
    pub(crate) dir: TempDir,
    pub(crate) programs: LocalPrograms,
    account: Option<(u32, u32)>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let account = geteuid().is_root().then(postgres_account);
        let mut programs = LocalPrograms::new().with_secret("database", PASSWORD);
        if let Some((uid, gid)) = account {
            programs = programs.as_account(uid, gid);
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        Self { dir, programs, account }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, program: &str) -> Command {
        let postgresql = Path::new("/usr/lib/postgresql").read_dir().unwrap();
        let found = postgresql
            .flatten()
            .map(|entry| entry.path().join("bin").join(program))
            .find(|path| path.is_file());
        let mut command = Command::new(found.unwrap_or_else(|| PathBuf::from(program)));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn initdb(&self, name: &str) {
        fs::write(self.path("password"), PASSWORD).unwrap();
        let args =
            ["--username=keeper", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
        let files = [format!("--pgdata={}", self.path(name)), format!("--pwfile={}", self.path("password"))];
        assert!(self.command("initdb").args(args).args(files).status().unwrap().success(), "{}", self.log());
    }

    /// Starts a server in a data directory, and waits until it takes writes.
    pub(crate) async fn start(&self, name: &str) -> Database {
        let port = free_port();
        let settings =
            format!("-p {port} -h 127.0.0.1 -c fsync=off -c shared_buffers=32MB -c max_connections=30");
        let child = self
            .command("postgres")
            .args(["-D", &self.path(name), "-k", ""])
            .args(settings.split(' '))
            .spawn()
            .unwrap();
        let at = At::Tcp { host: "127.0.0.1".into(), port };
        let connection = Connection {
            at,
            user: "keeper".into(),
            database: "postgres".into(),
            password: Some("database".into()),
        };
        let database = Database { child, port, connection };
        for _ in 0..600 {
            if let Ok(said) = database.connection.value(&self.programs, "select pg_is_in_recovery()").await
                && said == "f"
            {
                return database;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server never took writes: {}", self.log());
    }

    pub(crate) async fn sql(&self, connection: &Connection, sql: &str) -> Vec<String> {
        connection.ask(&self.programs, sql).await.unwrap()
    }

    pub(crate) async fn start_redis(&self, name: &str, append: bool) -> Cache {
        fs::create_dir_all(self.path(name)).unwrap();
        chown(self.path(name), self.account.map(|a| a.0), self.account.map(|a| a.1)).unwrap();
        let (port, append) = (free_port(), if append { "yes" } else { "no" });
        let args =
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", &self.path(name)];
        let mut command = self.command("redis-server");
        command.args(args).args(["--appendonly", append, "--requirepass", PASSWORD]);
        let process = Process(command.spawn().unwrap());
        let url = format!("redis://:{}@127.0.0.1:{port}", PASSWORD.replace(' ', "%20"));
        let server = Server {
            host: "127.0.0.1".into(),
            port,
            user: None,
            password: Some("database".into()),
            way: Way::Rdb,
        };
        let client = redis::Client::open(url).unwrap();
        for _ in 0..200 {
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                && redis::cmd("DBSIZE").query_async::<i64>(&mut connection).await.is_ok()
            {
                return Cache { _process: process, connection, server };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("redis did not start: {}", self.log());
    }
}

/// Killed with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Cache {
    _process: Process,
    pub(crate) connection: redis::aio::MultiplexedConnection,
    pub(crate) server: Server,
}

impl Cache {
    pub(crate) async fn size(&self) -> i64 {
        redis::cmd("DBSIZE").query_async(&mut self.connection.clone()).await.unwrap()
    }
}

pub(crate) struct Database {
    child: Child,
    port: u16,
    pub(crate) connection: Connection,
}

impl Database {
    pub(crate) async fn client(&self, database: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("keeper").password(PASSWORD).dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal);
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::INT);
        self.child.wait().unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        let _ = self.child.wait();
    }
}

/// Writes notes one after another, each acknowledged before the next.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<i64>>>,
    task: JoinHandle<()>,
}

impl Writer {
    pub(crate) async fn start(database: &Database) -> Self {
        let client = database.client("postgres").await;
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(vec![])));
        let (stopped, acks) = (stop.clone(), acknowledged.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let sql = "insert into notes (text) values (md5(random()::text)) returning id";
                let Ok(row) = client.query_one(sql, &[]).await else { break };
                acks.lock().unwrap().push(row.get(0));
            }
        });
        Self { stop, acknowledged, task }
    }

    pub(crate) fn acknowledged(&self) -> Vec<i64> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn more(&self, count: usize) {
        let wanted = self.acknowledged().len() + count;
        for _ in 0..3000 {
            if self.acknowledged().len() >= wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("writes stopped");
    }

    pub(crate) async fn stop(self) -> Vec<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.acknowledged.lock().unwrap().clone()
    }
}

/// A schema of everything that a digest must see.
pub(crate) const SCHEMA: &str = r#"
create table notes (id bigserial primary key, text text not null, at timestamptz not null default now());
create table pairs (a int, b text collate "C", "odd ""name" numeric, primary key (a, b));
create table loose (value text);
insert into pairs select i, 'b' || i, i / 3.0 from generate_series(1, 500) i;
insert into loose select 'same' from generate_series(1, 5);
insert into loose values (null), ('tab	and "quotes"');
create index by_text on notes (text);
alter table pairs add constraint small check (a < 100000);
create view both_of as select n.id, p.b from notes n join pairs p on p.a = n.id;
create function twice(i int) returns int language sql immutable as 'select 2 * i';
create extension pg_trgm;
create sequence spare increment by 5;
select nextval('spare');
"#;

pub(crate) fn key() -> (Seal, Keys) {
    let identity = Identity::generate();
    let seal = Seal::to([identity.to_public().to_string().as_str()]).unwrap();
    (seal, Keys::parse(identity.to_string().expose_secret()).unwrap())
}

pub(crate) fn policy() -> Policy {
    Policy { system: Some("shop".into()), ..Policy::new(Timestamp::now()) }
}

pub(crate) async fn made(ground: &Ground, source: Source<'_>, seal: &Seal) -> Made {
    let into = ground.dir.path().join("sets");
    backup(source, &into, About { system: "shop", seal }, &ground.programs).await.unwrap()
}

pub(crate) fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn postgres_account() -> (u32, u32) {
    let known = fs::read_to_string("/etc/passwd").unwrap();
    let line = known
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("a user postgres, as the package makes it");
    let fields: Vec<&str> = line.split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}
