//! What is asked again: an API server that is busy, restarts or lost a race, but never one that says no.

use std::{future::Future, time::Duration};

use gauntlet_core::port::Trouble;
use tokio::time::{Instant, sleep, timeout_at};

use crate::api::told::told;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// One request; a client waits for ever by itself.
const REQUEST: Duration = Duration::from_secs(10);

/// Asks until an answer counts, within a budget. The error names what was asked and the last reason.
pub(crate) async fn retry<T, F>(
    until: Instant,
    what: impl ToString,
    ask: impl FnMut() -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = kube::Result<T>>,
{
    retry_while(until, what, passes, ask).await
}

/// `retry`, where the asker knows which errors pass.
pub(crate) async fn retry_while<T, F>(
    until: Instant,
    what: impl ToString,
    passes: impl Fn(&kube::Error) -> bool,
    mut ask: impl FnMut() -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = kube::Result<T>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let why = match timeout_at(until.min(Instant::now() + REQUEST), ask()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !passes(&error) => return Err(Trouble::failed(what, told(&error))),
            Ok(Err(error)) => told(&error),
            Err(_) => "the API server does not answer".to_owned(),
        };
        let next = Instant::now() + pause;
        if next >= until {
            return Err(Trouble::failed(what, format!("given up: {why}")));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether an error may pass by itself.
pub(crate) fn passes(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => {
            // A namespace of the same name that still goes; a webhook whose pods have just started.
            let going = status.code == 403 && status.message.contains("being terminated");
            matches!(status.code, 409 | 429) || status.code >= 500 || going
        }
        kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::ReadEvents(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use kube::core::Status;
    use tokio::time::Instant;

    use super::{passes, retry};

    fn answer(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Status::failure(message, "").with_code(code).boxed())
    }

    #[test]
    fn a_no_is_no_error_that_passes() {
        for (code, message, expected) in [
            (409, "conflict", true),
            (429, "slow down", true),
            (500, "failed calling webhook", true),
            (503, "starting", true),
            (403, "namespace x is being terminated", true),
            (403, "user cannot", false),
            (404, "not found", false),
            (422, "invalid", false),
        ] {
            assert_eq!(passes(&answer(code, message)), expected, "{code} {message}");
        }
    }

    #[tokio::test]
    async fn what_passes_is_asked_again_and_what_does_not_is_not() {
        let asked = Cell::new(0);
        let until = || Instant::now() + Duration::from_millis(150);
        let told = retry(until(), "it", || {
            asked.set(asked.get() + 1);
            async { if asked.get() < 2 { Err(answer(503, "starting")) } else { Ok(asked.get()) } }
        });
        assert_eq!(told.await, Ok(2));
        let told = retry(until(), "it", || async { Err::<(), _>(answer(422, "invalid")) }).await;
        assert_eq!(told.unwrap_err().to_string(), "it failed: invalid (422)");
        let told = retry(until(), "it", || async { Err::<(), _>(answer(503, "starting")) }).await;
        assert_eq!(told.unwrap_err().to_string(), "it failed: given up: starting (503)");
    }
}
