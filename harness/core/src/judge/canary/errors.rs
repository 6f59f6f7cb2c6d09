//! `errors`: the share of requests without a full answer of the expected status.

use super::{Metric, MetricKind, share::Share};

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "errors",
    make: |config| {
        let effect = config.errors?;
        Some(Box::new(Share::new(KIND.name, |half| half.errors, effect, config)) as Box<dyn Metric>)
    },
};
