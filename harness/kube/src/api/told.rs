//! Errors as a person reads them, and requests that have a budget.

use std::{error::Error, future::Future, time::Duration};

use gauntlet_core::port::Trouble;

/// An error and its causes; a cause that the text tells already is not told twice.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    if let Some(kube::Error::Api(status)) = error.downcast_ref() {
        // kube would show the whole object, twice.
        let said = if status.message.is_empty() { &status.reason } else { &status.message };
        return format!("{said} ({})", status.code);
    }
    let mut text = error.to_string();
    if let Some(cause) = error.source() {
        let more = told(cause);
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
    }
    text
}

/// Asks the API server within a budget: a client waits for ever by itself.
pub(crate) async fn within<T>(
    budget: Duration,
    what: impl ToString,
    ask: impl Future<Output = kube::Result<T>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(budget, ask).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Trouble::failed(what, told(&error))),
        Err(_) => Err(Trouble::failed(what, format!("no answer within {budget:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use kube::core::Status;

    use super::{told, within};

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_cause_is_told_once() {
        assert_eq!(told(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }

    #[test]
    fn an_answer_of_the_api_server_is_its_message() {
        let status = Status::failure("pods \"x\" not found", "NotFound").with_code(404);
        assert_eq!(told(&kube::Error::Api(status.boxed())), "pods \"x\" not found (404)");
        let status = Status::failure("", "Gone").with_code(410);
        assert_eq!(told(&kube::Error::Api(status.boxed())), "Gone (410)");
    }

    #[tokio::test]
    async fn silence_is_told() {
        let asked = within(Duration::from_millis(1), "asking", pending::<kube::Result<()>>()).await;
        assert_eq!(asked.unwrap_err().to_string(), "asking failed: no answer within 1ms");
    }
}
