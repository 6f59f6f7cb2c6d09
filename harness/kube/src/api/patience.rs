//! How long one question of a run is asked again while the API server is away.

use std::{future::Future, time::Duration};

use gauntlet_core::port::Trouble;
use tokio::time::Instant;

use crate::api::retry::retry;

/// Less than a lease, more than a restart takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until the server answers. What it refuses is not asked again.
pub(crate) async fn ask<T, F>(what: impl ToString, once: impl FnMut() -> F) -> Result<T, Trouble>
where
    F: Future<Output = kube::Result<T>>,
{
    retry(Instant::now() + PATIENCE, what, once).await
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

/// Whether the server said that the account may not do that.
pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Whether the server said that another one was faster.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::ask_gone;

    #[tokio::test]
    async fn what_is_gone_already_is_gone() {
        let gone =
            || async { Err::<(), _>(kube::Error::Api(Status::failure("no", "No").with_code(404).boxed())) };
        ask_gone("x", gone).await.unwrap();
    }
}
