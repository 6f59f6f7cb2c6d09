//! The sidecar of an ingress: keeps HAProxy's server slots equal to the endpoints of a Service.
//!
//! A level, not an edge: what HAProxy has is read from HAProxy itself each time, compared with what Kubernetes says,
//! and only the difference is sent. So nothing is lost when either of them restarts.

mod endpoints;
mod haproxy;
#[cfg(test)]
mod real;
mod slots;

use std::{path::PathBuf, time::Duration};

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Config,
    runtime::{WatchStreamExt, utils::Backoff, watcher},
};
use tokio::time::{MissedTickBehavior, interval};

use endpoints::{Endpoints, Members};
use haproxy::{HAProxy, Silent};

/// The backend whose servers are checked.
const CHECKED: &str = "retried";
/// The backend whose servers follow the checked ones of the same name.
const TRACKING: &str = "once";
/// How soon a HAProxy that restarted, and forgot its members, is told again.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long one watch lasts: a connection whose other end is gone without a word is noticed soon after.
const WATCH_FOR_SECS: u32 = 30;
/// How long any other answer of the API server may take.
const READ_WITHIN: Duration = Duration::from_secs(40);

/// What the sidecar follows, and where HAProxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The Service, in the sidecar's own namespace.
    pub service: String,
    /// The name of the Service's port.
    pub port: String,
    /// HAProxy's stats socket.
    pub socket: PathBuf,
}

/// Why the sidecar cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// An argument is missing or unknown.
    #[error("usage: __members --service NAME --port NAME --socket PATH (what is wrong: {0})")]
    Usage(String),
    /// It does not run in a pod with a service account.
    #[error("no service account of a pod")]
    Account(#[from] kube::config::InClusterError),
    /// No client can be made.
    #[error("no client of the API server")]
    Client(#[from] kube::Error),
    /// The watch is over, which it never is.
    #[error("the watch of the endpoints ended")]
    Ended,
}

impl Options {
    /// Reads `--service NAME --port NAME --socket PATH`, in any order.
    pub fn parse<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, MembersError> {
        let (mut service, mut port, mut socket) = (None, None, None);
        let mut args = args.into_iter();
        while let Some(flag) = args.next() {
            let place = match flag {
                "--service" => &mut service,
                "--port" => &mut port,
                "--socket" => &mut socket,
                other => return Err(MembersError::Usage(format!("{other} is unknown"))),
            };
            let value = args.next().ok_or_else(|| MembersError::Usage(format!("{flag} has no value")))?;
            *place = Some(value.to_owned());
        }
        let given = |value: Option<String>, flag: &str| {
            value.ok_or_else(|| MembersError::Usage(format!("{flag} is missing")))
        };
        Ok(Self {
            service: given(service, "--service")?,
            port: given(port, "--port")?,
            socket: given(socket, "--socket")?.into(),
        })
    }
}

/// Follows the endpoints for ever.
pub async fn follow(options: &Options) -> Result<(), MembersError> {
    // Another library may have installed one already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::incluster()?;
    config.read_timeout = Some(READ_WITHIN);
    let slices: Api<EndpointSlice> = Api::default_namespaced(Client::try_from(config)?);
    let of_service = format!("kubernetes.io/service-name={}", options.service);
    let wanted = watcher::Config::default().labels(&of_service).timeout(WATCH_FOR_SECS);
    let events = watcher(slices, wanted).backoff(Steady);
    keep(events, Endpoints::new(&options.port), HAProxy::new(&options.socket)).await
}

/// The pause before a watch is begun again. It does not grow: members are followed soon after an outage of any length,
/// and there are too few ingresses to be a burden.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

async fn keep(
    events: impl Stream<Item = watcher::Result<watcher::Event<EndpointSlice>>>,
    mut endpoints: Endpoints,
    haproxy: HAProxy,
) -> Result<(), MembersError> {
    tokio::pin!(events);
    let mut driver = Driver { haproxy, silent: false };
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
        // Before the first whole list nothing is known, and nothing is touched.
        if let Some(members) = endpoints.members() {
            driver.apply(&members).await;
        }
    }
}

/// Tells HAProxy, and says once when it does not answer.
struct Driver {
    haproxy: HAProxy,
    silent: bool,
}

impl Driver {
    async fn apply(&mut self, members: &Members) {
        match self.try_apply(members).await {
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

    async fn try_apply(&self, members: &Members) -> Result<(), Silent> {
        let slots = self.haproxy.slots(CHECKED, TRACKING).await?;
        let (changes, left_out) = slots::changes(&slots, members);
        for address in left_out {
            tracing::warn!("no slot is free for {address}: HAProxy's configuration has {}", slots.len());
        }
        for change in changes {
            let answer = self.haproxy.tell(&change, CHECKED, TRACKING).await?;
            tracing::info!("{change}");
            tracing::debug!("HAProxy: {answer}");
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
        assert_eq!(read, Options { service: "web".into(), port: "http".into(), socket: "/s".into() });
        let wrong = |args: &[&str]| Options::parse(args.iter().copied()).unwrap_err().to_string();
        assert!(wrong(&["--service", "web", "--port", "http"]).contains("--socket is missing"));
        assert!(wrong(&["--service"]).contains("--service has no value"));
        assert!(wrong(&["--namespace", "x"]).contains("--namespace is unknown"));
    }
}
