//! Retention: what goes, and what never does.

use std::{fs, path::PathBuf, time::Duration};

use gauntlet_backup::{
    Keep, Source,
    form::configuration::{Stream, StreamKind},
    prune,
};
use jiff::Timestamp;

use crate::stage::{Ground, key, made};

async fn sets(ground: &Ground, count: usize) -> Vec<PathBuf> {
    let (seal, mut made_sets) = (key().0, vec![]);
    for _ in 0..count {
        let mut content = &b"apiVersion: v1\nkind: ConfigMap\nmetadata: { name: shop }\n"[..];
        let stream = Stream { of: "x".into(), kind: StreamKind::Yaml, content: &mut content };
        made_sets.push(made(ground, Source::Configuration(stream), &seal).await.dir);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    made_sets
}

#[tokio::test]
async fn the_newest_are_kept_and_what_killed_runs_left_goes() {
    let ground = Ground::new();
    let sets = sets(&ground, 4).await;
    let dir = ground.dir.path().join("sets");
    for left in [".unfinished-shop-x", ".removing-shop-y"] {
        fs::create_dir(dir.join(left)).unwrap();
    }
    fs::create_dir(dir.join("somebody's")).unwrap();
    let pruned = prune(&dir, Keep { last: 2, within: None }, Timestamp::now()).unwrap();
    assert_eq!(pruned.kept, [sets[3].clone(), sets[2].clone()]);
    assert_eq!(pruned.removed.len(), 4);
    assert_eq!(pruned.unusable, [dir.join("somebody's")]);
    assert!(sets[3].exists() && !sets[1].exists() && !dir.join(".unfinished-shop-x").exists());
    let all = Keep { last: 0, within: Some(Duration::from_secs(3600)) };
    assert_eq!(prune(&dir, all, Timestamp::now()).unwrap().kept.len(), 2);
}

#[tokio::test]
async fn the_only_good_set_is_never_removed() {
    let ground = Ground::new();
    let sets = sets(&ground, 3).await;
    let part = sets[2].join("objects.yaml.age");
    let mut bytes = fs::read(&part).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&part, bytes).unwrap();
    let dir = ground.dir.path().join("sets");
    let pruned = prune(&dir, Keep { last: 1, within: None }, Timestamp::now()).unwrap();
    assert_eq!(
        pruned.kept,
        [sets[2].clone(), sets[1].clone()],
        "the newest is bad, so the one before it stays"
    );
    let none =
        prune(&dir, Keep::default(), Timestamp::now() + jiff::SignedDuration::from_hours(9999)).unwrap();
    assert_eq!(none.removed, Vec::<PathBuf>::new());
}
