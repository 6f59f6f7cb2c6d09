//! `redis`: both ways, under writes, into servers of both kinds.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use gauntlet_backup::{
    About, LocalPrograms, Seal, Source, Target, backup,
    call::{Call, Ended, Input, Later, Output, Programs},
    content::Rows,
    form::{
        place::Directory,
        redis::{DataDirectory, Way},
    },
    restore, verify,
};
use redis::{AsyncCommands, aio::MultiplexedConnection};

use crate::stage::{Ground, entries, made, policy};

fn target(ground: &Ground, name: &str, append_only: bool) -> Target {
    Target::Redis(DataDirectory {
        directory: Directory { path: ground.path(name), replace: false },
        append_only,
    })
}

async fn fill(mut connection: MultiplexedConnection, keys: std::ops::Range<usize>) {
    for key in keys {
        connection.set::<_, _, ()>(format!("key {key}"), format!("value\r\n{key}")).await.unwrap();
    }
}

async fn whole(mut connection: MultiplexedConnection, keys: std::ops::Range<usize>) {
    for key in keys {
        let value: Option<String> = connection.get(format!("key {key}")).await.unwrap();
        assert_eq!(value, Some(format!("value\r\n{key}")));
    }
}

#[tokio::test]
async fn a_snapshot_goes_into_servers_of_both_kinds() {
    let ground = Ground::new();
    let cache = ground.start_redis("cache", false).await;
    fill(cache.connection.clone(), 0..500).await;
    let set = made(&ground, Source::Redis(cache.server.clone()), &Seal::none()).await;
    fill(cache.connection.clone(), 500..600).await;
    for (name, append) in [("plain", false), ("appending", true)] {
        restore(&set.dir, &target(&ground, name, append), &policy(), &ground.programs).await.unwrap();
        let restored = ground.start_redis(name, append).await;
        assert_eq!(restored.size().await, 500);
        whole(restored.connection.clone(), 0..500).await;
    }
    assert_eq!(cache.size().await, 600, "the source was touched");
}

#[tokio::test]
async fn a_directory_that_a_server_works_in_is_refused_even_to_be_replaced() {
    let ground = Ground::new();
    let cache = ground.start_redis("cache", false).await;
    fill(cache.connection.clone(), 0..10).await;
    let set = made(&ground, Source::Redis(cache.server.clone()), &Seal::none()).await;
    let directory = Directory { path: ground.path("cache"), replace: true };
    let over = Target::Redis(DataDirectory { directory, append_only: false });
    let why = restore(&set.dir, &over, &policy(), &ground.programs).await.unwrap_err().to_string();
    assert!(why.contains("redis-server") && why.contains("runs in it"), "{why}");
    assert_eq!(cache.size().await, 10);
    drop(cache);
    restore(&set.dir, &over, &policy(), &ground.programs).await.unwrap();
    assert_eq!(ground.start_redis("cache", false).await.size().await, 10);
}

#[tokio::test]
async fn append_only_files_are_taken_while_they_grow() {
    let ground = Ground::new();
    let cache = ground.start_redis("cache", true).await;
    fill(cache.connection.clone(), 0..500).await;
    let (stop, connection) = (Arc::new(AtomicBool::new(false)), cache.connection.clone());
    let stopped = stop.clone();
    let growing = tokio::spawn(async move {
        let mut next = 500;
        while !stopped.load(Ordering::Relaxed) {
            fill(connection.clone(), next..next + 10).await;
            next += 10;
        }
        next
    });
    let way = Way::Aof { directory: ground.path("cache"), name: "appendonlydir".into() };
    let server = gauntlet_backup::form::redis::Server { way, ..cache.server.clone() };
    let set = made(&ground, Source::Redis(server), &Seal::none()).await;
    stop.store(true, Ordering::Relaxed);
    let written = growing.await.unwrap();
    let mut connection = cache.connection.clone();
    let used: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    assert!(!used.contains("config"), "a setting was changed, which a killed backup would leave: {used}");
    verify(&set.dir, &policy(), &ground.programs).await.unwrap();
    restore(&set.dir, &target(&ground, "again", true), &policy(), &ground.programs).await.unwrap();
    let restored = ground.start_redis("again", true).await;
    let size = usize::try_from(restored.size().await).unwrap();
    assert!((500..=written).contains(&size), "{size} of {written}");
    whole(restored.connection.clone(), 0..size).await;
}

/// Lets the server rewrite its files whenever they are about to be read, so often.
struct Rewriting {
    inner: LocalPrograms,
    connection: MultiplexedConnection,
    left: AtomicUsize,
}

impl Programs for Rewriting {
    fn run<'a>(
        &'a self,
        call: &'a Call,
        stdin: Input<'a>,
        stdout: Output<'a>,
    ) -> Later<'a, Result<Ended, gauntlet_backup::Error>> {
        Box::pin(async move {
            let due = |left: usize| left.checked_sub(1);
            if call.program == "tar"
                && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
            {
                let mut connection = self.connection.clone();
                redis::cmd("BGREWRITEAOF").exec_async(&mut connection).await.unwrap();
                let info = || redis::cmd("INFO").arg("persistence").to_owned();
                loop {
                    let said: String = info().query_async(&mut connection).await.unwrap();
                    if said.contains("aof_rewrite_in_progress:0") && said.contains("aof_rewrite_scheduled:0")
                    {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
            self.inner.run(call, stdin, stdout).await
        })
    }
}

#[tokio::test]
async fn files_that_were_rewritten_while_they_were_read_are_read_again() {
    let ground = Ground::new();
    let cache = ground.start_redis("cache", true).await;
    fill(cache.connection.clone(), 0..500).await;
    let way = Way::Aof { directory: ground.path("cache"), name: "appendonlydir".into() };
    let server = gauntlet_backup::form::redis::Server { way, ..cache.server.clone() };
    let (into, seal) = (ground.dir.path().join("sets"), Seal::none());
    let take = |left| {
        let (inner, connection) = (ground.programs.clone(), cache.connection.clone());
        let (server, into, seal) = (server.clone(), into.clone(), &seal);
        async move {
            let programs = Rewriting { inner, connection, left: AtomicUsize::new(left) };
            backup(Source::Redis(server), &into, About { system: "shop", seal }, &programs).await
        }
    };
    let never = take(usize::MAX).await.unwrap_err().to_string();
    assert!(never.contains("rewritten while they were read"), "{never}");
    assert_eq!(entries(&into), Vec::<String>::new());
    let set = take(1).await.unwrap();
    restore(&set.dir, &target(&ground, "again", true), &policy(), &ground.programs).await.unwrap();
    let restored = ground.start_redis("again", true).await;
    assert_eq!(restored.size().await, 500);
    whole(restored.connection.clone(), 0..500).await;
}

/// A key of every type, two of each prefix that matters here; names with bytes that no text has.
async fn fill_all_types(connection: &MultiplexedConnection) {
    let big: Vec<String> = (0..600).map(|field| format!("field {field}")).collect();
    let mut pipe = redis::pipe();
    pipe.set("text:one", "a\r\nb").set(&b"text:\x00\xff \\"[..], &b"\xfe"[..]).set("plain", 1);
    pipe.rpush("list:one", &["b", "a", "b"]).zadd("score:one", "m", 1.5);
    for member in &big {
        pipe.sadd("set:big", member).hset("hash:big", member, format!("value of {member}"));
    }
    pipe.cmd("XADD").arg(&["stream:one", "1-1", "f", "v"]).ignore();
    pipe.cmd("SET").arg(&["brief:one", "gone soon", "PX", "1500"]).ignore();
    pipe.cmd("SET").arg(&["brief:two", "stays", "EX", "1000"]).ignore();
    pipe.cmd("SELECT").arg(3).ignore().set("text:one", "of another database").cmd("SELECT").arg(0).ignore();
    pipe.exec_async(&mut connection.clone()).await.unwrap();
}

#[tokio::test]
async fn every_key_is_compared_after_a_restore_in_both_ways() {
    let ground = Ground::new();
    let cache = ground.start_redis("cache", true).await;
    fill_all_types(&cache.connection).await;
    let read = async |of: &crate::stage::Cache| Rows::read_keys(&of.server, &ground.programs).await.unwrap();
    let before = read(&cache).await;
    let files = Way::Aof { directory: ground.path("cache"), name: "appendonlydir".into() };
    for (way, name) in [(Way::Rdb, "snapshot"), (files, "files")] {
        let server = gauntlet_backup::form::redis::Server { way, ..cache.server.clone() };
        let set = made(&ground, Source::Redis(server), &Seal::none()).await;
        restore(&set.dir, &target(&ground, name, true), &policy(), &ground.programs).await.unwrap();
        let restored = ground.start_redis(name, true).await;
        tokio::time::sleep(std::time::Duration::from_millis(1600)).await;
        let after = read(&restored).await;
        let kept = before.kept(before.changing(&after).unwrap(), &after).unwrap();
        assert_eq!((kept.rows, kept.tables, kept.changing.len()), (10, 9, 0), "{name}: {kept:?}");
        assert_eq!(kept.lost, [], "{name}");

        let mut connection = restored.connection.clone();
        let _: () = redis::pipe()
            .hset("hash:big", "field 7", "another")
            .del(&b"text:\x00\xff \\"[..])
            .cmd("SELECT")
            .arg(3)
            .ignore()
            .del("text:one")
            .cmd("SELECT")
            .arg(0)
            .ignore()
            .query_async(&mut connection)
            .await
            .unwrap();
        let lost = before.kept(vec![], &read(&restored).await).unwrap().lost;
        let named: Vec<_> = lost.iter().map(|row| (row.table.as_str(), row.key.as_str())).collect();
        let expected =
            [("db0:hash", "hash:big"), ("db0:text", r"text:\x00\xff\x20\x5c"), ("db3:text", "text:one")];
        assert_eq!(named, expected, "{name}");
    }
}
