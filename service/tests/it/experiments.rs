//! Experiments: stored once for each idempotency key, read back as written, listed, replaced, deleted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{World, draft};

const EXPERIMENTS: &str = "/api/v1/experiments";

#[tokio::test]
async fn a_key_makes_one_experiment_whatever_replicas_it_is_sent_to_at_once() {
    let world = World::new().await;
    // All at once on an empty database: one migrates, the others wait for it.
    let replicas = [world.start("one", &[]), world.start("two", &[]), world.start("three", &[])];
    for replica in &replicas {
        replica.is_ready().await;
    }
    for key in ["k1", "k2", "k3"] {
        let body = draft(key).to_string();
        let sends = (0..24).map(|at| {
            let (client, url, body) =
                (replicas[at % 3].client(), replicas[at % 3].url(EXPERIMENTS), body.clone());
            tokio::spawn(async move {
                client
                    .try_send("POST", url, &[("idempotency-key", key)], Some(body))
                    .await
                    .expect("an answer")
            })
        });
        let (mut answers, mut first) = (BTreeSet::new(), 0);
        for send in sends.collect::<Vec<_>>() {
            let reply = send.await.unwrap();
            assert_eq!(reply.status, 201, "{}", reply.text);
            first += usize::from(reply.header("idempotent-replayed").is_none());
            answers.insert(reply.text);
        }
        assert_eq!((answers.len(), first), (1, 1), "one answer, and one request that made it");
        let listed = replicas[0].get(&format!("{EXPERIMENTS}?name={key}")).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    }
    let other = replicas[1].post_with(EXPERIMENTS, &[("idempotency-key", "k1")], &draft("other")).await;
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency_key_reused"));
    let bad = replicas[1].post_with(EXPERIMENTS, &[("idempotency-key", "a b")], &draft("other")).await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "invalid_idempotency_key"));
    // The promise outlives the experiment and its changes.
    let made = replicas[2].post_with(EXPERIMENTS, &[("idempotency-key", "k1")], &draft("k1")).await;
    let path = format!("{EXPERIMENTS}/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(replicas[0].put(&path, &draft("renamed")).await.status, 200);
    let again = replicas[0].post_with(EXPERIMENTS, &[("idempotency-key", "k1")], &draft("k1")).await;
    assert_eq!((again.status, &again.text), (201, &made.text));
}

#[tokio::test]
async fn an_experiment_is_read_back_as_it_was_written_until_it_is_deleted() {
    let world = World::new().await;
    let replica = world.ready("one", &[]).await;
    let mut body = draft("first");
    body["note"] = json!("line\nline é");
    body["query"]["seed"] = json!(u64::MAX);
    body["query"]["treated"] = json!(0.1 + 0.2);
    let made = replica.post(EXPERIMENTS, &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = made.header("location").unwrap().to_owned();
    let read = replica.get(&path).await;
    assert_eq!((read.status, &read.text), (200, &made.text));
    let read = read.json();
    assert_eq!((&read["note"], &read["query"]["seed"]), (&body["note"], &json!(u64::MAX)));
    assert_eq!(read["query"]["treated"].to_string(), "0.30000000000000004");
    let replaced = replica.put(&path, &draft("second")).await.json();
    assert_eq!(
        (&replaced["name"], &replaced["revision"], &replaced["note"]),
        (&json!("second"), &json!(2), &Value::Null)
    );
    assert_eq!(replica.get(&path).await.json(), replaced);
    assert_eq!(replica.request("DELETE", &path).await.status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(replica.request(method, &path).await.code(), "no_such_experiment");
    }
    assert_eq!(replica.put(&path, &draft("third")).await.status, 404);
    assert_eq!(replica.get(&format!("{EXPERIMENTS}/7")).await.code(), "invalid_id");
    let mut wrong = draft("x");
    wrong["query"]["outcome"] = json!("z");
    assert_eq!(replica.post(EXPERIMENTS, &wrong).await.json()["error"]["field"], "query.outcome");
}

#[tokio::test]
async fn the_list_is_read_page_by_page_and_by_name() {
    let world = World::new().await;
    let replica = world.ready("one", &[]).await;
    for at in 0..7 {
        let name = if at % 3 == 0 { "third" } else { "other" };
        assert_eq!(replica.post(EXPERIMENTS, &draft(name)).await.status, 201);
    }
    let (mut ids, mut pages, mut next) = (BTreeSet::new(), 0, String::new());
    loop {
        let page = replica.get(&format!("{EXPERIMENTS}?limit=3{next}")).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.iter().all(|item| item.get("query").is_none()));
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={after}");
    }
    assert_eq!((ids.len(), pages), (7, 3));
    let named = replica.get(&format!("{EXPERIMENTS}?name=third")).await.json();
    assert_eq!(named["items"].as_array().unwrap().len(), 3);
    assert_eq!(replica.get(&format!("{EXPERIMENTS}?limit=0")).await.code(), "invalid_query");
    assert_eq!(replica.get(&format!("{EXPERIMENTS}?nam=x")).await.code(), "invalid_query");
}
