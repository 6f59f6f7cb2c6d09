//! Asking an API server that may be away for a moment: it restarts, it is asked too much, a connection breaks.

use std::{future::Future, time::Duration};

use gauntlet_core::port::Trouble;
use tokio::time::{Instant, sleep, timeout_at};

use crate::told::told;

/// How long one question is asked again while the server is away: less than a lease, more than a restart takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Asks until the server answers. What it refuses is not asked again.
pub(crate) async fn ask<T, F>(what: impl ToString, mut once: impl FnMut() -> F) -> Result<T, Trouble>
where
    F: Future<Output = kube::Result<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    let (mut pause, mut last) = (FIRST_PAUSE, "no answer".to_owned());
    loop {
        match timeout_at(deadline, once()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !is_passing(&error) => return Err(Trouble::failed(what, told(&error))),
            Ok(Err(error)) => last = told(&error),
            Err(_) => {}
        }
        if Instant::now() + pause >= deadline {
            return Err(Trouble::failed(what, format!("for {PATIENCE:?}: {last}")));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Like `ask`; what is not there is none.
pub(crate) async fn ask_opt<T, F>(what: impl ToString, once: impl FnMut() -> F) -> Result<Option<T>, Trouble>
where
    F: Future<Output = kube::Result<Option<T>>>,
{
    ask(what, once).await
}

/// Asks for something to be removed; what is gone already has succeeded.
pub(crate) async fn ask_gone<T, F>(what: impl ToString, mut once: impl FnMut() -> F) -> Result<(), Trouble>
where
    F: Future<Output = kube::Result<T>>,
{
    let gone = || {
        let asked = once();
        async {
            match asked.await {
                Err(error) if is_absent(&error) => Ok(()),
                other => other.map(|_| ()),
            }
        }
    };
    ask(what, gone).await
}

/// Whether the server said that there is no such object.
pub(crate) fn is_absent(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the server said that another one was faster.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether asking again may help: too many requests, a server that starts or stops, a connection that broke.
fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kube::core::Status;

    use super::{ask, ask_gone};

    fn said(code: u16) -> kube::Error {
        kube::Error::Api(Status::failure("no", "No").with_code(code).boxed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_is_asked_again_and_a_refusal_is_final() {
        let asked = Cell::new(0);
        let answer = ask("x", || {
            asked.set(asked.get() + 1);
            let answer = if asked.get() < 4 { Err(said(503)) } else { Ok(7) };
            async { answer }
        });
        assert_eq!(answer.await.unwrap(), 7);
        assert_eq!(asked.get(), 4);
        let refused = ask("x", || async { Err::<(), _>(said(403)) }).await.unwrap_err();
        assert_eq!(refused.to_string(), "x failed: no (403)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_away_is_told_with_its_last_words() {
        let away = ask("x", || async { Err::<(), _>(said(429)) }).await.unwrap_err();
        assert_eq!(away.to_string(), "x failed: for 20s: no (429)");
    }

    #[tokio::test]
    async fn what_is_gone_already_is_gone() {
        ask_gone("x", || async { Err::<(), _>(said(404)) }).await.unwrap();
    }
}
