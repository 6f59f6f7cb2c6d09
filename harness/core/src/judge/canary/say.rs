//! Estimates in words.

use super::{
    Estimate, Standing,
    config::{Effect, Guard, Quantile},
};
use crate::judge::show;

fn opening(standing: Standing) -> &'static str {
    match standing {
        Standing::Worse => "worse",
        Standing::Harmless => "no harm",
        Standing::Open => "open",
        Standing::TooLittle => "too little evidence",
    }
}

/// How sure it is, and from what.
fn ground(of: &Estimate) -> String {
    format!(
        "e-value {} of {:.0} needed; {} and {} requests; batches of {} s, dispersion {:.1}",
        evidence(of.log_evidence),
        1.0 / of.alpha,
        of.samples.0,
        of.samples.1,
        of.batch_seconds,
        of.dispersion,
    )
}

/// An e-value that a person can read, however large.
fn evidence(log: f64) -> String {
    let e = log.exp();
    if e < 1e6 { format!("{e:.2}") } else { format!("10^{:.0}", log / std::f64::consts::LN_10) }
}

fn known(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "unknown".into(), show)
}

pub(super) fn share(of: &Estimate, effect: Effect) -> String {
    format!(
        "{}: {} against {}, difference {} (between {} and {}; of interest from {}, harm from {}); {}",
        opening(of.standing),
        known(of.canary, show::share),
        known(of.stable, show::share),
        known(of.effect, show::share),
        show::share(of.interval.0),
        show::share(of.interval.1),
        show::share(effect.smallest),
        show::share(effect.harm),
        ground(of),
    )
}

pub(super) fn latency(of: &Estimate, quantile: Quantile) -> String {
    format!(
        "{}: {} against {}, ratio {} (between {:.2} and {:.2}; of interest from {}, harm from {}); {}",
        opening(of.standing),
        known(of.canary, show::time),
        known(of.stable, show::time),
        known(of.effect, |ratio| format!("{ratio:.2}")),
        of.interval.0,
        of.interval.1,
        quantile.smallest,
        quantile.harm,
        ground(of),
    )
}

pub(super) fn guard(guard: Guard) -> String {
    match guard {
        Guard::Errors { at_most } => format!("guard errors <= {}", show::share(at_most)),
        Guard::Latency { quantile, at_most_us } => {
            format!("guard {} <= {}", show::quantile(quantile), show::time(at_most_us as f64))
        }
    }
}

pub(super) fn kept(of: &Estimate, allowed: f64) -> String {
    format!(
        "{}: {} of the canary's requests miss it (between {} and {}; allowed {}); {} requests",
        match of.standing {
            Standing::Worse => "broken",
            Standing::Harmless => "kept",
            other => opening(other),
        },
        known(of.canary, show::share),
        show::share(of.interval.0),
        show::share(of.interval.1),
        show::share(allowed),
        of.samples.0,
    )
}
