//! The leases of all runs, as a watch tells them: a lease that changes is a sign of life, one that is removed is an end.

use std::collections::BTreeMap;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};

use crate::{
    api::watch::{Steady, wanted},
    run::site::{RUN_LABEL, TOOLS},
};

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
        /// The lease's version.
        version: String,
    },
    /// The run's lease is gone: it has ended in order.
    End {
        /// The run.
        run: String,
    },
    /// The API server is away: whoever is silent now may only not be heard.
    Deaf {
        /// What the watch says.
        why: String,
    },
}

/// Every sign of every run, from now on. A run that was there before gives one sign of life. The watch never ends; while
/// the API server is away it says so every second.
pub fn signs(client: Client) -> impl Stream<Item = Sign> + Send {
    let leases: Api<Lease> = Api::namespaced(client, TOOLS);
    let mut seen = Seen::default();
    watcher(leases, wanted().labels(RUN_LABEL)).backoff(Steady).flat_map(move |event| {
        let signs = match event {
            Ok(event) => seen.take(event),
            Err(error) => vec![Sign::Deaf { why: error.to_string() }],
        };
        futures_util::stream::iter(signs)
    })
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
        if self.versions.insert(run.clone(), version.clone()).as_ref() == Some(&version) {
            return None;
        }
        let spec = lease.spec.as_ref()?;
        let lease_seconds = spec.lease_duration_seconds.and_then(|seconds| u32::try_from(seconds).ok())?;
        let holder = spec.holder_identity.clone().unwrap_or_default();
        Some(Sign::Life { run, lease_seconds, holder, version })
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

    fn life(run: &str, version: &str) -> Sign {
        let (run, version) = (run.into(), version.into());
        Sign::Life { run, lease_seconds: 30, holder: "me".into(), version }
    }

    #[test]
    fn only_a_change_is_a_sign_of_life() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(Event::Apply(lease("a", "1"))), [life("a", "1")]);
        assert_eq!(seen.take(Event::Apply(lease("a", "1"))), []);
        assert_eq!(seen.take(Event::Apply(lease("a", "2"))), [life("a", "2")]);
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
