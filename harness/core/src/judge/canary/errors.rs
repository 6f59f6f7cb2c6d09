//! `errors`: the share of requests without a full answer of the expected status.

use super::{MetricKind, pair::Half, share::Share};
use crate::stats::split::Counted;

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "errors",
    make: |config| {
        let count = |half: &Half| Counted { events: half.errors, of: half.sent };
        Share::metric(KIND.name, config.errors, count, config)
    },
};
