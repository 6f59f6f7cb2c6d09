//! The audit: after the last arrival, what stands under every key that was written, acknowledged or not.

use std::{sync::Arc, time::Duration};

use gauntlet_core::evidence::{Class, Operation, Request};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

use crate::{
    bindings::Bindings,
    client::{Client, row},
    compile::{Audit, assemble, body_text},
    exchange::{Answer, Ask, exchange},
};

/// What rows of an audit carry as their step: an audit belongs to none.
pub const AUDIT_STEP: u16 = u16::MAX;

const AT_ONCE: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(5);
const BEFORE_RETRY: Duration = Duration::from_secs(1);

/// Asks for every key; asks once more, a second later, for those that gave no right answer. One row a key.
pub(crate) async fn audit(client: Arc<Client>, keys: Vec<String>) {
    let failed = round(&client, keys).await;
    if !failed.is_empty() {
        sleep(BEFORE_RETRY).await;
        let keys = failed.into_iter().map(|row| row.key).collect();
        round(&client, keys).await.into_iter().for_each(|row| client.rows.push(row));
    }
    client.rows.settle().await;
}

/// Asks for these keys, some at once. Right answers become rows; the others come back.
async fn round(client: &Arc<Client>, keys: Vec<String>) -> Vec<Request> {
    let (places, mut asked, mut failed) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new(), Vec::new());
    let mut take = |client: &Client, row: Request| match row.class {
        Class::Ok => client.rows.push(row),
        _ => failed.push(row),
    };
    for key in keys {
        // Never closed, so this cannot fail.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let task = Arc::clone(client);
        asked.spawn(async move {
            let row = ask(&task, key).await;
            drop(place);
            row
        });
        while let Some(Ok(row)) = asked.try_join_next() {
            take(client, row);
        }
    }
    while let Some(Ok(row)) = asked.join_next().await {
        take(client, row);
    }
    failed
}

async fn ask(client: &Client, key: String) -> Request {
    let (run, plan) = (&client.run, &client.run.plan);
    let bindings = Bindings::for_key(key.clone());
    let sent_us = run.now_us();
    let row = Request { step: AUDIT_STEP, operation: Operation::Audit, key, ..row(sent_us, sent_us) };
    let Some(audit) = &plan.audit else { return row };
    let path = audit.path(&bindings, &plan.data);
    let request = path.and_then(|path| assemble(http::Method::GET, path, Vec::new(), plan));
    let Ok(request) = request else { return row };
    let ask = Ask { timeout: TIMEOUT, keep: &|status| status == 200, arm_header: plan.arm_header.as_ref() };
    let mut answer = Answer::default();
    let failure = exchange(&client.connections, request, &ask, &mut answer).await.err();
    let done_us = run.now_us();
    let (class, value) = match failure {
        Some(class) => (class, String::new()),
        None => judge(audit, &answer),
    };
    answer.tell(Request { done_us, class, value, ..row })
}

/// The values that an answer holds, one a line. Nothing found is a right answer.
fn judge(audit: &Audit, answer: &Answer) -> (Class, String) {
    if answer.status != 200 {
        return (Class::WrongStatus, String::new());
    }
    match found(audit, &answer.body) {
        Some(values) => (Class::Ok, values.join("\n")),
        None => (Class::WrongBody, String::new()),
    }
}

fn found(audit: &Audit, body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let items = body.pointer(&audit.list)?.as_array()?;
    items.iter().map(|item| body_text(item.pointer(&audit.value)?)).collect()
}
