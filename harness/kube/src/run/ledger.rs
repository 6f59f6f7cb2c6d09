//! The ledger of a run on a cluster: a ConfigMap beside the run's lease, so that the janitor can read it. Every change
//! is made on the version that was read, so that nothing is stored behind a fence.

use std::collections::BTreeMap;

use gauntlet_core::{
    port::{Later, Ledger, Trouble},
    receipt::{RECEIPT_FORMAT, Receipt},
    step::StepId,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::{
    api::patience::{ask, ask_gone, is_conflict},
    run::site::{RUN_LABEL, Site, TOOLS},
};

/// The key of the run's record.
const RECORD: &str = "run.json";
/// The key that says that another process has taken over.
const FENCED: &str = "fenced";
/// Of two that change a ledger at once one is second, and tries again.
const ROUNDS: usize = 10;

/// A ledger in the namespace of the tools.
#[derive(Clone)]
pub struct KubeLedger {
    maps: Api<ConfigMap>,
    run: String,
}

type Data = BTreeMap<String, String>;

impl KubeLedger {
    /// The ledger of a run; nothing is asked of the API server yet.
    pub fn new(client: Client, run: &str) -> Self {
        Self { maps: Api::namespaced(client, TOOLS), run: run.to_owned() }
    }

    /// Makes it, with what is needed to heal the run.
    pub async fn create(&self, record: &str) -> Result<(), Trouble> {
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(Site::object(&self.run)),
                labels: Some(BTreeMap::from([(RUN_LABEL.to_owned(), self.run.clone())])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(RECORD.to_owned(), record.to_owned())])),
            ..ConfigMap::default()
        };
        let params = PostParams::default();
        ask(self.what("make"), || self.maps.create(&params, &map)).await.map(|_| ())
    }

    /// The record of the run; none: there is no such ledger.
    pub async fn record(&self) -> Result<Option<String>, Trouble> {
        Ok(self.read().await?.and_then(|map| map.data?.remove(RECORD)))
    }

    /// Removes it; one that is gone already has succeeded.
    pub async fn remove(&self) -> Result<(), Trouble> {
        let name = Site::object(&self.run);
        let params = DeleteParams::default();
        ask_gone(self.what("remove"), || self.maps.delete(&name, &params)).await
    }

    fn what(&self, doing: &str) -> String {
        format!("{doing} the ledger {TOOLS}/{}", Site::object(&self.run))
    }

    async fn read(&self) -> Result<Option<ConfigMap>, Trouble> {
        let name = Site::object(&self.run);
        ask(self.what("read"), || self.maps.get_opt(&name)).await
    }

    /// Answers whether there was a ledger to change.
    async fn change(&self, change: impl Fn(&mut Data) -> Result<(), Trouble>) -> Result<bool, Trouble> {
        let name = Site::object(&self.run);
        for _ in 0..ROUNDS {
            let Some(mut map) = self.read().await? else { return Ok(false) };
            change(map.data.get_or_insert_default())?;
            match self.maps.replace(&name, &PostParams::default(), &map).await {
                Ok(_) => return Ok(true),
                Err(error) if is_conflict(&error) => {}
                // The server may have stored it: the next round reads what it has.
                Err(error) => tracing::debug!("{}: {error}", self.what("change")),
            }
        }
        Err(Trouble::failed(self.what("change"), format!("others were faster {ROUNDS} times, or it is away")))
    }

    async fn store(&self, receipt: &Receipt) -> Result<(), Trouble> {
        let text = serde_json::to_string(receipt).map_err(|e| Trouble::failed(self.what("change"), e))?;
        let there = self.change(|data| put(data, &text)).await?;
        // Who removed it has healed the run.
        if there { Ok(()) } else { Err(Trouble::Fenced) }
    }
}

/// `open-00001.json`: receipts in the order in which they were stored.
fn numbered(data: &Data) -> impl Iterator<Item = (u32, &String)> {
    data.iter().filter_map(|(key, text)| {
        let number = key.strip_prefix("open-")?.strip_suffix(".json")?;
        Some((number.parse().ok()?, text))
    })
}

// A receipt that is there already was stored by a round whose answer was lost.
fn put(data: &mut Data, text: &str) -> Result<(), Trouble> {
    if data.contains_key(FENCED) {
        return Err(Trouble::Fenced);
    }
    if numbered(data).any(|(_, stored)| stored == text) {
        return Ok(());
    }
    let next = numbered(data).map(|(number, _)| number + 1).max().unwrap_or(1);
    data.insert(format!("open-{next:05}.json"), text.to_owned());
    Ok(())
}

fn read(text: &str) -> Result<Receipt, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format != u64::from(RECEIPT_FORMAT) => {
            Err(format!("a receipt has format {format}; this version reads format {RECEIPT_FORMAT}"))
        }
        _ => serde_json::from_value(value).map_err(|error| error.to_string()),
    }
}

impl Ledger for KubeLedger {
    fn put<'a>(&'a self, receipt: &'a Receipt) -> Later<'a, ()> {
        Box::pin(self.store(receipt))
    }

    fn clear<'a>(&'a self, step: &'a StepId) -> Later<'a, ()> {
        Box::pin(async move {
            let cleared = self.change(|data| {
                data.retain(|key, text| {
                    !key.starts_with("open-") || read(text).map_or(true, |r| r.step != *step)
                });
                Ok(())
            });
            cleared.await.map(|_| ())
        })
    }

    fn open(&self) -> Later<'_, Vec<Receipt>> {
        Box::pin(async {
            let data = self.read().await?.and_then(|map| map.data).unwrap_or_default();
            let mut receipts: Vec<_> = numbered(&data).collect();
            receipts.sort_unstable();
            let read =
                |(_, text): (u32, &String)| read(text).map_err(|e| Trouble::failed(self.what("read"), e));
            receipts.into_iter().map(read).collect()
        })
    }

    fn fence(&self) -> Later<'_, ()> {
        Box::pin(async {
            let fenced = self.change(|data| {
                data.insert(FENCED.to_owned(), "yes".to_owned());
                Ok(())
            });
            fenced.await.map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::port::Trouble;

    use super::{Data, FENCED, numbered, put};

    #[test]
    fn receipts_are_numbered_past_what_was_cleared_and_stored_once() {
        let mut data = Data::new();
        for text in ["a", "b", "b", "c"] {
            put(&mut data, text).unwrap();
        }
        data.remove("open-00001.json");
        put(&mut data, "d").unwrap();
        let stored: Vec<_> = numbered(&data).map(|(number, text)| (number, text.as_str())).collect();
        assert_eq!(stored, [(2, "b"), (3, "c"), (4, "d")]);
    }

    #[test]
    fn nothing_is_put_behind_a_fence() {
        let mut data = Data::from([(FENCED.to_owned(), "yes".to_owned())]);
        assert_eq!(put(&mut data, "a"), Err(Trouble::Fenced));
    }
}
