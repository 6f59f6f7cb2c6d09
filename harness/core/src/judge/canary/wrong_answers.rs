//! `wrong-answers`: the share of requests whose answer is wrong although its status is right. The same questions go to
//! both arms, so what drifts is the version.

use super::{Metric, MetricKind, share::Share};

/// Its line in the list.
pub(super) const KIND: MetricKind = MetricKind {
    name: "wrong-answers",
    make: |config| {
        let effect = config.wrong_answers?;
        Some(Box::new(Share::new(KIND.name, |half| half.wrong, effect, config)) as Box<dyn Metric>)
    },
};
