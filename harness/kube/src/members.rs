//! The sidecar of an ingress: keeps HAProxy's server slots equal to the endpoints of a Service, and so for each set beside
//! it; and the draws by which HAProxy splits the traffic equal to what the sets' Services say.
//!
//! A level, not an edge: what HAProxy has is read from HAProxy itself each time, compared with what Kubernetes says,
//! and only the difference is sent. So nothing is lost when either of them restarts.

mod draws;
mod endpoints;
mod haproxy;
#[cfg(test)]
mod real;
mod slots;

use std::{path::PathBuf, time::Duration};

use futures_util::{Stream, StreamExt};
use gauntlet_core::port::Trouble;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{MissedTickBehavior, interval};

use draws::{Draws, command, entries};
pub(crate) use draws::{FROM, UPTO};
use endpoints::{Endpoints, SERVICE};
use haproxy::{HAProxy, Silent};

use crate::api::{
    client::in_cluster_to_watch,
    watch::{Steady, wanted},
};

/// The backend whose servers are checked; that of a set has the set's name behind a dash.
const CHECKED: &str = "retried";
/// The backend whose servers follow the checked ones of the same name.
const TRACKING: &str = "once";
/// How soon a HAProxy that restarted, and forgot its members, is told again.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the sidecar follows, and where HAProxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The Service, in the sidecar's own namespace.
    pub service: String,
    /// The name of the Service's port.
    pub port: String,
    /// HAProxy's stats socket.
    pub socket: PathBuf,
    /// The sets that HAProxy has backends for, by the names of their Services. They need not be there.
    pub sets: Vec<String>,
    /// HAProxy's map of their draws, as its configuration names it.
    pub map: Option<String>,
}

/// Why the sidecar cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// An argument is missing or unknown.
    #[error(
        "usage: __members --service NAME --port NAME --socket PATH [--map PATH --set NAME...] (what is wrong: {0})"
    )]
    Usage(String),
    /// It does not run in a pod with a service account, or no client can be made of it.
    #[error("no client of the API server")]
    Client(#[from] Trouble),
    /// The watch is over, which it never is.
    #[error("the watch of the endpoints ended")]
    Ended,
}

impl Options {
    /// Reads `--service NAME --port NAME --socket PATH --map PATH --set NAME --set NAME`, in any order.
    pub fn parse<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, MembersError> {
        let (mut service, mut port, mut socket, mut map, mut sets) = (None, None, None, None, vec![]);
        let mut args = args.into_iter();
        while let Some(flag) = args.next() {
            let value = args.next().map(str::to_owned);
            let value = value.ok_or_else(|| MembersError::Usage(format!("{flag} has no value")));
            match flag {
                "--service" => service = Some(value?),
                "--port" => port = Some(value?),
                "--socket" => socket = Some(value?),
                "--map" => map = Some(value?),
                "--set" => sets.push(value?),
                other => return Err(MembersError::Usage(format!("{other} is unknown"))),
            }
        }
        if map.is_none() && !sets.is_empty() {
            return Err(MembersError::Usage("--set needs a --map".to_owned()));
        }
        let given = |value: Option<String>, flag: &str| {
            value.ok_or_else(|| MembersError::Usage(format!("{flag} is missing")))
        };
        Ok(Self {
            service: given(service, "--service")?,
            port: given(port, "--port")?,
            socket: given(socket, "--socket")?.into(),
            sets,
            map,
        })
    }

    /// The Services that are followed, each with what its backends have behind their names.
    fn followed(&self) -> impl Iterator<Item = (&str, String)> {
        let sets = self.sets.iter().map(|set| (set.as_str(), format!("-{set}")));
        std::iter::once((self.service.as_str(), String::new())).chain(sets)
    }
}

/// Follows the endpoints for ever.
pub async fn follow(options: &Options) -> Result<(), MembersError> {
    let slices: Api<EndpointSlice> = Api::default_namespaced(in_cluster_to_watch()?);
    let services: Vec<&str> = options.followed().map(|(service, _)| service).collect();
    let of_services = format!("{SERVICE} in ({})", services.join(", "));
    let events = watcher(slices, wanted().labels(&of_services)).backoff(Steady);
    keep(events, options).await
}

async fn keep(
    events: impl Stream<Item = watcher::Result<watcher::Event<EndpointSlice>>>,
    options: &Options,
) -> Result<(), MembersError> {
    tokio::pin!(events);
    let mut endpoints = Endpoints::new(&options.port);
    let mut driver = Driver { options, haproxy: HAProxy::new(&options.socket), silent: false };
    let mut deaf = false;
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    deaf = false;
                    endpoints.hear(event);
                }
                // What was known stays in force; the watch is begun again by itself. Said once, not every second.
                Some(Err(error)) if !deaf => {
                    deaf = true;
                    tracing::warn!("the watch of the endpoints: {error}");
                }
                Some(Err(_)) => {}
                None => return Err(MembersError::Ended),
            },
            _ = look.tick() => {}
        }
        driver.apply(&endpoints).await;
    }
}

/// Tells HAProxy, and says once when it does not answer.
struct Driver<'a> {
    options: &'a Options,
    haproxy: HAProxy,
    silent: bool,
}

impl Driver<'_> {
    async fn apply(&mut self, endpoints: &Endpoints) {
        match self.try_apply(endpoints).await {
            Ok(()) if self.silent => {
                self.silent = false;
                tracing::info!("HAProxy answers");
            }
            Ok(()) => {}
            Err(silent) if !self.silent => {
                self.silent = true;
                tracing::warn!("HAProxy does not answer: {silent}");
            }
            Err(_) => {}
        }
    }

    /// The component's own members come first, and every member before a share of the traffic.
    async fn try_apply(&self, endpoints: &Endpoints) -> Result<(), Silent> {
        for (service, behind) in self.options.followed() {
            self.members(endpoints, service, &behind).await?;
        }
        self.draws(endpoints).await
    }

    // Before the first whole list nothing is known, and nothing is touched.
    async fn members(&self, endpoints: &Endpoints, service: &str, behind: &str) -> Result<(), Silent> {
        let Some(members) = endpoints.members(service) else { return Ok(()) };
        let (checked, tracking) = (format!("{CHECKED}{behind}"), format!("{TRACKING}{behind}"));
        let slots = self.haproxy.slots(&checked, &tracking).await?;
        let (changes, left_out) = slots::changes(&slots, &members);
        for address in left_out {
            tracing::warn!(
                "no slot is free for {address} of {service}: HAProxy's configuration has {}",
                slots.len()
            );
        }
        for change in changes {
            let answer = self.haproxy.tell(&change, &checked, &tracking).await?;
            tracing::info!("{service}: {change}");
            tracing::debug!("HAProxy: {answer}");
        }
        Ok(())
    }

    async fn draws(&self, endpoints: &Endpoints) -> Result<(), Silent> {
        let Some(map) = &self.options.map else { return Ok(()) };
        let of = |set: &String| endpoints.draws(set).map(|draws| entries(set, draws));
        let wanted: Option<Vec<_>> = self.options.sets.iter().map(of).collect();
        let Some(wanted) = wanted else { return Ok(()) };
        let wanted: Draws = wanted.into_iter().flatten().collect();
        let present = self.haproxy.draws(map).await?;
        if let Some(line) = command(map, &present, &wanted) {
            self.haproxy.say(&line).await?;
            tracing::info!("{line}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_come_in_any_order_and_all_are_needed() {
        let read = Options::parse(["--socket", "/s", "--service", "web", "--port", "http"]).unwrap();
        let bare = Options {
            service: "web".into(),
            port: "http".into(),
            socket: "/s".into(),
            sets: vec![],
            map: None,
        };
        assert_eq!(read, bare);
        let flags = ["--set", "a", "--map", "/m", "--set", "b"];
        let read =
            Options::parse(flags.into_iter().chain(["--socket", "/s", "--service", "web", "--port", "http"]));
        assert_eq!(
            read.unwrap(),
            Options { sets: vec!["a".into(), "b".into()], map: Some("/m".into()), ..bare }
        );
        let wrong = |args: &[&str]| Options::parse(args.iter().copied()).unwrap_err().to_string();
        assert!(wrong(&["--service", "web", "--port", "http"]).contains("--socket is missing"));
        assert!(wrong(&["--service"]).contains("--service has no value"));
        assert!(wrong(&["--namespace", "x"]).contains("--namespace is unknown"));
        assert!(wrong(&["--set", "x"]).contains("--set needs a --map"));
    }
}
