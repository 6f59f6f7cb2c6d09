//! `point-in-time`: to just before a transaction, to a name, and to the end after a total loss.

use std::{fs, path::Path, time::Duration};

use gauntlet_backup::{
    About, Error, Policy, Seal, Source, Target, content, extend,
    form::{
        place::Directory,
        point_in_time::{DataDirectory, Reach, Until},
        wal::Stream,
    },
    restore, verify,
};

use crate::stage::{Database, Ground, SCHEMA, Writer, entries, key, made, policy};

fn stream(ground: &Ground, server: &Database) -> Stream {
    Stream { connection: server.connection.clone(), slot: "gauntlet".into(), directory: ground.path("wal") }
}

fn target(ground: &Ground, name: &str, until: Until) -> Target {
    let directory = Directory { path: ground.path(name), replace: false };
    Target::PointInTime(DataDirectory { directory, until })
}

async fn ids(ground: &Ground, server: &Database) -> Vec<i64> {
    let lines = ground.sql(&server.connection, "select id from notes order by id").await;
    lines.iter().map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_server_is_restored_to_just_before_a_destructive_transaction_and_to_a_name() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    ground.sql(&server.connection, SCHEMA).await;
    let writer = Writer::start(&server).await;
    writer.more(100).await;
    let (seal, keys) = key();
    let set = made(&ground, Source::PointInTime(stream(&ground, &server)), &seal).await;
    writer.more(100).await;
    let point = server.connection.restore_point(&ground.programs, "before the release").await.unwrap();
    writer.more(100).await;
    let acknowledged = writer.stop().await;
    let before = content::read(&server.connection, &ground.programs, 16).await.unwrap();
    let xid =
        ground.sql(&server.connection, "begin; delete from notes; select pg_current_xact_id(); commit").await;
    ground.sql(&server.connection, "insert into notes (text) values ('after the loss')").await;
    let about = About { system: "shop", seal: &seal };
    let points = [point];
    let reach = (Reach::Server, &points[..]);
    let longer = extend(&set.dir, &stream(&ground, &server), reach, about, &ground.programs).await.unwrap();
    assert!(longer.manifest.lsn.unwrap().end > set.manifest.lsn.unwrap().end);
    assert!(longer.manifest.as_of > set.manifest.as_of && set.dir.exists());

    let keyed = Policy { keys, ..policy() };
    let until = Until::Before { xid: xid[0].parse().unwrap() };
    restore(&longer.dir, &target(&ground, "exact", until), &keyed, &ground.programs).await.unwrap();
    let exact = ground.start("exact").await;
    assert_eq!(ids(&ground, &exact).await, acknowledged);
    assert_eq!(
        content::compare(&before, &content::read(&exact.connection, &ground.programs, 16).await.unwrap()),
        []
    );
    exact.stop();
    assert!(!fs::exists(ground.path("exact/gauntlet_wal")).unwrap(), "the log is left in the data directory");

    let named = Until::Named("before the release".into());
    restore(&longer.dir, &target(&ground, "named", named.clone()), &keyed, &ground.programs).await.unwrap();
    let named_server = ground.start("named").await;
    let there = ids(&ground, &named_server).await;
    assert!(
        there.len() >= 200 && there.len() < acknowledged.len(),
        "{} of {}",
        there.len(),
        acknowledged.len()
    );
    assert_eq!(there, acknowledged[..there.len()]);
    named_server.stop();

    // The name is not in the set that was made before it; a running server and a full directory are not touched.
    let unknown =
        restore(&set.dir, &target(&ground, "other", named), &keyed, &ground.programs).await.unwrap_err();
    assert!(unknown.to_string().contains("not in this set"), "{unknown}");
    let taken = restore(&longer.dir, &target(&ground, "named", Until::End), &keyed, &ground.programs)
        .await
        .unwrap_err();
    assert!(matches!(&taken, Error::NotEmpty { .. }), "{taken}");
    let directory = Directory { path: ground.path("data"), replace: true };
    let running = Target::PointInTime(DataDirectory { directory, until: Until::End });
    let runs = restore(&longer.dir, &running, &keyed, &ground.programs).await.unwrap_err();
    assert!(runs.to_string().contains("a server runs in it"), "{runs}");
    server.stop();
}

#[tokio::test]
async fn after_a_total_loss_the_streamed_log_holds_what_was_received() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    ground.sql(&server.connection, SCHEMA).await;
    let set = made(&ground, Source::PointInTime(stream(&ground, &server)), &Seal::none()).await;
    // An earlier receiver was ended while it laid out the next segment; this one goes on all the same.
    let received = entries(Path::new(&ground.path("wal"))).into_iter().max().unwrap();
    let next = u64::from_str_radix(&received[16..], 16).unwrap() + 1;
    let begun = format!("{}/{}{next:08X}.partial", ground.path("wal"), &received[..16]);
    fs::write(&begun, vec![0; 1_409_024]).unwrap();
    let (follow, programs) = (stream(&ground, &server), ground.programs.clone());
    let receiver = tokio::spawn(async move { follow.follow(&programs).await });
    let writer = Writer::start(&server).await;
    writer.more(300).await;
    let acknowledged = writer.stop().await;
    let received = "select flush_lsn >= pg_current_wal_flush_lsn() from pg_stat_replication where application_name = 'pg_receivewal'";
    for _ in 0..200 {
        if ground.sql(&server.connection, received).await == ["t"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stream = stream(&ground, &server);
    drop(server);
    fs::remove_dir_all(ground.path("data")).unwrap();
    receiver.abort();
    let _ = receiver.await;
    let about = About { system: "shop", seal: &Seal::none() };
    let longer = extend(&set.dir, &stream, (Reach::Streamed, &[]), about, &ground.programs).await.unwrap();
    assert!(longer.manifest.parts.last().unwrap().segments.as_ref().unwrap().partial);
    assert_eq!(longer.manifest.as_of, set.manifest.as_of, "nobody knows how new the stream's end is");
    verify(&longer.dir, &policy(), &ground.programs).await.unwrap();
    restore(&longer.dir, &target(&ground, "data", Until::End), &policy(), &ground.programs).await.unwrap();
    let again = ground.start("data").await;
    assert_eq!(ids(&ground, &again).await, acknowledged);
    again.stop();
}
