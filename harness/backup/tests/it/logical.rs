//! `logical`, under writes.

use std::{collections::BTreeSet, process::Command};

use gauntlet_backup::{Error, Seal, Source, Target, content, form::logical::Database, restore, verify};

use crate::stage::{Ground, SCHEMA, Writer, key, made, policy};

#[tokio::test]
async fn a_database_goes_round_under_writes_and_loses_nothing_acknowledged_before() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    let at = &server.connection;
    ground.sql(at, SCHEMA).await;
    let writer = Writer::start(&server).await;
    writer.more(200).await;
    let before = writer.acknowledged();
    let set = made(&ground, Source::Logical(at.clone()), &Seal::none()).await;
    writer.more(50).await;
    let check =
        Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&set.dir).status();
    assert!(check.unwrap().success());
    let verified = verify(&set.dir, &policy(), &ground.programs).await.unwrap();
    assert!(verified.manifest().lsn.unwrap().end > verified.manifest().lsn.unwrap().start);

    let target = Target::Logical(Database { connection: at.to("copy"), replace: false });
    let restored = restore(&set.dir, &target, &policy(), &ground.programs).await.unwrap();
    let compared = restored.compared.unwrap();
    assert!(compared.tables > 1 && compared.rows >= before.len() as u64, "{compared}");
    let there: BTreeSet<i64> = ground
        .sql(&at.to("copy"), "select id from notes")
        .await
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    let all: BTreeSet<i64> = writer.stop().await.into_iter().collect();
    assert!(before.iter().all(|id| there.contains(id)), "an acknowledged write is lost");
    assert!(there.len() < all.len() && there.is_subset(&all));

    // Without writes both are alike, and the sealed set is restored over the database that lives under the same name.
    let (seal, keys) = key();
    let set = made(&ground, Source::Logical(at.clone()), &seal).await;
    let keyed = gauntlet_backup::Policy { keys, sealed: true, ..policy() };
    let refused = restore(&set.dir, &target, &keyed, &ground.programs).await.unwrap_err();
    assert!(matches!(&refused, Error::NotEmpty { .. }), "{refused}");
    let before = content::read(at, &ground.programs, 16).await.unwrap();
    ground.sql(at, "drop table pairs cascade; delete from notes").await;
    let idle = server.client("postgres").await;
    let target = Target::Logical(Database { connection: at.clone(), replace: true });
    let bare = made(&ground, Source::Undigested(at.to("copy")), &Seal::none()).await;
    assert_eq!(bare.manifest.parts.len(), 1);
    restore(&set.dir, &target, &keyed, &ground.programs).await.unwrap();
    assert!(idle.simple_query("select 1").await.is_err(), "a session of the old database lives on");
    let after = content::read(at, &ground.programs, 16).await.unwrap();
    assert_eq!(content::compare(&before, &after), []);
    let databases = ground.sql(at, "select datname from pg_database order by 1").await;
    assert_eq!(databases, ["copy", "postgres", "template0", "template1"]);
    server.stop();
}
