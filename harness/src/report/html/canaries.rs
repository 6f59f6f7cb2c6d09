//! What canaries were compared with, when, and why they were decided so.

use gauntlet_core::judge::canary::{Decision, Estimate, Standing};

use super::{
    section,
    tables::{Table, text},
};
use crate::report::{
    Story,
    escape::Text,
    show,
    story::{CanaryStory, SplitStory},
};

pub(super) fn tables(story: &Story) -> String {
    let content: String = story.canaries.iter().map(canary).collect();
    let about = "Both answer at the same time, and a judge that may be asked at every second compares them. Effects are the canary's less the other's, for latency the ratio, of a guard the share of requests that miss it; the interval holds at every look.";
    section("Canaries", about, &content)
}

fn canary(canary: &CanaryStory) -> String {
    let mut steps = Table::new(&["#share", "#from", "#judged up to", "decision"]);
    canary.steps.iter().for_each(|step| steps.row(split(step)));
    let mut metrics = Table::new(&[
        "=metric",
        "#canary",
        "#compared with",
        "#effect",
        "#between",
        "=harm from",
        "#requests",
        "=meaning",
    ]);
    for (estimate, harm) in canary.metrics.iter().zip(&canary.harm) {
        metrics.row(metric(estimate, harm));
    }
    format!(
        "<h3>{}</h3>\n<p class=\"about\"><b>{}</b> against <b>{}</b>. Seconds since the load began.</p>\n{}{}",
        Text(&canary.title),
        Text(&canary.canary),
        Text(&canary.against),
        steps.html(),
        metrics.html()
    )
}

fn split(step: &SplitStory) -> [String; 4] {
    let decision = match &step.decision {
        None if step.from_s.is_none() => "it did not come so far".to_owned(),
        None => "nothing was decided".to_owned(),
        Some(Decision::GoOn | Decision::Promote) => "<span class=\"state good\">goes on</span>".to_owned(),
        Some(Decision::RollBack { metric, second }) => {
            format!(
                "<span class=\"state bad\">rolled back</span> {} is worse, seen after second {second}",
                Text(metric)
            )
        }
        Some(Decision::Inconclusive { reason }) => {
            format!("<span class=\"state unsure\">not promoted</span> <small>{}</small>", Text(reason))
        }
    };
    let upto = step.judged_upto_s.map(|second| second as f64);
    [show::share(Some(step.share)), show::moment(step.from_s), show::moment(upto), decision]
}

fn metric(of: &Estimate, harm: &str) -> [String; 8] {
    // Of a guard the share of requests that miss it is known, whatever it bounds.
    let is_time = of.metric.starts_with('p');
    let value =
        |value: Option<f64>| if is_time { show::ms(value.map(|us| us / 1e3)) } else { show::share(value) };
    let effect = |effect: f64| match (is_time, effect.is_finite()) {
        (_, false) => show::NONE.to_owned(),
        (true, true) => format!("×{effect:.2}"),
        (false, true) => format!("{:+.3} %", effect * 100.0),
    };
    let (class, word) = match of.standing {
        Standing::Worse => ("bad", "worse"),
        Standing::Harmless => ("good", "no harm"),
        Standing::Open => ("unsure", "open"),
        Standing::TooLittle => ("unsure", "too little evidence"),
    };
    [
        format!("<b>{}</b>", Text(&of.metric)),
        value(of.canary),
        value(of.stable),
        of.effect.map_or_else(|| show::NONE.to_owned(), effect),
        format!("{} to {}", effect(of.interval.0), effect(of.interval.1)),
        text(harm),
        format!("{} / {}", show::count(of.samples.0), show::count(of.samples.1)),
        format!("<span class=\"state {class}\">{word}</span>"),
    ]
}
