//! PostgreSQL, Redis and replicas of the service, private to one test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, Reply};
use crate::process::{Process, command, command_as_postgres, eventually, postgres_program, program};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address").port()
}

/// What the service needs, and a folder for all of it. Fields are dropped in this order.
pub(crate) struct World {
    postgres: Option<Process>,
    redis: Option<Process>,
    pub(crate) postgres_port: u16,
    pub(crate) redis_port: u16,
    folder: TempDir,
}

impl World {
    /// Starts PostgreSQL and Redis.
    pub(crate) async fn new() -> Self {
        let mut world = Self::without_postgres().await;
        world.init_postgres();
        world.start_postgres().await;
        world
    }

    /// Starts Redis only; nothing listens on PostgreSQL's port.
    pub(crate) async fn without_postgres() -> Self {
        // Not in a home that the user of PostgreSQL cannot enter.
        let folder =
            tempfile::Builder::new().prefix("causal-service-").tempdir_in("/var/tmp").expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).expect("permissions");
        let (postgres_port, redis_port) = (free_port(), free_port());
        let mut world = Self { postgres: None, redis: None, postgres_port, redis_port, folder };
        world.start_redis().await;
        world
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("pg")
    }

    fn init_postgres(&self) {
        let initdb = program(&[&postgres_program("initdb")], "postgresql");
        let data = self.data();
        std::fs::create_dir(&data).expect("a folder");
        if rustix::process::geteuid().is_root() {
            let passwd = std::fs::read_to_string("/etc/passwd").expect("users");
            let line = passwd.lines().find(|l| l.starts_with("postgres:")).expect("a user postgres");
            let uid = line.split(':').nth(2).and_then(|uid| uid.parse().ok());
            std::os::unix::fs::chown(&data, uid, None).expect("chown");
        }
        let mut initdb = command_as_postgres(initdb);
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=gauntlet",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ]);
        let made = initdb.arg(&data).output().expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    pub(crate) async fn start_postgres(&mut self) {
        let postgres = program(&[&postgres_program("postgres")], "postgresql");
        let mut command = command_as_postgres(postgres);
        command.arg("-D").arg(self.data()).args(["-h", "127.0.0.1", "-p", &self.postgres_port.to_string()]);
        // Only a crash of the machine needs fsync; these tests crash processes.
        for setting in ["unix_socket_directories=", "fsync=off", "shared_buffers=16MB"] {
            command.args(["-c", setting]);
        }
        self.postgres = Some(Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null())));
        let url = self.database_url();
        eventually("postgresql accepts connections", || async {
            let connected = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await;
            connected.ok()
        })
        .await;
    }

    /// A user that needs a password, and how to connect with some password.
    pub(crate) async fn user_with_password(&self, name: &str, right: &str) -> impl Fn(&str) -> String {
        let rules = self.data().join("pg_hba.conf");
        let others = std::fs::read_to_string(&rules).expect("the rules of who may connect");
        let first = format!("host all {name} 127.0.0.1/32 scram-sha-256\n");
        std::fs::write(&rules, first + &others).expect("written");
        self.sql(&format!("CREATE USER {name} SUPERUSER PASSWORD '{right}'")).await;
        self.sql("SELECT pg_reload_conf()").await;
        let (name, port) = (name.to_owned(), self.postgres_port);
        move |password| format!("postgres://{name}:{password}@127.0.0.1:{port}/postgres")
    }

    /// The rows' first column, as text, one a line.
    pub(crate) async fn sql(&self, statement: &str) -> String {
        let connected = <sqlx::PgConnection as sqlx::Connection>::connect(&self.database_url()).await;
        let mut connection = connected.expect("a connection");
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()));
        let rows = statement.fetch_all(&mut connection).await.expect("rows");
        let first = |row| sqlx::Row::try_get::<String, _>(row, 0).unwrap_or_default();
        rows.iter().map(first).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn database_url(&self) -> String {
        format!("postgres://gauntlet@127.0.0.1:{}/postgres", self.postgres_port)
    }

    pub(crate) async fn start_redis(&mut self) {
        let redis = program(&["/usr/bin/redis-server"], "redis-server");
        let mut command = command(redis);
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &self.redis_port.to_string()]);
        self.redis = Some(Process::spawn(command.stdout(Stdio::null())));
        let client = redis::Client::open(self.redis_url()).expect("a URL");
        eventually("redis accepts connections", || async {
            client.get_multiplexed_async_connection().await.ok()
        })
        .await;
    }

    fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis_port)
    }

    pub(crate) fn postgres(&mut self) -> &mut Process {
        self.postgres.as_mut().expect("postgresql runs")
    }

    pub(crate) fn redis(&mut self) -> &mut Process {
        self.redis.as_mut().expect("redis runs")
    }

    /// Stops PostgreSQL at once, as a crash does.
    pub(crate) async fn crash_postgres(&mut self) {
        self.postgres().signal(Signal::QUIT);
        self.postgres().ended(Duration::from_secs(10)).await;
    }

    /// Starts a replica and waits until it listens.
    pub(crate) fn start(&self, name: &str, settings: &[(&str, &str)]) -> Replica {
        self.start_binary(env!("CARGO_BIN_EXE_causal-service"), name, settings)
    }

    /// Starts another build of the service.
    pub(crate) fn start_binary(&self, binary: &str, name: &str, settings: &[(&str, &str)]) -> Replica {
        let mut command = command(binary);
        command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs([("HOST", "127.0.0.1"), ("PORT", "0"), ("METRICS_PORT", "0"), ("REPLICA", name)]);
        command.envs([("DATABASE_URL", self.database_url()), ("REDIS_URL", self.redis_url())]);
        command.envs([("DRAIN_DELAY", "300ms")]).envs(settings.iter().copied());
        let mut process = Process::spawn(&mut command);
        let out = process.child().stdout.take().expect("piped");
        let log = Log::default();
        log.keep(BufReader::new(process.child().stderr.take().expect("piped")).lines());
        let mut lines = BufReader::new(out).lines();
        let listening = lines.by_ref().find_map(|line| {
            let line = line.expect("a line");
            log.push(&line);
            let line: Value = serde_json::from_str(&line).expect("JSON");
            (line["message"] == "listening").then_some(line)
        });
        let listening = listening.unwrap_or_else(|| panic!("{name} did not start"));
        log.keep(lines);
        let port = |name: &str| listening[name].as_u64().expect("a port") as u16;
        let (port, metrics_port) = (port("port"), port("metrics_port"));
        Replica { process, port, metrics_port, client: Client::new(), log }
    }

    /// Starts a replica and waits until it is ready.
    pub(crate) async fn ready(&self, name: &str, settings: &[(&str, &str)]) -> Replica {
        let replica = self.start(name, settings);
        replica.is_ready().await;
        replica
    }
}

/// One process of the service.
pub(crate) struct Replica {
    pub(crate) process: Process,
    pub(crate) port: u16,
    metrics_port: u16,
    client: Client,
    log: Log,
}

/// What a process wrote. Read all the time, because the pipes must not fill up.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn push(&self, line: &str) {
        let mut text = self.0.lock().expect("no writer panicked");
        text.push_str(line);
        text.push('\n');
    }

    fn keep(&self, lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| log.push(&line)));
    }
}

impl Replica {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Reply {
        let sent = self.client.try_send(method, self.url(path), headers, body).await;
        sent.unwrap_or_else(|why| panic!("{method} {path}: {why:?}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], None).await
    }

    pub(crate) async fn request(&self, method: &str, path: &str) -> Reply {
        self.send(method, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], Some(body.to_string())).await
    }

    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.send("POST", path, headers, Some(body.to_string())).await
    }

    pub(crate) async fn post_text(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send("POST", path, headers, Some(body.to_owned())).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, &[], Some(body.to_string())).await
    }

    /// All that it wrote so far.
    pub(crate) fn log(&self) -> String {
        self.log.0.lock().expect("no writer panicked").clone()
    }

    /// Waits until it has written something.
    pub(crate) async fn says(&self, what: &str) {
        eventually(what, || async { self.log().contains(what).then_some(()) }).await;
    }

    pub(crate) async fn is_ready(&self) {
        eventually("the replica is ready", || async {
            (self.get("/health/ready").await.status == 200).then_some(())
        })
        .await;
    }

    /// The value of one series of the metrics, by its line up to the value.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        let text = self.client.try_send("GET", url, &[], None).await.expect("metrics").text;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).trim().parse().expect("a number")
    }
}

/// A chain of three variables; the effect of the first on the last is -1.5.
pub(crate) fn question(samples: u64, seed: u64) -> Value {
    json!({
        "model": {
            "nodes": [{"name": "a"}, {"name": "b", "noise_std": 0.5, "intercept": 2.0}, {"name": "c"}],
            "edges": [{"from": "a", "to": "b", "weight": 2.0}, {"from": "b", "to": "c", "weight": -0.75}]
        },
        "treatment": "a", "outcome": "c", "samples": samples, "seed": seed
    })
}

/// An experiment that asks it.
pub(crate) fn draft(name: &str) -> Value {
    json!({"name": name, "query": question(1000, 7)})
}
