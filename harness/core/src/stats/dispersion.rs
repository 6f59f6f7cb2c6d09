//! How much more than independent events a count varies, and over how long a batch it must be watched to see that.
//!
//! The batch is a few integrated autocorrelation times long (Sokal 1997: the sum of autocorrelations up to a window of
//! five times itself), so that batches are nearly independent; the dispersion is the variance of such a batch over what
//! independence would give, from overlapping batches (Meketon and Schmeiser 1984), raised to an upper confidence bound
//! because it is an estimate itself. A straight trend is taken out first. Several series of the same kind, such as the
//! shares of several replicas, are taken together.

/// How far a second was from what was expected, and the variance that independent events would give it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    /// Events less those expected.
    pub by: f64,
    /// The variance under independence.
    pub variance: f64,
}

/// How a count is to be batched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Batching {
    /// Seconds a batch.
    pub seconds: usize,
    /// How many times the variance of independent events a batch has. Below 1 where fewer come than chance would bring
    /// together: of answers above a median, half are, and no more.
    pub dispersion: f64,
}

/// Times the autocorrelation time that the window of its sum spans.
const WINDOW: f64 = 5.0;
/// Below it the seconds are batches themselves: noise alone reaches it seldom.
const INDEPENDENT: f64 = 1.5;
/// Autocorrelation times a batch.
const TIMES: f64 = 4.0;
/// Fewer batches than this say too little of their variance: the batch is cut.
const LEAST_BATCHES: usize = 8;
/// Standard errors above the estimate: the upper bound of one in ten.
const CAUTION: f64 = 1.28;

/// From the seconds before there is anything to judge. Without events or seconds: batches of one second, independent.
pub fn batching(series: &[Vec<Deviation>]) -> Batching {
    let expected: f64 = series.iter().flatten().map(|second| second.variance).sum();
    if expected <= 0.0 {
        return Batching { seconds: 1, dispersion: 1.0 };
    }
    let by: Vec<Vec<f64>> = series.iter().map(|series| without_trend(series)).collect();
    let time = autocorrelation_time(&by);
    let longest = (length(&by) / LEAST_BATCHES).max(1);
    let seconds = if time < INDEPENDENT { 1 } else { ((time * TIMES).ceil() as usize).min(longest) };
    let second = expected / by.iter().flatten().count() as f64;
    let estimate = (variance(&by, seconds) / seconds as f64).max(variance(&by, 1) * time) / second;
    Batching { seconds, dispersion: estimate * (1.0 + CAUTION * error(&by, seconds)) }
}

/// The seconds of the longest series.
fn length(by: &[Vec<f64>]) -> usize {
    by.iter().map(Vec::len).max().unwrap_or_default()
}

/// Deviations less their mean and their straight trend.
fn without_trend(series: &[Deviation]) -> Vec<f64> {
    let n = series.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = series.iter().map(|second| second.by).sum::<f64>() / n;
    let (mut with, mut of) = (0.0, 0.0);
    for (at, second) in series.iter().enumerate() {
        with += (at as f64 - middle) * second.by;
        of += (at as f64 - middle).powi(2);
    }
    let slope = if of > 0.0 { with / of } else { 0.0 };
    series.iter().enumerate().map(|(at, second)| second.by - mean - slope * (at as f64 - middle)).collect()
}

/// The integrated autocorrelation time, at least 1.
fn autocorrelation_time(by: &[Vec<f64>]) -> f64 {
    let of = |series: &Vec<f64>, lag: usize| {
        series.iter().zip(series.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>()
    };
    let product = |lag: usize| by.iter().map(|series| of(series, lag)).sum::<f64>();
    let whole = product(0);
    if whole <= 0.0 {
        return 1.0;
    }
    let mut time = 1.0;
    for lag in 1..length(by) / 2 {
        time += 2.0 * product(lag) / whole;
        if lag as f64 >= WINDOW * time {
            break;
        }
    }
    time.max(1.0)
}

/// The mean square of the sums of all windows of that many seconds.
fn variance(by: &[Vec<f64>], seconds: usize) -> f64 {
    let windows = || by.iter().flat_map(|series| series.windows(seconds));
    let sum: f64 = windows().map(|window| window.iter().sum::<f64>().powi(2)).sum();
    sum / windows().count().max(1) as f64
}

/// The relative standard error of a variance from so few batches: that of normal ones, or what their fourth moments
/// say where few batches hold most of it.
fn error(by: &[Vec<f64>], seconds: usize) -> f64 {
    let batches = by.iter().flat_map(|series| series.chunks_exact(seconds));
    let squares: Vec<f64> = batches.map(|batch| batch.iter().sum::<f64>().powi(2)).collect();
    let count = squares.len().max(1) as f64;
    let mean = squares.iter().sum::<f64>() / count;
    let spread = squares.iter().map(|square| (square - mean).powi(2)).sum::<f64>() / count;
    let seen = if mean > 0.0 { spread.sqrt() / mean / count.sqrt() } else { 0.0 };
    seen.max((2.0 / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{Batching, Deviation, batching};
    use crate::seed::{Draws, Seed};

    fn normal(draws: &mut Draws) -> f64 {
        (-2.0 * draws.unit().ln()).sqrt() * (std::f64::consts::TAU * draws.unit()).cos()
    }

    fn autoregressive(phi: f64, seconds: usize, seed: u64) -> Vec<Deviation> {
        let mut draws = Seed(seed).stream("series");
        let mut at = normal(&mut draws);
        let mut next = || {
            at = phi * at + (1.0 - phi * phi).sqrt() * normal(&mut draws);
            Deviation { by: at, variance: 1.0 }
        };
        (0..seconds).map(|_| next()).collect()
    }

    #[test]
    fn independent_seconds_are_batches_themselves() {
        let all: Vec<Batching> = (0..200).map(|seed| batching(&[autoregressive(0.0, 300, seed)])).collect();
        let single = all.iter().filter(|batching| batching.seconds == 1).count();
        assert!(single > 170, "{single} of 200");
        assert!(all.iter().map(|batching| batching.dispersion).sum::<f64>() / 200.0 < 1.35);
    }

    #[test]
    fn dependence_is_found_with_its_length_and_its_variance() {
        for (phi, truth) in [(0.6, 4.0), (0.8, 9.0)] {
            let all: Vec<Batching> =
                (0..200).map(|seed| batching(&[autoregressive(phi, 300, seed)])).collect();
            let mean = all.iter().map(|batching| batching.dispersion).sum::<f64>() / 200.0;
            assert!(mean > truth, "phi {phi}: {mean} on average");
            let below = all.iter().filter(|batching| batching.dispersion < 0.6 * truth).count();
            assert!(below < 30, "phi {phi}: {below} of 200 far below {truth}");
            let longer = all.iter().filter(|batching| batching.seconds > 1).count();
            assert!(longer > 190, "phi {phi}: {longer} of 200 in batches of more than a second");
        }
    }

    #[test]
    fn a_straight_trend_is_no_dependence() {
        let mut series = [autoregressive(0.0, 300, 1)];
        let flat = batching(&series);
        series[0].iter_mut().enumerate().for_each(|(at, second)| second.by += at as f64 * 0.1);
        let tilted = batching(&series);
        assert_eq!(flat.seconds, tilted.seconds);
        assert!((flat.dispersion - tilted.dispersion).abs() < 1e-9);
    }

    /// What many say together lies closer to the truth than what one says, and so its upper bound is lower.
    #[test]
    fn several_series_of_a_kind_are_one_sample() {
        let spread = |series: u64| {
            let one = |seed: u64| {
                let all: Vec<_> = (0..series).map(|one| autoregressive(0.6, 300, seed * 10 + one)).collect();
                batching(&all).dispersion
            };
            (0..200).map(one).sum::<f64>() / 200.0
        };
        let (one, five) = (spread(1), spread(5));
        assert!(five > 3.6 && five < one, "{one} of one, {five} of five");
    }

    #[test]
    fn no_events_and_no_seconds_are_taken_as_independent() {
        assert_eq!(batching(&[]), Batching { seconds: 1, dispersion: 1.0 });
        let silent = vec![Deviation { by: 0.0, variance: 0.0 }; 60];
        assert_eq!(batching(&[silent]), Batching { seconds: 1, dispersion: 1.0 });
        let one = batching(&[vec![Deviation { by: 0.0, variance: 1.0 }]]);
        assert_eq!(one, Batching { seconds: 1, dispersion: 0.0 });
    }
}
