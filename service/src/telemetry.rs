//! What the service says of itself: JSON logs on standard output, metrics on their own port.

mod metrics;
mod process;

use tracing_subscriber::EnvFilter;

pub use metrics::{Metrics, RequestLabels, Result as LookupResult};

/// Sends events as one JSON object a line to standard output, and panics with them.
pub fn log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // A second call, in a test, keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, panic = panic.payload_as_str().unwrap_or("?"), "a task panicked");
    }));
}
