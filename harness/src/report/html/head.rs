//! The head of the page: the verdict, its reason, what was claimed, and the numbers that one looks for first.

use gauntlet_core::{judge::Verdict, outcome::Outcome};

use crate::report::{Story, escape::Text, reason, show, story::PhaseStory};

pub(super) fn verdict(story: &Story, verdict: &Verdict) -> String {
    let (class, sign) = looks(verdict.outcome);
    let mut text = format!(
        "<header class=\"verdict {class}\">\n<div class=\"sign\" aria-hidden=\"true\">{sign}</div>\n<div>\n\
         <p class=\"over\">{} on {} · target {}</p>\n<h1>{}</h1>\n<p class=\"reason\">{}</p>\n",
        Text(&story.scenario),
        Text(&story.system),
        Text(&story.target),
        Text(verdict.outcome),
        Text(reason::sentence(verdict)),
    );
    text += &format!(
        "<p class=\"under\">{} · run {} · took {} · exit code {}</p>\n</div>\n</header>\n",
        Text(&story.wall_clock),
        Text(&story.run),
        show::clock(story.took_s),
        verdict.outcome.exit_code(),
    );
    if !story.hypothesis.is_empty() {
        text += &format!("<p class=\"claim\"><b>Hypothesis</b> {}</p>\n", Text(&story.hypothesis));
    }
    for torn in &story.torn {
        text += &format!("<p class=\"torn\"><b>The journal is not whole:</b> {}</p>\n", Text(torn));
    }
    text + &tiles(story)
}

/// A place for a signature, on paper only.
pub(super) fn signature(story: &Story) -> String {
    format!(
        "<div class=\"signature\"><p>Run {} of {}, seen and signed:</p><p>Name</p><p>Date</p><p>Signature</p></div>\n",
        Text(&story.run),
        Text(&story.scenario)
    )
}

pub(super) fn looks(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Passed => ("good", "✓"),
        Outcome::Failed => ("bad", "✕"),
        Outcome::Inconclusive | Outcome::Interrupted => ("unsure", "?"),
        Outcome::NotHealed | Outcome::SetupFailed | Outcome::BadScenario | Outcome::Broken => ("bad", "!"),
    }
}

/// Over the judged phases, the worst of each.
fn tiles(story: &Story) -> String {
    let judged: Vec<&PhaseStory> =
        story.phases.iter().filter(|phase| phase.judged && phase.requests > 0).collect();
    let requests: u64 = judged.iter().map(|phase| phase.requests).sum();
    let slowest =
        judged.iter().map(|phase| phase.latency_ms.p95.unwrap_or(f64::INFINITY)).max_by(f64::total_cmp);
    let fewest = judged.iter().map(|phase| phase.right_per_s).min_by(f64::total_cmp);
    let errors = judged.iter().filter_map(|phase| phase.errors).max_by(f64::total_cmp);
    let healed = story.faults.iter().filter(|fault| fault.healed_s.is_some()).count();
    let tiles = [
        ("requests judged", show::count(requests)),
        ("p95, slowest phase", show::percentile(slowest.filter(|ms| ms.is_finite()), requests)),
        ("right answers, least phase", fewest.map_or_else(|| show::NONE.into(), show::rate)),
        ("errors, worst phase", show::share(errors)),
        ("faults healed", format!("{healed} of {}", story.faults.len())),
    ];
    let tile = |(label, value): &(&str, String)| {
        format!("<div class=\"tile\"><b>{}</b><span>{label}</span></div>\n", Text(value))
    };
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.iter().map(tile).collect::<String>())
}
