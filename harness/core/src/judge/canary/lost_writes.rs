//! `lost-writes`: the share of reads that miss a record, by who acknowledged its write. Any arm may answer the read: what is
//! gone is the doing of whoever said that it is kept.

use super::{MetricKind, pair::Half, share::Share};
use crate::stats::split::Counted;

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "lost-writes",
    make: |config| {
        let count = |half: &Half| Counted { events: half.lost, of: half.read_back };
        Share::metric(KIND.name, config.lost_writes, count, config)
    },
};
