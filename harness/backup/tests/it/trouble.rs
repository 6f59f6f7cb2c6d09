//! Disks that are full, restores that are killed, versions that do not fit: a clear outcome, and nothing else changed.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gauntlet_backup::{
    About, Error, LocalPrograms, Seal, Source, Target, backup,
    call::{Call, Ended, Input, Later, Output, Programs},
    content,
    form::{
        configuration::{self, StreamKind},
        logical,
        place::Directory,
        point_in_time::{DataDirectory, Until},
        redis::{Server, Way},
        wal::Stream,
    },
    restore,
};
use rustix::process::geteuid;
use tokio::io::AsyncWrite;

use crate::stage::{Ground, SCHEMA, entries, key, made, policy};

const BIG: &str = "create table big (id int primary key, text text);
    insert into big select i, string_agg(md5(i::text || j), '') from generate_series(1, 20000) i, generate_series(1, 10) j group by i;";

/// A file system of its own, which goes with the process that sees it.
struct Small {
    holder: Child,
    path: PathBuf,
}

impl Small {
    /// Who is not root may mount in a user namespace of their own.
    fn mount(at: &Path) -> Self {
        fs::create_dir(at).unwrap();
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args([
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs -o size=1m tmpfs \"$0\" && echo mounted && exec cat",
        ]);
        let mut holder = command.arg(at).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut told).unwrap();
        assert_eq!(told, "mounted\n", "this test needs root, or user namespaces for everyone");
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), at.display()));
        Self { holder, path }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

async fn ends_without_a_set(source: Source<'_>, seal: &Seal, small: &Small, ground: &Ground) {
    let about = About { system: "shop", seal };
    let said = backup(source, &small.path, about, &ground.programs).await.unwrap_err().to_string();
    assert!(said.contains("No space left on device") && said.contains("make room"), "{said}");
    assert_eq!(entries(&small.path), Vec::<String>::new());
}

#[tokio::test]
async fn a_full_disk_ends_a_backup_without_leaving_a_set_and_without_touching_the_source() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    ground.sql(&server.connection, BIG).await;
    let before = content::read(&server.connection, &ground.programs, 16).await.unwrap();
    let small = Small::mount(&ground.dir.path().join("small"));
    let stream =
        Stream { connection: server.connection.clone(), slot: "s".into(), directory: ground.path("wal") };
    for source in [Source::Logical(server.connection.clone()), Source::PointInTime(stream)] {
        ends_without_a_set(source, &Seal::none(), &small, &ground).await;
    }
    let after = content::read(&server.connection, &ground.programs, 16).await.unwrap();
    assert_eq!(content::compare(&before, &after), []);
    server.stop();
}

/// Bytes that no compression makes smaller.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).take(count).collect()
}

#[tokio::test]
async fn a_full_disk_ends_a_backup_of_redis_and_of_a_configuration_too() {
    let ground = Ground::new();
    let small = Small::mount(&ground.dir.path().join("small"));
    let big = noise(4 << 20);
    let mut servers = vec![];
    for (name, append_only) in [("cache", false), ("appending", true)] {
        let server = ground.start_redis(name, append_only).await;
        let mut connection = server.connection.clone();
        redis::cmd("SET").arg("big").arg(big.as_slice()).exec_async(&mut connection).await.unwrap();
        servers.push(server);
    }
    let [snapshot, appended] = [servers[0].server.clone(), servers[1].server.clone()];
    let way = Way::Aof { directory: ground.path("appending"), name: "appendonlydir".into() };
    let appended = Server { way, ..appended };
    let mut content = big.as_slice();
    let stream =
        configuration::Stream { of: "namespace shop".into(), kind: StreamKind::Yaml, content: &mut content };
    let (seal, _) = key();
    for source in [Source::Redis(snapshot), Source::Redis(appended), Source::Configuration(stream)] {
        ends_without_a_set(source, &seal, &small, &ground).await;
    }
    for server in &servers {
        assert_eq!(server.size().await, 1, "the source was touched");
    }
}

/// Kills the program of one name when it has read so many bytes, as one who pulls the plug in the middle of a restore.
#[derive(Clone)]
struct Interrupted {
    inner: LocalPrograms,
    program: &'static str,
    after: u64,
    reached: Arc<AtomicU64>,
}

impl Programs for Interrupted {
    fn run<'a>(
        &'a self,
        call: &'a Call,
        stdin: Input<'a>,
        stdout: Output<'a>,
    ) -> Later<'a, Result<Ended, Error>> {
        let ours = call.program == self.program && call.args[0] != "--list" && call.args[0] != "--file=-";
        let Some(stdin) = stdin else { return self.inner.run(call, None, stdout) };
        if !ours {
            return self.inner.run(call, Some(stdin), stdout);
        }
        Box::pin(async move {
            let (mut ours, mut theirs) = tokio::io::duplex(1 << 12);
            // Its own lifetime is too long for the call below.
            let stdout = stdout.map(|stdout| -> &mut (dyn AsyncWrite + Send + Unpin) { stdout });
            let give = async {
                let mut part = tokio::io::AsyncReadExt::take(stdin, self.after);
                let given = tokio::io::copy(&mut part, &mut ours).await.unwrap();
                self.reached.store(given, Ordering::Relaxed);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                ended = self.inner.run(call, Some(&mut theirs), stdout) => ended,
                () = give => unreachable!(),
            }
        })
    }
}

#[tokio::test]
async fn a_restore_killed_in_the_middle_leaves_its_target_and_is_simply_run_again() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    let at = &server.connection;
    ground.sql(at, &format!("{SCHEMA}{BIG}")).await;
    let before = content::read(at, &ground.programs, 16).await.unwrap();
    let dump = made(&ground, Source::Logical(at.clone()), &Seal::none()).await.dir;
    let stream = Stream { connection: at.clone(), slot: "s".into(), directory: ground.path("wal") };
    let base = made(&ground, Source::PointInTime(stream), &Seal::none()).await.dir;
    ground.sql(at, "create database shop").await;
    ground.sql(&at.to("shop"), "create table kept (id int)").await;

    let database = Target::Logical(logical::Database { connection: at.to("shop"), replace: true });
    let directory = Directory { path: ground.path("again"), replace: false };
    let data = Target::PointInTime(DataDirectory { directory, until: Until::End });
    for (set, target, program) in [(&dump, &database, "pg_restore"), (&base, &data, "tar")] {
        let reached = Arc::new(AtomicU64::new(0));
        let killing =
            Interrupted { inner: ground.programs.clone(), program, after: 1 << 20, reached: reached.clone() };
        let (set, target) = ((*set).clone(), (*target).clone());
        let restoring = {
            let (set, target) = (set.clone(), target.clone());
            tokio::spawn(async move { restore(&set, &target, &policy(), &killing).await.map(drop) })
        };
        for _ in 0..600 {
            if reached.load(Ordering::Relaxed) > 0 || restoring.is_finished() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(reached.load(Ordering::Relaxed), 1 << 20, "{program} was not reached, {restoring:?}");
        restoring.abort();
        let _ = restoring.await;
        // What was there is there, and nothing half is in its place.
        assert_eq!(ground.sql(&at.to("shop"), "select count(*) from kept").await, ["0"], "{program}");
        assert!(!fs::exists(ground.path("again")).unwrap());
        restore(&set, &target, &policy(), &ground.programs).await.unwrap();
        if program == "pg_restore" {
            assert_eq!(
                content::compare(
                    &before,
                    &content::read(&at.to("shop"), &ground.programs, 16).await.unwrap()
                ),
                []
            );
            ground.sql(&at.to("shop"), "create table kept (id int)").await;
        }
    }
    let again = ground.start("again").await;
    assert_eq!(
        content::compare(&before, &content::read(&again.connection, &ground.programs, 16).await.unwrap()),
        []
    );
    again.stop();
    server.stop();
}
