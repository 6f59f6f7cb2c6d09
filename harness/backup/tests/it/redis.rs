//! `redis`: both ways, under writes, into servers of both kinds.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gauntlet_backup::{
    Seal, Source, Target,
    form::{
        place::Directory,
        redis::{DataDirectory, Way},
    },
    restore, verify,
};
use redis::{AsyncCommands, aio::MultiplexedConnection};

use crate::stage::{Ground, made, policy};

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
    let setting: Vec<String> = redis::cmd("CONFIG")
        .arg(&["GET", "auto-aof-rewrite-percentage"])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(setting[1], "100", "rewriting stays off");
    verify(&set.dir, &policy(), &ground.programs).await.unwrap();
    restore(&set.dir, &target(&ground, "again", true), &policy(), &ground.programs).await.unwrap();
    let restored = ground.start_redis("again", true).await;
    let size = usize::try_from(restored.size().await).unwrap();
    assert!((500..=written).contains(&size), "{size} of {written}");
    whole(restored.connection.clone(), 0..size).await;
}
