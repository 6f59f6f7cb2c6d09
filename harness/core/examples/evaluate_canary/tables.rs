//! The tables, as Markdown, and the same as rows of a TSV file.

use std::collections::BTreeMap;

use gauntlet_core::{judge::canary::Decision, stats::interval::wilson};

use crate::{
    kayenta,
    streams::{Kind, Noise, SECONDS, Shapes, Wrong},
    trial::{self, Alone, Seen},
};

/// The tables in their order.
pub(crate) const ALL: [fn(&mut Vec<String>) -> String; 7] =
    [false_alarms, known_replicas, limits, error_test, power, verdicts, as_in_scenarios];
/// The tables of false alarms that the judge's promise is about.
const PROMISED: [&str; 3] = ["false alarms", "known replicas", "as in scenarios"];
/// What it promises: at most that share of unchanged versions is rolled back.
const MOST: f64 = 0.05;
/// The columns of the TSV file. Times are seconds of the canary's phase; empty when fewer were found.
pub(crate) const HEAD: &str = "table\tstream\tjudge\tstreams\tfound\tlow\thigh\tmedian_s\tp90_s\tfirst_by";

const ALIKE: u64 = 2_000;
const KNOWN: u64 = 500;
const WORSE: u64 = 300;
const ENDS: u64 = 200;
const BEYOND: u64 = 1_000;
const ALONE: u64 = 4_000;
const BASELINE_SECONDS: u64 = 300;
const SHORT_SECONDS: u64 = 35;
const STABLE: f64 = 900.0;
const EQUAL: f64 = 100.0;

/// A kind of stream with what is usual.
fn kind(noise: Noise, wrong: Wrong) -> Kind {
    Kind {
        noise,
        wrong,
        against: STABLE,
        both: false,
        known: false,
        fresh: false,
        baseline_seconds: BASELINE_SECONDS,
    }
}

/// `1.2 % (0.8-1.8)`.
fn share(hits: usize, of: usize) -> String {
    let (low, high) = wilson(hits as u64, of as u64);
    format!("{:.1} % ({:.1}-{:.1})", 100.0 * hits as f64 / of as f64, 100.0 * low, 100.0 * high)
}

/// The time by which so many of a hundred were found; none when fewer were.
fn time(times: &[Option<u64>], percent: usize) -> Option<u64> {
    let mut sorted: Vec<u64> = times.iter().map(|time| time.unwrap_or(u64::MAX)).collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().filter(|time| *time < u64::MAX)
}

fn seconds(time: Option<u64>) -> String {
    time.map_or_else(|| "-".into(), |time| format!("{time} s"))
}

fn row(table: &str, stream: &str, judge: &str, times: &[Option<u64>], first: &str) -> String {
    let found = times.iter().flatten().count();
    let (low, high) = wilson(found as u64, times.len() as u64);
    let at = |percent| time(times, percent).map_or_else(String::new, |time| time.to_string());
    let (median, late) = (at(50), at(90));
    format!(
        "{table}\t{stream}\t{judge}\t{}\t{found}\t{low:.5}\t{high:.5}\t{median}\t{late}\t{first}",
        times.len()
    )
}

/// What became of many streams of a kind.
struct Outcome {
    times: Vec<Option<u64>>,
    once: usize,
    ever: usize,
    /// `errors 3, p95 1`: what Gauntlet's judge rolled back by.
    first: String,
    /// The same for Kayenta at its one look.
    high: String,
}

impl Outcome {
    fn of(seen: &[Seen]) -> Self {
        let mut by = BTreeMap::new();
        seen.iter()
            .filter_map(|one| one.rolled_back.as_ref())
            .for_each(|(_, by_what)| *by.entry(by_what).or_insert(0) += 1);
        let high = |at: usize| seen.iter().filter(|one| one.high[at]).count();
        let high = kayenta::METRICS.iter().enumerate().map(|(at, name)| (name, high(at)));
        Self {
            times: seen.iter().map(|one| one.rolled_back.as_ref().map(|(time, _)| *time)).collect(),
            once: seen.iter().filter(|one| one.high.contains(&true)).count(),
            ever: seen.iter().filter(|one| one.high_ever).count(),
            first: words(by.into_iter()),
            high: words(high.filter(|(_, count)| *count > 0)),
        }
    }

    fn found(&self) -> String {
        share(self.times.iter().flatten().count(), self.times.len())
    }

    fn rows(&self, table: &str, stream: &str, rows: &mut Vec<String>) {
        let count = |hits: usize| -> Vec<Option<u64>> {
            (0..self.times.len()).map(|at| (at < hits).then_some(SECONDS)).collect()
        };
        rows.push(row(table, stream, "gauntlet", &self.times, &self.first));
        rows.push(row(table, stream, "kayenta, one look at the end", &count(self.once), &self.high));
        let mut ever = count(self.ever);
        ever.iter_mut().flatten().for_each(|time| *time = 0);
        rows.push(
            row(table, stream, "kayenta, a look every minute", &ever, "").replace("\t0\t0\t", "\t\t\t"),
        );
    }
}

fn words(counts: impl Iterator<Item = (impl std::fmt::Display, usize)>) -> String {
    let all: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    if all.is_empty() { "-".into() } else { all.join(", ") }
}

fn run(shapes: &Shapes, name: &str, kind: Kind, count: u64) -> Outcome {
    Outcome::of(&trial::many(count, |number| trial::whole(shapes, name, kind, number)))
}

const ALARM_HEAD: &str =
    "| stream | rolled back | by | Kayenta, one look | Kayenta, every minute |\n|---|---|---|---|---|\n";

fn alarms(table: &str, count: u64, streams: &[(&str, Kind)], rows: &mut Vec<String>) -> String {
    let shapes = Shapes::new();
    let line = |(name, kind): &(&str, Kind)| {
        let found = run(&shapes, name, *kind, count);
        found.rows(table, name, rows);
        let (once, ever) = (share(found.once, count as usize), share(found.ever, count as usize));
        format!("| {name} | {} | {} | {once} | {ever} |\n", found.found(), found.first)
    };
    streams.iter().map(line).collect()
}

fn false_alarms(rows: &mut Vec<String>) -> String {
    let alike = |noise| kind(noise, Wrong::Nothing);
    let both = |noise| Kind { both: true, ..alike(noise) };
    let equal = |noise| Kind { against: EQUAL, ..alike(noise) };
    let (phi6, phi8) = (Noise::Autoregressive(0.6), Noise::Autoregressive(0.8));
    let bursts = Noise::Bursts(120.0);
    let streams = [
        ("independent", alike(Noise::None)),
        ("AR(1), phi 0.6", alike(phi6)),
        ("AR(1), phi 0.8", alike(phi8)),
        ("bursts, ten replicas alike", alike(bursts)),
        ("bursts, one replica an arm", alike(Noise::LoneBursts(120.0))),
        ("drift common to both arms", alike(Noise::Drift)),
        ("AR(1), phi 0.6; baseline phase of both arms", both(phi6)),
        ("AR(1), phi 0.8; baseline phase of both arms", both(phi8)),
        ("bursts; baseline phase of both arms", both(bursts)),
        ("independent; equal size", equal(Noise::None)),
        ("AR(1), phi 0.8; equal size", equal(phi8)),
        ("bursts; equal size", equal(bursts)),
    ];
    format!(
        "**False alarms**, {ALIKE} streams each\n\n{ALARM_HEAD}{}",
        alarms("false alarms", ALIKE, &streams, rows)
    )
}

fn known_replicas(rows: &mut Vec<String>) -> String {
    let known = |noise| Kind { known: true, ..kind(noise, Wrong::Nothing) };
    let streams = [
        ("independent; replicas known", known(Noise::None)),
        ("AR(1), phi 0.6, every replica by itself", known(Noise::Replicas(0.6))),
        ("AR(1), phi 0.8, every replica by itself", known(Noise::Replicas(0.8))),
        ("AR(1), phi 0.8, all together", known(Noise::Shared(0.8))),
        ("bursts, ten replicas alike; known", known(Noise::Bursts(120.0))),
        ("drift common to both arms; replicas known", known(Noise::Drift)),
    ];
    let text = alarms("known replicas", KNOWN, &streams, rows);
    format!(
        "**False alarms where the nine replicas of stable are known**, {KNOWN} streams each\n\n{ALARM_HEAD}{text}"
    )
}

/// Three known replicas in the baseline phase, then one of the canary against a fresh one.
fn as_in_scenarios(rows: &mut Vec<String>) -> String {
    let usual = |noise, baseline_seconds| Kind {
        against: 3.0 * EQUAL,
        known: true,
        fresh: true,
        baseline_seconds,
        ..kind(noise, Wrong::Nothing)
    };
    let noises = [
        ("independent", Noise::None),
        ("AR(1), phi 0.6, every replica by itself", Noise::Replicas(0.6)),
        ("AR(1), phi 0.8, every replica by itself", Noise::Replicas(0.8)),
        ("bursts, all replicas alike", Noise::Bursts(120.0)),
        ("drift common to all", Noise::Drift),
    ];
    let of = |baseline_seconds, more: &str| {
        noises.map(|(name, noise)| (format!("{name}; {more}"), usual(noise, baseline_seconds)))
    };
    // What a short baseline phase has not shown is beyond the promise.
    let lengths = [
        ("as in scenarios", of(BASELINE_SECONDS, "fresh")),
        ("limits", of(SHORT_SECONDS, "fresh; baseline phase of 35 s")),
    ];
    let text: String = lengths
        .iter()
        .map(|(table, streams)| {
            let streams: Vec<_> = streams.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
            alarms(table, ALIKE, &streams, rows)
        })
        .collect();
    format!(
        "**False alarms as scenarios compare: three known replicas before, then one against a fresh one**, {ALIKE} streams each\n\n{ALARM_HEAD}{text}"
    )
}

/// Kinds of stream on which more unchanged versions were rolled back than is promised.
pub(crate) fn broken(rows: &[String]) -> Vec<String> {
    let is_broken = |row: &&String| {
        let fields: Vec<&str> = row.split('\t').collect();
        let [table, _, judge, streams, found, ..] = fields.as_slice() else { return false };
        let share = found.parse::<f64>().unwrap_or(1.0) / streams.parse::<f64>().unwrap_or(1.0);
        PROMISED.contains(table) && *judge == "gauntlet" && share > MOST
    };
    rows.iter().filter(is_broken).cloned().collect()
}

fn limits(rows: &mut Vec<String>) -> String {
    let alike = |noise| kind(noise, Wrong::Nothing);
    let minutes = |baseline_seconds| Kind { baseline_seconds, ..alike(Noise::Minutes(0.8)) };
    let rare = Noise::LoneBursts(300.0);
    let streams = [
        ("bursts once in 300 s, one replica an arm", alike(rare)),
        ("the same; equal size", Kind { against: EQUAL, ..alike(rare) }),
        ("AR(1) over minutes, phi 0.8", minutes(BASELINE_SECONDS)),
        ("the same; baseline phase of an hour", minutes(3_600)),
    ];
    let text = alarms("limits", BEYOND, &streams, rows);
    format!("**Beyond what the baseline phase shows**, {BEYOND} streams each\n\n{ALARM_HEAD}{text}")
}

fn error_test(rows: &mut Vec<String>) -> String {
    let shapes = Shapes::new();
    let usual = Alone { alpha: 0.05, batch_seconds: 1, batches: 1e-9 };
    let steps = [
        ("the error test alone, alpha 0.05", usual),
        ("its part of alpha (0.01)", Alone { alpha: 0.01, ..usual }),
        ("and batches of 10 s", Alone { alpha: 0.01, batch_seconds: 10, ..usual }),
        ("and at least 4 batches", Alone { alpha: 0.01, batch_seconds: 10, batches: 4.0 }),
    ];
    let mut text = "**Errors over a base of 0.5 %**, independent: median (90th percentile), in seconds\n\n| judge | against | unchanged, found | x1.5 | x2 | x5 |\n|---|---|---|---|---|---|\n".to_owned();
    for against in [STABLE, EQUAL] {
        for (name, alone) in steps {
            let of = |times: f64, rows: &mut Vec<String>| {
                let found = trial::many(ALONE, |number| alone.finds(times, against, number));
                rows.push(row("errors", &format!("x{times} against {against}/s"), name, &found, ""));
                found
            };
            let unchanged = of(1.0, rows).iter().flatten().count();
            let cells: Vec<String> = [1.5, 2.0, 5.0].map(|times| both_times(&of(times, rows))).to_vec();
            let found = share(unchanged, ALONE as usize);
            text += &format!("| {name} | {against}/s | {found} | {} |\n", cells.join(" | "));
        }
        let whole = |times: f64| {
            let kind = Kind { against, ..kind(Noise::None, Wrong::Errors(times)) };
            run(&shapes, &format!("errors x{times} against {against}/s"), kind, WORSE)
        };
        let cells: Vec<String> = [1.5, 2.0, 5.0]
            .map(|times| {
                let found = whole(times);
                let stream = format!("x{times} against {against}/s");
                rows.push(row("errors", &stream, "the whole judge", &found.times, &found.first));
                both_times(&found.times)
            })
            .to_vec();
        text += &format!(
            "| and the dispersion seen: the whole judge | {against}/s | above | {} |\n",
            cells.join(" | ")
        );
    }
    text
}

fn both_times(times: &[Option<u64>]) -> String {
    let short = |percent| time(times, percent).map_or_else(|| "-".to_owned(), |time| time.to_string());
    format!("{} ({})", short(50), short(90))
}

fn power(rows: &mut Vec<String>) -> String {
    let shapes = Shapes::new();
    let regressions = [
        ("errors x1.5", Wrong::Errors(1.5)),
        ("errors x2", Wrong::Errors(2.0)),
        ("errors x5", Wrong::Errors(5.0)),
        ("errors 1 % against 0", Wrong::ErrorsFrom0(0.01)),
        ("wrong answers 1 %", Wrong::Answers(0.01)),
        ("latency x1.1", Wrong::Latency(1.1)),
        ("latency x1.2", Wrong::Latency(1.2)),
        ("tail x4 in 20 % of minutes", Wrong::Tail),
        ("spread doubled", Wrong::Spread),
    ];
    let noises = [
        ("independent", Noise::None),
        ("AR(1), phi 0.6", Noise::Autoregressive(0.6)),
        ("bursts", Noise::Bursts(120.0)),
    ];
    let mut text = format!(
        "**Power within 30 minutes**, {WORSE} streams each, canary 100/s against 900/s\n\n| wrong | stream | found | median | 90th percentile | first by | Kayenta, one look | its metrics |\n|---|---|---|---|---|---|---|---|\n"
    );
    for (stream, noise) in noises {
        for (name, wrong) in regressions {
            let full = format!("{name}; {stream}");
            let found = run(&shapes, &full, kind(noise, wrong), WORSE);
            found.rows("power", &full, rows);
            text += &format!(
                "| {name} | {stream} | {} | {} | {} | {} | {} | {} |\n",
                found.found(),
                seconds(time(&found.times, 50)),
                seconds(time(&found.times, 90)),
                found.first,
                share(found.once, WORSE as usize),
                found.high,
            );
        }
    }
    text
}

fn verdicts(rows: &mut Vec<String>) -> String {
    let shapes = Shapes::new();
    let versions = [
        ("unchanged", Wrong::Nothing),
        ("errors x1.5", Wrong::Errors(1.5)),
        ("errors x2", Wrong::Errors(2.0)),
        ("errors 1 % against 0", Wrong::ErrorsFrom0(0.01)),
        ("wrong answers 1 %", Wrong::Answers(0.01)),
        ("latency x1.2", Wrong::Latency(1.2)),
        ("tail x4 in 20 % of minutes", Wrong::Tail),
        ("spread doubled", Wrong::Spread),
    ];
    let (shared, bursts) = (Noise::Shared(0.8), Noise::Bursts(120.0));
    let noises = [
        ("independent", Noise::None, false),
        ("independent; replicas known", Noise::None, true),
        ("AR(1), phi 0.6", Noise::Autoregressive(0.6), false),
        ("AR(1), phi 0.8, all together", shared, false),
        ("the same; replicas known", shared, true),
        ("bursts", bursts, false),
        ("bursts; replicas known", bursts, true),
        ("drift", Noise::Drift, false),
        ("drift; replicas known", Noise::Drift, true),
    ];
    let mut text = format!(
        "**How a step of at most 30 minutes ends**, {ENDS} streams each, with the defaults: promoted once harm is excluded\n\n\
         | version | stream | rolled back | promoted | inconclusive | median end |\n|---|---|---|---|---|---|\n"
    );
    for (stream, noise, known) in noises {
        // Streams of many replicas are dear, and the other versions show nothing more.
        let shown = |(_, wrong): &(&str, Wrong)| {
            !known || matches!(wrong, Wrong::Nothing | Wrong::Errors(2.0) | Wrong::Latency(_))
        };
        for (name, wrong) in versions.into_iter().filter(shown) {
            let full = format!("{name}; {stream}");
            let kind = Kind { known, ..kind(noise, wrong) };
            let ends = trial::many(ENDS, |at| trial::verdict(&shapes, &full, kind, at));
            let of = |which: fn(&Decision) -> bool| {
                let time = |(decision, time): &(Decision, u64)| which(decision).then_some(*time);
                ends.iter().map(time).collect::<Vec<Option<u64>>>()
            };
            let back = of(|decision| matches!(decision, Decision::RollBack { .. }));
            let promoted = of(|decision| matches!(decision, Decision::Promote));
            let open = of(|decision| matches!(decision, Decision::Inconclusive { .. } | Decision::GoOn));
            rows.push(row("verdicts", &full, "rolled back", &back, ""));
            rows.push(row("verdicts", &full, "promoted", &promoted, ""));
            rows.push(row("verdicts", &full, "inconclusive", &open, ""));
            let percent = |of: &[Option<u64>]| 100.0 * of.iter().flatten().count() as f64 / ENDS as f64;
            let all: Vec<Option<u64>> = ends.iter().map(|(_, time)| Some(*time)).collect();
            let (back, promoted, open) = (percent(&back), percent(&promoted), percent(&open));
            let end = seconds(time(&all, 50));
            text += &format!("| {name} | {stream} | {back:.1} % | {promoted:.1} % | {open:.1} % | {end} |\n");
        }
    }
    text
}
