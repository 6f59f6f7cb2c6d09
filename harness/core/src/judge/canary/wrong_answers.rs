//! `wrong-answers`: the share of requests whose answer is wrong although its status is right. The same questions go to
//! both arms, so what drifts is the version.

use super::{Metric, MetricKind, pair::Half, share::Share};
use crate::stats::split::Counted;

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "wrong-answers",
    make: |config| {
        let effect = config.wrong_answers?;
        let wrong = |half: &Half| Counted { events: half.wrong, of: half.sent };
        Some(Box::new(Share::new(KIND.name, wrong, effect, config)) as Box<dyn Metric>)
    },
};
