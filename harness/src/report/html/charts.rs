//! The charts of the page: latency, throughput and errors of the load; CPU and memory of each replica.

use std::collections::BTreeMap;

use super::{
    chart::Chart,
    line::{Line, Tip, legend},
    scale::Scale,
    section,
};
use crate::report::{
    Story,
    escape::Text,
    show,
    story::{Bucket, Usage},
};

const WIDE: f64 = 1_040.0;
const HALF: f64 = 510.0;
/// Colours of replicas; more replicas begin again.
const REPLICA_COLOURS: usize = 4;

/// Latency, throughput and errors over time.
pub(super) fn load(story: &Story) -> String {
    if story.seconds.is_empty() {
        return String::new();
    }
    let about = match story.bucket_s {
        1 => "Each point is what completed in one second.".to_owned(),
        many => format!("Each point is what completed in {many} seconds."),
    };
    let about = format!(
        "{about} Bands are phases; shaded spans are faults, from their first act until it was proved that nothing of them is left, and rollouts and the stages of drills, until they were complete."
    );
    section("Over time", &about, &[latency(story), throughput(story), errors(story)].concat())
}

fn over_time(story: &Story, of: fn(&Bucket) -> Option<f64>) -> impl Iterator<Item = (f64, Option<f64>)> {
    let middle = story.bucket_s as f64 / 2.0;
    story.seconds.iter().map(move |bucket| (bucket.at_s + middle, of(bucket)))
}

/// Rates of the planned time line: after it only stragglers end, which are no rate.
fn while_planned(story: &Story, of: fn(&Bucket) -> f64) -> impl Iterator<Item = (f64, Option<f64>)> {
    let ends_s = story.phases.last().map_or(0.0, |phase| phase.ends_s);
    let rates = story.seconds.iter().map(move |bucket| (bucket.at_s < ends_s).then(|| of(bucket)));
    over_time(story, |_| None).zip(rates).map(|((at_s, _), rate)| (at_s, rate))
}

fn latency(story: &Story) -> String {
    let lines = vec![
        Line::new("longest", "longest", over_time(story, |bucket| bucket.max_ms)),
        Line::new("p99", "p99", over_time(story, |bucket| bucket.p99_ms)),
        Line::new("p95", "p95", over_time(story, |bucket| bucket.p95_ms)),
        Line::new("p50", "p50", over_time(story, |bucket| bucket.p50_ms)),
    ];
    let objectives = story.objectives.iter().filter_map(|of| Some((of.latency?.1, of.text.clone())));
    let bounds: Vec<(f64, String)> = objectives.collect();
    let values: Vec<f64> =
        lines.iter().flat_map(Line::values).chain(bounds.iter().map(|bound| bound.0)).collect();
    let scale = Scale::fitting(values.iter().copied());
    let kind = if matches!(scale, Scale::Log(..)) { ", logarithmic scale" } else { "" };
    let title = format!("Latency of right answers, from the intended start{kind}");
    figure(
        &title,
        Chart {
            story,
            title: &title,
            size: (WIDE, 250.0),
            scale,
            unit: tick_ms,
            lines,
            bounds,
            tips: tips(story),
            named: true,
        },
    )
}

fn throughput(story: &Story) -> String {
    let lines = vec![
        Line::new("offered", "offered", while_planned(story, |bucket| bucket.offered_per_s)),
        Line::new("right", "right answers", while_planned(story, |bucket| bucket.right_per_s)),
    ];
    let objectives = story.objectives.iter().filter_map(|of| Some((of.throughput?, of.text.clone())));
    let bounds: Vec<(f64, String)> = objectives.collect();
    let values = lines.iter().flat_map(Line::values).chain(bounds.iter().map(|bound| bound.0));
    let scale = Scale::linear(values);
    figure(
        "Throughput, a second",
        Chart {
            story,
            title: "Throughput",
            size: (WIDE, 190.0),
            scale,
            unit: tick_number,
            lines,
            bounds,
            tips: tips(story),
            named: true,
        },
    )
}

fn errors(story: &Story) -> String {
    let lines = vec![Line::bars(
        "errors",
        "without a right answer",
        over_time(story, |bucket| Some(bucket.errors_per_s)),
    )];
    if lines.iter().flat_map(Line::values).all(|value| value <= 0.0) {
        return "<p class=\"about\">No request ended without a right answer.</p>\n".into();
    }
    let scale = Scale::linear(lines.iter().flat_map(Line::values));
    figure(
        "Requests without a right answer, a second",
        Chart {
            story,
            title: "Errors",
            size: (WIDE, 70.0),
            scale,
            unit: tick_number,
            lines,
            bounds: Vec::new(),
            tips: tips(story),
            named: false,
        },
    )
}

fn figure(title: &str, chart: Chart<'_>) -> String {
    format!(
        "<figure>\n<figcaption><b>{}</b>{}</figcaption>\n{}</figure>\n",
        Text(title),
        legend(chart.lines.iter()),
        chart.draw()
    )
}

fn tips(story: &Story) -> Vec<Tip> {
    let lines = |bucket: &Bucket| {
        vec![
            format!("{} to {} s", bucket.at_s, bucket.at_s + story.bucket_s as f64),
            format!("p50 {}", show::ms(bucket.p50_ms)),
            format!("p95 {}", show::ms(bucket.p95_ms)),
            format!("p99 {}", show::ms(bucket.p99_ms)),
            format!("longest {}", show::ms(bucket.max_ms)),
            format!("offered {}", show::rate(bucket.offered_per_s)),
            format!("right {}", show::rate(bucket.right_per_s)),
            format!("errors {}", show::rate(bucket.errors_per_s)),
        ]
    };
    let tip = |bucket: &Bucket| Tip {
        from_s: bucket.at_s,
        to_s: bucket.at_s + story.bucket_s as f64,
        lines: lines(bucket),
    };
    story.seconds.iter().map(tip).collect()
}

/// CPU and memory of each replica, two small charts for each component.
pub(super) fn resources(story: &Story) -> String {
    let mut components: BTreeMap<&str, Vec<&Usage>> = BTreeMap::new();
    let drawn = story.resources.iter().filter(|usage| !usage.points.is_empty());
    drawn.for_each(|usage| components.entry(&usage.component).or_default().push(usage));
    let rows: String =
        components.into_iter().map(|(name, replicas)| component(story, name, &replicas)).collect();
    section(
        "CPU and memory",
        "Of each replica's whole process tree, as the system counted it. Dashed: the allotment.",
        &rows,
    )
}

fn component(story: &Story, name: &str, replicas: &[&Usage]) -> String {
    let cores = lines(replicas, |usage| {
        usage.points.iter().map(|point| (point.at_s, point.life, point.cores)).collect()
    });
    let memory = lines(replicas, |usage| {
        usage.points.iter().map(|point| (point.at_s, point.life, point.bytes)).collect()
    });
    let allotted = replicas.first();
    let cores_allotted = allotted.map_or(0.0, |usage| usage.cores_allotted);
    let memory_allotted = allotted.map_or(0.0, |usage| usage.memory_allotted as f64);
    let keys = legend(cores.iter());
    let cpu = small(story, &format!("CPU of {name}, cores"), cores, cores_allotted, round);
    let memory = small(story, &format!("Memory of {name}"), memory, memory_allotted, tick_bytes);
    let mean: f64 = replicas.iter().filter_map(|usage| usage.cores_mean).sum();
    let most = replicas.iter().filter_map(|usage| usage.memory_max).max_by(f64::total_cmp);
    let told =
        format!("{mean:.2} cores in all on average, at most {} a replica, while judged", show::bytes(most));
    format!(
        "<figure class=\"pair\">\n<figcaption><b>{}</b> <span class=\"quiet\">{told}</span>{keys}</figcaption>\n{cpu}{memory}</figure>\n",
        Text(name)
    )
}

/// A line for each replica, broken between its lives.
fn lines(replicas: &[&Usage], of: impl Fn(&Usage) -> Vec<(f64, u32, Option<f64>)>) -> Vec<Line> {
    let line = |(index, usage): (usize, &&Usage)| {
        let mut points: Vec<(f64, Option<f64>)> = Vec::new();
        let mut living = None;
        for (at_s, life, value) in of(usage) {
            if living.replace(life).is_some_and(|before| before != life) {
                points.push((at_s, None));
            }
            points.push((at_s, value));
        }
        let class = format!("r{}", index % REPLICA_COLOURS + 1);
        Line::new(&class, &format!("{}-{}", usage.component, usage.replica), points.into_iter())
    };
    replicas.iter().enumerate().map(line).collect()
}

fn small(story: &Story, title: &str, lines: Vec<Line>, allotted: f64, unit: fn(f64) -> String) -> String {
    let most = lines.iter().flat_map(Line::values).fold(0.0, f64::max);
    // An allotment far above would press the lines flat; it is told where it is near.
    let near = allotted > 0.0 && allotted < most * 4.0;
    let bounds = if near { vec![(allotted, format!("allotment {}", unit(allotted)))] } else { Vec::new() };
    let scale = Scale::linear(lines.iter().flat_map(Line::values).chain(bounds.iter().map(|bound| bound.0)));
    let chart = Chart {
        story,
        title,
        size: (HALF, 110.0),
        scale,
        unit,
        lines,
        bounds,
        tips: Vec::new(),
        named: false,
    };
    format!("<div><p class=\"small\">{}</p>{}</div>\n", Text(title), chart.draw())
}

fn tick_ms(ms: f64) -> String {
    if ms >= 1_000.0 { format!("{} s", round(ms / 1e3)) } else { format!("{} ms", round(ms)) }
}

fn tick_number(value: f64) -> String {
    if value >= 1_000.0 { show::count(value.round() as u64) } else { round(value) }
}

fn tick_bytes(bytes: f64) -> String {
    match bytes {
        0.0 => "0".into(),
        _ if bytes < 1e6 => format!("{} kB", round(bytes / 1e3)),
        _ if bytes < 1e9 => format!("{} MB", round(bytes / 1e6)),
        _ => format!("{} GB", round(bytes / 1e9)),
    }
}

/// Without the binary tail of sums.
fn round(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}
