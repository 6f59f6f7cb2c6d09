//! Digests of a million rows, and the one that a restore dropped.

use std::sync::atomic::{AtomicBool, Ordering};

use gauntlet_backup::{
    LocalPrograms, Seal, Source, Target,
    call::{Call, Ended, Input, Later, Output, Programs},
    content::{self, Difference, RANGES, RowDifference},
    form::logical::Database,
    postgres::Connection,
    restore,
};

use crate::stage::{Ground, SCHEMA, made, policy};

/// Programs of this machine, and a pg_restore that drops a row without a word.
struct Drops<'a> {
    programs: &'a LocalPrograms,
    at: Connection,
    row: &'a str,
    dropped: AtomicBool,
}

impl Programs for Drops<'_> {
    fn run<'a>(
        &'a self,
        call: &'a Call,
        stdin: Input<'a>,
        stdout: Output<'a>,
    ) -> Later<'a, Result<Ended, gauntlet_backup::Error>> {
        Box::pin(async move {
            let ended = self.programs.run(call, stdin, stdout).await?;
            if call.args.iter().any(|arg| arg == "--single-transaction") {
                self.at.ask(self.programs, self.row).await?;
                self.dropped.store(true, Ordering::Relaxed);
            }
            Ok(ended)
        })
    }
}

#[tokio::test]
async fn a_restore_that_drops_one_row_of_a_million_is_caught_and_the_row_is_named() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    let at = &server.connection;
    let sql = "create table million (id bigint primary key, text text);
        insert into million select i, md5(i::text) from generate_series(1, 1000000) i;";
    ground.sql(at, sql).await;
    let before = content::read(at, &ground.programs, RANGES).await.unwrap();
    assert_eq!(before.tables["public.million"].rows, 1_000_000);
    let set = made(&ground, Source::Logical(at.clone()), &Seal::none()).await;
    let copy = at.to("copy");
    let target = Target::Logical(Database { connection: copy.clone(), replace: false });
    restore(&set.dir, &target, &policy(), &ground.programs).await.unwrap();
    let after = content::read(&copy, &ground.programs, RANGES).await.unwrap();
    assert_eq!(content::compare(&before, &after), []);

    // The restore itself notices, and its target stays as it was.
    let drops = Drops {
        programs: &ground.programs,
        at: at.to("other_gauntlet_restoring"),
        row: "delete from million where id = 271828",
        dropped: AtomicBool::new(false),
    };
    let other = Target::Logical(Database { connection: at.to("other"), replace: false });
    let caught = restore(&set.dir, &other, &policy(), &drops).await.unwrap_err().to_string();
    assert!(drops.dropped.load(Ordering::Relaxed));
    let told = "public.million: 1000000 rows before, 999999 after; 1 of 256 ranges differ";
    assert!(caught.contains(told), "{caught}");
    assert_eq!(ground.sql(at, "select datname from pg_database where datname ~ 'other'").await, [""; 0]);

    ground.sql(&copy, "delete from million where id = 271828").await;
    let after = content::read(&copy, &ground.programs, RANGES).await.unwrap();
    let differences = content::compare(&before, &after);
    let [Difference::Rows { before: 1_000_000, after: 999_999, ranges, .. }] = differences.as_slice() else {
        panic!("{differences:?}");
    };
    assert_eq!(ranges.len(), 1);
    let rows = content::read_rows((at, &copy), &ground.programs, &differences).await.unwrap();
    assert_eq!(
        rows,
        [RowDifference { table: "public.million".into(), key: "(271828)".into(), missing: 1, extra: 0 }]
    );
    server.stop();
}

#[tokio::test]
async fn more_tables_than_a_pipe_holds_the_statements_of_are_digested() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    let at = &server.connection;
    let sql = "do $$ begin for i in 1..600 loop
        execute format('create unlogged table many_%s as select generate_series(1, 300) as id', i);
    end loop; end $$";
    ground.sql(at, sql).await;
    let content = content::read(at, &ground.programs, RANGES).await.unwrap();
    assert_eq!((content.tables.len(), content.tables["public.many_600"].rows), (600, 300));
    server.stop();
}

#[tokio::test]
async fn a_digest_depends_on_content_and_on_nothing_else() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    let at = &server.connection;
    ground.sql(at, SCHEMA).await;
    ground
        .sql(
            at,
            "insert into notes (text) select i::text from generate_series(1, 300) i; create database other",
        )
        .await;
    let before = content::read(at, &ground.programs, 16).await.unwrap();

    // Another order on disk, another plan, other settings of the database.
    let sql =
        "cluster notes using by_text; vacuum full pairs; alter database postgres set timezone = 'Asia/Tokyo';
        alter database postgres set datestyle = 'German'; alter database postgres set enable_hashagg = off;";
    for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
        ground.sql(at, statement).await;
    }
    assert_eq!(content::compare(&before, &content::read(at, &ground.programs, 16).await.unwrap()), []);

    // Each of these is seen, and told apart.
    for (change, back, told) in [
        (
            "update pairs set \"odd \"\"name\" = 0 where a = 7",
            "update pairs set \"odd \"\"name\" = 7 / 3.0 where a = 7",
            "public.pairs: 500 rows before, 500 after; 1 of 16 ranges differ",
        ),
        (
            "insert into loose values ('same')",
            "delete from loose where ctid = (select max(ctid) from loose)",
            "public.loose: 7 rows before, 8 after; 1 of 16 ranges differ",
        ),
        (
            "drop index by_text",
            "create index by_text on notes (text)",
            "index public.by_text: there before, not there after",
        ),
        (
            "alter table pairs drop constraint small",
            "alter table pairs add constraint small check (a < 100000)",
            "constraint public.pairs small: there before, not there after",
        ),
        (
            "select setval('spare', 1, false)",
            "select setval('spare', 1)",
            "sequence public.spare: Some(Some(1)) before, Some(None) after",
        ),
        (
            "drop extension pg_trgm",
            "create extension pg_trgm",
            "extension pg_trgm: there before, not there after",
        ),
    ] {
        ground.sql(at, change).await;
        let found = content::compare(&before, &content::read(at, &ground.programs, 16).await.unwrap());
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [told], "{change}");
        ground.sql(at, back).await;
        assert_eq!(
            content::compare(&before, &content::read(at, &ground.programs, 16).await.unwrap()),
            [],
            "{back}"
        );
    }
    let lost =
        content::compare(&before, &content::read(&at.to("other"), &ground.programs, 16).await.unwrap());
    assert!(
        lost.iter().any(|difference| difference.to_string() == "table public.notes with 300 rows is missing")
    );
    server.stop();
}
