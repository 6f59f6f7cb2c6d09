//! Seven kinds of corrupt backup, and those that nobody lists, for every form: each is refused with its reason.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use gauntlet_backup::{
    Error, Keys, Policy, Refusal, Source, Target,
    form::{
        Form,
        configuration::{Stream, StreamKind},
        logical,
        place::Directory,
        point_in_time::{self, Until},
        redis, wal,
    },
    manifest::{Manifest, Origin},
    restore,
    set::Set,
    spoil::{Spoilt, strict},
    verify,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::stage::{Database, Ground, SCHEMA, entries, key, made, policy};

/// How a copy of a good set is spoilt, and the reason that must be given.
type Spoil = (&'static str, fn(&Path, &mut Policy), &'static str);

/// Beside the seven kinds of [`Spoilt`], the rest of the closed set.
const MORE: [Spoil; 8] = [
    (
        "truncated manifest",
        |set, _| change(&set.join("manifest.json"), |b| b.truncate(b.len() / 2)),
        "truncated",
    ),
    ("truncated sums", |set, _| change(&set.join("SHA256SUMS"), |b| b.truncate(b.len() - 1)), "truncated"),
    ("bit-flipped manifest", |set, _| change(&set.join("manifest.json"), |bytes| flip(bytes)), "flipped"),
    ("encrypted, no key", |_, policy| policy.keys = Keys::none(), "wrongly-encrypted"),
    ("encrypted, another key", |_, policy| policy.keys = key().1, "wrongly-encrypted"),
    ("unfinished", |set, _| fs::remove_file(set.join("manifest.json")).unwrap(), "unfinished"),
    ("missing part", |set, _| fs::remove_file(first(set)).unwrap(), "missing"),
    ("extra part", |set, _| fs::write(set.join("other.dump"), "x").unwrap(), "extra"),
];

fn first(set: &Path) -> PathBuf {
    set.join(&manifest(set).parts[0].name)
}

fn change(file: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    how(&mut bytes);
    fs::write(file, bytes).unwrap();
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

fn manifest(set: &Path) -> Manifest {
    serde_json::from_slice(&fs::read(set.join("manifest.json")).unwrap()).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest that says another thing, with sums that are right.
fn say(set: &Path, how: impl FnOnce(&mut Manifest)) {
    let mut manifest = manifest(set);
    how(&mut manifest);
    let text = serde_json::to_string_pretty(&manifest).unwrap();
    let line = |part: &gauntlet_backup::manifest::Part| {
        format!("{}  {}\n", part.stored.sha256.as_deref().unwrap(), part.name)
    };
    let sums: String = manifest.parts.iter().map(line).collect();
    fs::write(set.join("SHA256SUMS"), format!("{}  manifest.json\n{sums}", sha256(text.as_bytes()))).unwrap();
    fs::write(set.join("manifest.json"), text).unwrap();
}

/// The first part ends too early, and manifest and sums agree with what is there.
fn cut(set: &Path) {
    change(&first(set), |bytes| bytes.truncate(bytes.len() * 2 / 3));
    let bytes = fs::read(first(set)).unwrap();
    say(set, |manifest| {
        let part = &mut manifest.parts[0];
        (part.stored.bytes, part.stored.sha256) = (bytes.len() as u64, Some(sha256(&bytes)));
        if part.plain.sha256.is_some() {
            part.plain = part.stored.clone();
        }
    });
}

fn copy(set: &Path, to: &Path) -> PathBuf {
    let to = to.join(set.file_name().unwrap());
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to).unwrap();
    for file in entries(set) {
        fs::copy(set.join(&file), to.join(&file)).unwrap();
    }
    to
}

async fn reasons(set: &Path, policy: &Policy, ground: &Ground) -> String {
    match verify(set, policy, &ground.programs).await {
        Ok(_) => "accepted".into(),
        Err(refusals) => refusals.iter().map(Refusal::name).collect::<Vec<_>>().join(" and "),
    }
}

/// Neither a look nor a restore takes it.
async fn refused(ground: &Ground, case: &Case, (set, policy): (&Path, &Policy), expected: &str) {
    assert_eq!(reasons(set, policy, ground).await, expected, "{}", set.display());
    let refused = restore(set, &case.target, policy, &ground.programs).await.unwrap_err();
    let Error::Refused(reasons) = &refused else { panic!("{}, {expected}: {refused}", set.display()) };
    assert!(reasons.iter().any(|reason| reason.name() == expected), "{refused}");
}

struct Case {
    set: PathBuf,
    policy: Policy,
    target: Target,
}

async fn cases(ground: &Ground, server: &Database) -> Vec<Case> {
    ground.sql(&server.connection, SCHEMA).await;
    let cache = ground.start_redis("cache", true).await;
    let mut client = cache.connection.clone();
    for number in 0..100 {
        ::redis::cmd("SET").arg(number).arg("x".repeat(50)).query_async::<()>(&mut client).await.unwrap();
    }
    let place = |name: &str| Directory { path: ground.path(name), replace: false };
    let stream = wal::Stream {
        connection: server.connection.clone(),
        slot: "s".into(),
        directory: ground.path("wal"),
    };
    let way = redis::Way::Aof { directory: ground.path("cache"), name: "appendonlydir".into() };
    let files = redis::Server { way, ..cache.server.clone() };
    let mut objects = &b"apiVersion: v1\nkind: ConfigMap\nmetadata: { name: shop }\n"[..];
    let objects = Stream { of: "namespace shop".into(), kind: StreamKind::Yaml, content: &mut objects };
    let database = logical::Database { connection: server.connection.to("copy"), replace: false };
    let data = point_in_time::DataDirectory { directory: place("restored"), until: Until::End };
    let append = |append_only| redis::DataDirectory { directory: place("restored"), append_only };
    let sources = [
        (Source::Logical(server.connection.clone()), Target::Logical(database)),
        (Source::PointInTime(stream), Target::PointInTime(data)),
        (Source::Redis(cache.server.clone()), Target::Redis(append(false))),
        (Source::Redis(files), Target::Redis(append(true))),
        (Source::Configuration(objects), Target::Configuration(place("restored"))),
    ];
    let mut cases = vec![];
    for (source, target) in sources {
        let (seal, keys) = key();
        let set = made(ground, source, &seal).await;
        let policy =
            Policy { keys, max_age: Some(Duration::from_secs(24 * 3600)), now: Timestamp::now(), ..policy() };
        cases.push(Case { set: set.dir, policy, target });
    }
    cases
}

#[tokio::test]
async fn every_kind_of_corrupt_backup_is_refused_for_every_form_and_touches_nothing() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    let spoilt = ground.dir.path().join("spoilt");
    for case in cases(&ground, &server).await {
        let form = manifest(&case.set).form;
        assert_eq!(reasons(&case.set, &case.policy, &ground).await, "accepted", "{form}");
        let good = Set::open(&case.set).unwrap();
        for spoil in Spoilt::ALL {
            let set = spoil.copy(&good, &spoilt).unwrap();
            refused(&ground, &case, (&set, &strict(&case.policy, &good)), spoil.name()).await;
        }
        for (_, spoil, expected) in MORE {
            let (set, mut policy) = (copy(&case.set, &spoilt), case.policy.clone());
            spoil(&set, &mut policy);
            refused(&ground, &case, (&set, &policy), expected).await;
        }
        // Sealed, so the tampering is found by the seal; digests were made anew.
        let set = copy(&case.set, &spoilt);
        cut(&set);
        let found = reasons(&set, &case.policy, &ground).await;
        assert!(["unsound", "wrongly-encrypted"].contains(&found.as_str()), "{form}, cut: {found}");
        assert_eq!(reasons(&case.set, &case.policy, &ground).await, "accepted", "{form}, afterwards");
        let (set, mut old) = (copy(&case.set, &spoilt), case.policy.clone());
        old.now += jiff::SignedDuration::from_hours(25);
        old.accept_stale = true;
        assert_eq!(reasons(&set, &old, &ground).await, "accepted", "{form}, stale but accepted");
        if form != Form::Configuration {
            let foreign = Policy { source: Some("7".into()), ..case.policy.clone() };
            assert_eq!(reasons(&set, &foreign, &ground).await, "foreign", "{form}, of another server");
            let older = Policy { major: Some(5), ..case.policy.clone() };
            assert_eq!(reasons(&set, &older, &ground).await, "wrong-version", "{form}, for an older server");
        }
    }
    assert!(
        !fs::exists(ground.path("restored")).unwrap()
            && !fs::exists(ground.path("restored.gauntlet-restoring")).unwrap()
    );
    let databases = ground.sql(&server.connection, "select datname from pg_database order by 1").await;
    assert_eq!(databases, ["postgres", "template0", "template1"]);
    server.stop();
}

#[tokio::test]
async fn what_was_wrong_before_it_was_digested_is_refused_by_its_structure() {
    let ground = Ground::new();
    ground.initdb("data");
    let server = ground.start("data").await;
    ground.sql(&server.connection, SCHEMA).await;
    let plain = gauntlet_backup::Seal::none();
    let spoilt = ground.dir.path().join("spoilt");
    let verified = async |set: &Path| reasons(set, &policy(), &ground).await;

    let dump = made(&ground, Source::Logical(server.connection.clone()), &plain).await.dir;
    let set = copy(&dump, &spoilt);
    cut(&set);
    assert_eq!(verified(&set).await, "unsound");
    let in_clear = Policy { sealed: true, ..policy() };
    assert_eq!(reasons(&dump, &in_clear, &ground).await, "wrongly-encrypted");
    ground.sql(&server.connection, "create database bare").await;
    let bare = made(&ground, Source::Logical(server.connection.to("bare")), &plain).await.dir;
    assert_eq!(verified(&bare).await, "empty");

    let stream = wal::Stream {
        connection: server.connection.clone(),
        slot: "s".into(),
        directory: ground.path("wal"),
    };
    let base = made(&ground, Source::PointInTime(stream), &plain).await.dir;
    assert_eq!(verified(&base).await, "accepted");
    // A newer server's sets: nobody says which version the target has, so it is asked.
    let place = Directory { path: ground.path("restored"), replace: false };
    let database = logical::Database { connection: server.connection.to("copy"), replace: false };
    let data = point_in_time::DataDirectory { directory: place, until: Until::End };
    for (set, target) in [(&dump, Target::Logical(database)), (&base, Target::PointInTime(data))] {
        let newer = copy(set, &spoilt);
        say(&newer, |manifest| {
            let Origin::Postgres(server) = &mut manifest.source else { panic!("{:?}", manifest.source) };
            server.major += 1;
        });
        let refused = restore(&newer, &target, &policy(), &ground.programs).await.unwrap_err();
        let Error::Refused(reasons) = refused else { panic!("{refused}") };
        assert_eq!(reasons.iter().map(Refusal::name).collect::<Vec<_>>(), ["wrong-version"]);
    }
    assert!(!fs::exists(ground.path("restored")).unwrap());

    let set = copy(&base, &spoilt);
    cut(&set);
    assert_eq!(verified(&set).await, "unsound");
    let set = copy(&base, &spoilt);
    say(&set, |manifest| drop(manifest.parts.pop()));
    assert_eq!(verified(&set).await, "extra", "the log is there, and nobody says so");
    fs::remove_file(set.join("wal-0000.tar")).unwrap();
    assert_eq!(verified(&set).await, "missing");

    let cache = ground.start_redis("cache", false).await;
    let none = made(&ground, Source::Redis(cache.server.clone()), &plain).await.dir;
    assert_eq!(verified(&none).await, "empty");
    let mut client = cache.connection.clone();
    ::redis::cmd("SET").arg("k").arg("v").query_async::<()>(&mut client).await.unwrap();
    let some = made(&ground, Source::Redis(cache.server.clone()), &plain).await.dir;
    assert_eq!(verified(&some).await, "accepted");
    let set = copy(&some, &spoilt);
    cut(&set);
    assert_eq!(verified(&set).await, "unsound");
    assert_eq!(fs::metadata(&some).unwrap().permissions().mode() & 0o77, 0, "others may look into a set");
    server.stop();
}
