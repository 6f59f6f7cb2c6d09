//! `wrong-answers`: the share of requests whose answer is wrong although its status is right. The same questions go to
//! both arms, so what drifts is the version.

use super::{MetricKind, pair::Half, share::Share};
use crate::stats::split::Counted;

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "wrong-answers",
    make: |config| {
        let count = |half: &Half| Counted { events: half.wrong, of: half.sent };
        Share::metric(KIND.name, config.wrong_answers, count, config)
    },
};
