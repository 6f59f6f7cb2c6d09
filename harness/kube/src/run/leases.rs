//! The leases of all runs, as a watch tells them: a lease that changes is a sign of life, one that is removed is an end.

use std::{collections::BTreeMap, future};

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};

use crate::run::site::{RUN_LABEL, TOOLS};

/// What a watch says of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// The run's lease was made or renewed.
    Life {
        /// The run.
        run: String,
        /// For how long it may be silent, in seconds.
        lease_seconds: u32,
        /// Who holds it.
        holder: String,
    },
    /// The run's lease is gone: it has ended in order.
    End {
        /// The run.
        run: String,
    },
}

/// Every sign of every run, from now on. A run that was there before gives one sign of life. The watch never ends.
pub fn signs(client: Client) -> impl Stream<Item = Sign> + Send {
    let leases: Api<Lease> = Api::namespaced(client, TOOLS);
    let runs = watcher::Config::default().labels(RUN_LABEL);
    let mut seen = Seen::default();
    watcher(leases, runs)
        .default_backoff()
        .filter_map(|event| {
            if let Err(error) = &event {
                tracing::warn!("the watch of the leases: {error}");
            }
            future::ready(event.ok())
        })
        .flat_map(move |event| futures_util::stream::iter(seen.take(event)))
}

/// Versions by run: what a new list shows again is no sign of life.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, String>,
    listed: Option<BTreeMap<String, String>>,
}

impl Seen {
    fn take(&mut self, event: watcher::Event<Lease>) -> Vec<Sign> {
        match event {
            watcher::Event::Init => {
                self.listed = Some(BTreeMap::new());
                vec![]
            }
            watcher::Event::InitApply(lease) => {
                if let (Some(listed), Some((run, version))) = (&mut self.listed, named(&lease)) {
                    listed.insert(run, version);
                }
                self.life(&lease).into_iter().collect()
            }
            watcher::Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone = self
                    .versions
                    .keys()
                    .filter(|run| !listed.contains_key(*run))
                    .cloned()
                    .collect::<Vec<_>>();
                gone.into_iter().filter_map(|run| self.end(run)).collect()
            }
            watcher::Event::Apply(lease) => self.life(&lease).into_iter().collect(),
            watcher::Event::Delete(lease) => {
                named(&lease).and_then(|(run, _)| self.end(run)).into_iter().collect()
            }
        }
    }

    fn life(&mut self, lease: &Lease) -> Option<Sign> {
        let (run, version) = named(lease)?;
        if self.versions.insert(run.clone(), version.clone()) == Some(version) {
            return None;
        }
        let spec = lease.spec.as_ref()?;
        let lease_seconds = spec.lease_duration_seconds.and_then(|seconds| u32::try_from(seconds).ok())?;
        Some(Sign::Life { run, lease_seconds, holder: spec.holder_identity.clone().unwrap_or_default() })
    }

    fn end(&mut self, run: String) -> Option<Sign> {
        self.versions.remove(&run).map(|_| Sign::End { run })
    }
}

fn named(lease: &Lease) -> Option<(String, String)> {
    let run = lease.metadata.labels.as_ref()?.get(RUN_LABEL)?.clone();
    Some((run, lease.metadata.resource_version.clone().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::{Lease, Seen, Sign};

    fn lease(run: &str, version: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": { "name": run, "resourceVersion": version, "labels": { "gauntlet.dev/run": run } },
            "spec": { "leaseDurationSeconds": 30, "holderIdentity": "me" },
        }))
        .unwrap()
    }

    fn life(run: &str) -> Sign {
        Sign::Life { run: run.into(), lease_seconds: 30, holder: "me".into() }
    }

    #[test]
    fn only_a_change_is_a_sign_of_life() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(Event::Apply(lease("a", "1"))), [life("a")]);
        assert_eq!(seen.take(Event::Apply(lease("a", "1"))), []);
        assert_eq!(seen.take(Event::Apply(lease("a", "2"))), [life("a")]);
    }

    #[test]
    fn a_new_list_gives_no_life_to_what_it_shows_again_and_ends_what_it_lacks() {
        let mut seen = Seen::default();
        seen.take(Event::Apply(lease("a", "1")));
        seen.take(Event::Apply(lease("b", "1")));
        assert_eq!(seen.take(Event::Init), []);
        assert_eq!(seen.take(Event::InitApply(lease("a", "1"))), []);
        assert_eq!(seen.take(Event::InitDone), [Sign::End { run: "b".into() }]);
    }

    #[test]
    fn a_removed_lease_is_an_end_once() {
        let mut seen = Seen::default();
        seen.take(Event::Apply(lease("a", "1")));
        assert_eq!(seen.take(Event::Delete(lease("a", "1"))), [Sign::End { run: "a".into() }]);
        assert_eq!(seen.take(Event::Delete(lease("a", "1"))), []);
    }
}
