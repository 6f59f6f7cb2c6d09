//! Why a run ends early: said once, heard by every track.

use std::time::Duration;

use tokio::sync::watch;

/// Why a run ends before its plan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// Ctrl-C, SIGTERM or SIGHUP.
    Interrupted,
    /// The harness cannot go on: journal, watchdog, or a step that was not entered.
    Broken,
}

/// The one place where an early end is said. The first reason stays.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<Option<Early>>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Stop {
    /// Ends the run early.
    pub fn say(&self, why: Early) {
        self.0.send_if_modified(|said| said.is_none() && said.replace(why).is_none());
    }

    /// Whether and why it ends early.
    pub fn said(&self) -> Option<Early> {
        *self.0.borrow()
    }

    /// Comes back when an early end is said.
    pub async fn heard(&self) {
        let mut heard = self.0.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = heard.wait_for(Option::is_some).await;
    }

    /// Waits; answers false when an early end was said meanwhile.
    pub async fn sleep_until(&self, until: tokio::time::Instant) -> bool {
        tokio::select! {
            biased;
            () = self.heard() => false,
            () = tokio::time::sleep_until(until) => true,
        }
    }

    /// Turns Ctrl-C, SIGTERM and SIGHUP into an early end. A second one changes nothing: healing goes on.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let (mut signals, stop) = (signal(kind)?, self.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if stop.said().is_some() {
                        tracing::warn!("still healing; this takes up to {:?}", Duration::from_secs(15));
                    }
                    stop.say(Early::Interrupted);
                }
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Early, Stop};

    #[tokio::test]
    async fn the_first_reason_stays() {
        let stop = Stop::default();
        stop.say(Early::Interrupted);
        stop.say(Early::Broken);
        assert_eq!(stop.said(), Some(Early::Interrupted));
    }

    #[tokio::test]
    async fn a_wait_ends_when_an_early_end_is_said() {
        let stop = Stop::default();
        let waits = stop.clone();
        let wait =
            tokio::spawn(async move { waits.sleep_until(Instant::now() + Duration::from_secs(60)).await });
        stop.say(Early::Broken);
        assert!(!wait.await.unwrap());
        assert!(!stop.sleep_until(Instant::now()).await);
    }
}
