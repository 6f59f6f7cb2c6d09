//! `configuration`: never in the clear.

use std::fs;

use gauntlet_backup::{
    About, Policy, Seal, Source, Target, backup,
    form::{
        configuration::{Stream, StreamKind},
        place::Directory,
    },
    restore, verify,
};

use crate::stage::{Ground, entries, key, made, policy};

const OBJECTS: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: { name: shop }\nstringData: { password: hunter2 }\n";

fn source<'a>(kind: StreamKind, content: &'a mut &[u8]) -> Source<'a> {
    Source::Configuration(Stream { of: "namespace shop".into(), kind, content })
}

#[tokio::test]
async fn a_configuration_is_sealed_or_not_written_at_all() {
    let ground = Ground::new();
    let (into, none) = (ground.dir.path().join("sets"), Seal::none());
    let mut content = OBJECTS.as_bytes();
    let about = About { system: "shop", seal: &none };
    let refused =
        backup(source(StreamKind::Yaml, &mut content), &into, about, &ground.programs).await.unwrap_err();
    assert!(refused.to_string().contains("nobody is named to seal it to"), "{refused}");
    assert_eq!(entries(&into), Vec::<String>::new());

    let (seal, keys) = key();
    let mut content = OBJECTS.as_bytes();
    let set = made(&ground, source(StreamKind::Yaml, &mut content), &seal).await;
    for file in entries(&set.dir) {
        let bytes = fs::read(set.dir.join(&file)).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{file} shows the secret");
    }
    let keyed = Policy { keys, ..policy() };
    let target = Target::Configuration(Directory { path: ground.path("objects"), replace: false });
    restore(&set.dir, &target, &keyed, &ground.programs).await.unwrap();
    assert_eq!(fs::read_to_string(ground.path("objects/objects.yaml")).unwrap(), OBJECTS);
}

#[tokio::test]
async fn files_go_round_as_tar() {
    let ground = Ground::new();
    let (seal, keys) = key();
    let mut tar = tar::Builder::new(vec![]);
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o600);
    tar.append_data(&mut header, "config/app.env", &b"a=b"[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let set = made(&ground, source(StreamKind::Tar, &mut tar.as_slice()), &seal).await;
    let keyed = Policy { keys, ..policy() };
    verify(&set.dir, &keyed, &ground.programs).await.unwrap();
    let target = Target::Configuration(Directory { path: ground.path("files"), replace: false });
    restore(&set.dir, &target, &keyed, &ground.programs).await.unwrap();
    assert_eq!(fs::read(ground.path("files/config/app.env")).unwrap(), b"a=b");
}
