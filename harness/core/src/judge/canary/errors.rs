//! `errors`: the share of requests without a full answer of the expected status.

use super::{Metric, MetricKind, pair::Half, share::Share};
use crate::stats::split::Counted;

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "errors",
    make: |config| {
        let effect = config.errors?;
        let errors = |half: &Half| Counted { events: half.errors, of: half.sent };
        Some(Box::new(Share::new(KIND.name, errors, effect, config)) as Box<dyn Metric>)
    },
};
