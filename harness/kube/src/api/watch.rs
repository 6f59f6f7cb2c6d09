//! Watches that go on for ever, and are soon there again after an outage of any length.

use std::{fmt::Debug, pin::pin, time::Duration};

use futures_util::StreamExt;
use gauntlet_core::port::Trouble;
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        wait::Condition,
        watcher::{self, watch_object},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::api::{retry::passes, told::told};

/// How long one watch lasts: a connection whose other end is gone without a word is noticed soon after.
const WATCH_FOR_SECS: u32 = 30;
/// How long anything else may say nothing to a client that only watches.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(40);

/// What is watched; more is said by its selectors.
pub(crate) fn wanted() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_FOR_SECS)
}

/// The pause before a watch is begun again. It does not grow, and there are too few who watch to be a burden.
pub(crate) struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

/// Waits until an object is as it is wanted, or gone if that is wanted; while the API server is away it waits too. The error
/// is what the server said last, or else `otherwise`.
pub(crate) async fn until<K>(
    end: Instant,
    api: Api<K>,
    name: &str,
    wanted: impl Condition<K>,
    what: &str,
    otherwise: impl Into<String>,
) -> Result<Option<K>, Trouble>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut last = None;
    let watching = async {
        let mut seen = pin!(watch_object(api, name).backoff(Steady));
        while let Some(seen) = seen.next().await {
            match seen {
                Ok(object) if wanted.matches_object(object.as_ref()) => return Ok(object),
                Ok(_) => last = None,
                Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error))
                    if !passes(&error) =>
                {
                    return Err(told(&error));
                }
                Err(error) => last = Some(told(&error)),
            }
        }
        Err("the watch ended".to_owned())
    };
    let ended = match timeout_at(end, watching).await {
        Ok(ended) => ended,
        Err(_) => Err(last.unwrap_or_else(|| otherwise.into())),
    };
    ended.map_err(|why| Trouble::failed(what, why))
}
