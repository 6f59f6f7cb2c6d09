//! The tables of the page.

use gauntlet_core::judge::{Finding, State, Verdict};

use super::section;
use crate::report::{
    Story,
    escape::Text,
    reason, show,
    story::{BehaviourStory, DrillStory, FaultStory, Gain, GainKind, Moment, MomentKind, PhaseStory},
};

/// Columns by their heads; a head that begins with `#` is of numbers, one that begins with `=` is never broken.
pub(super) struct Table {
    heads: &'static [&'static str],
    rows: String,
}

impl Table {
    pub(super) fn new(heads: &'static [&'static str]) -> Self {
        Self { heads, rows: String::new() }
    }

    /// A row of cells, which are HTML.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cell = |(head, cell): (&&str, String)| format!("<td{}>{cell}</td>", class(head));
        let cells: String = self.heads.iter().zip(cells).map(cell).collect();
        self.rows += &format!("<tr>{cells}</tr>\n");
    }

    pub(super) fn html(self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let head = |head: &&str| {
            format!("<th scope=\"col\"{}>{}</th>", class(head), Text(head.trim_start_matches(['#', '='])))
        };
        let heads: String = self.heads.iter().map(head).collect();
        format!(
            "<div class=\"wide\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
            self.rows
        )
    }
}

fn class(head: &str) -> &'static str {
    match head.chars().next() {
        Some('#') => " class=\"number\"",
        Some('=') => " class=\"whole\"",
        _ => "",
    }
}

pub(super) fn text(value: impl std::fmt::Display) -> String {
    Text(value).to_string()
}

/// A state as a word on its colour.
pub(super) fn state(state: State) -> String {
    let class = match state {
        State::Met => "good",
        State::Unknown | State::Invalid | State::Interrupted => "unsure",
        State::Missed | State::SetUp | State::Broken | State::Residue => "bad",
    };
    format!("<span class=\"state {class}\">{}</span>", reason::state(state))
}

/// What was measured, and under it why it counts.
pub(super) fn measured(finding: &Finding) -> String {
    format!("<b>{}</b><small>{}</small>", Text(&finding.measured), Text(&finding.detail))
}

pub(super) fn objectives(story: &Story, verdict: &Verdict) -> String {
    let texts: Vec<String> = story.objectives.iter().map(|objective| objective.text.clone()).collect();
    let (own, _) = reason::split(verdict, &texts);
    let mut table = Table::new(&["=objective", "=at", "measured", "=bound", "#samples", "state"]);
    for (index, finding) in own.iter().enumerate() {
        let again = index > 0 && own[index - 1].what == finding.what;
        let bound = story.objectives.iter().find(|objective| objective.text == finding.what);
        table.row([
            if again { String::new() } else { format!("<b>{}</b>", Text(&finding.what)) },
            text(finding.at.as_deref().unwrap_or("judged phases")),
            measured(finding),
            text(bound.map_or("", |objective| &objective.bound)),
            show::count(finding.samples),
            state(finding.state),
        ]);
    }
    for objective in
        story.objectives.iter().filter(|objective| own.iter().all(|finding| finding.what != objective.text))
    {
        let (name, bound) = (format!("<b>{}</b>", Text(&objective.text)), text(&objective.bound));
        table.row([
            name,
            String::new(),
            "nothing was found on it".into(),
            bound,
            "0".into(),
            state(State::Unknown),
        ]);
    }
    section("Objectives", "", &table.html())
}

pub(super) fn checks(story: &Story, verdict: &Verdict) -> String {
    let texts: Vec<String> = story.objectives.iter().map(|objective| objective.text.clone()).collect();
    let mut table = Table::new(&["check", "=at", "measured", "#samples", "state"]);
    for finding in reason::split(verdict, &texts).1 {
        table.row([
            format!("<b>{}</b><small>{}</small>", Text(&finding.what), Text(&finding.judge)),
            text(finding.at.as_deref().unwrap_or("the run")),
            measured(finding),
            show::count(finding.samples),
            state(finding.state),
        ]);
    }
    section("Checks", "", &table.html())
}

pub(super) fn phases(story: &Story) -> String {
    let mut table = Table::new(&[
        "phase",
        "#requests",
        "#offered",
        "#right",
        "#errors",
        "#p50",
        "#p90",
        "#p95",
        "#p99",
        "#p99.9",
        "#longest",
    ]);
    for phase in &story.phases {
        let PhaseStory { requests, latency_ms: of, raw_latency_ms: raw, .. } = phase;
        let both = |of, raw| {
            let show = |value| show::percentile(value, *requests);
            format!("{}<small>{}</small>", show(of), show(raw))
        };
        let judged = if phase.judged { "" } else { "<small>not judged</small>" };
        let classes = phase.classes.iter().filter(|(class, _)| **class != "ok");
        let classes: Vec<String> = classes.map(|(class, count)| format!("{class} {count}")).collect();
        table.row([
            format!(
                "<b>{}</b><small>{} to {} s</small>{judged}",
                Text(&phase.name),
                phase.begins_s,
                phase.ends_s
            ),
            show::count(*requests),
            show::rate(phase.offered_per_s),
            show::rate(phase.right_per_s),
            format!("{}<small>{}</small>", show::share(phase.errors), classes.join("<br/>")),
            both(of.p50, raw.p50),
            both(of.p90, raw.p90),
            both(of.p95, raw.p95),
            both(of.p99, raw.p99),
            both(of.p999, raw.p999),
            format!("{}<small>{}</small>", show::ms(of.max), show::ms(raw.max)),
        ]);
    }
    let about = "By intended start. Latency: from the moment at which the schedule wanted the request sent, so that a stall \
                 is not omitted; this is what is judged. Below it, small: raw, from the moment at which it was sent. A \
                 request without a right answer counts as endless.";
    section("Phases", about, &table.html())
}

pub(super) fn behaviours(story: &Story) -> String {
    let mut table = Table::new(&[
        "behaviour",
        "#planned",
        "#real",
        "#requests",
        "#right",
        "#errors",
        "#p50",
        "#p95",
        "#p99",
        "#longest",
    ]);
    for behaviour in &story.behaviours {
        let BehaviourStory { requests, latency_ms: of, .. } = behaviour;
        let ms = |value| show::percentile(value, *requests);
        table.row([
            format!("<b>{}</b>", Text(&behaviour.name)),
            show::share(Some(behaviour.planned)),
            show::share(Some(behaviour.real)),
            show::count(*requests),
            show::count(behaviour.right),
            show::share(behaviour.errors),
            ms(of.p50),
            ms(of.p95),
            ms(of.p99),
            show::ms(of.max),
        ]);
    }
    let about =
        "Planned and real: shares of the arrivals of the whole load. The rest is of the judged phases.";
    section("Behaviours", about, &table.html())
}

const FAULTS: &[&str] =
    &["fault", "#planned", "#first act", "#in force", "#healing", "#healed", "what the witness read"];
const ROLLOUTS: &[&str] =
    &["rollout", "#planned", "#first act", "#complete", "#healing", "#undone", "what the witness read"];
const STAGES: &[&str] =
    &["stage", "#planned", "#begun", "#complete", "#settling", "#settled", "what the witness read"];

pub(super) fn faults(story: &Story) -> String {
    let about = "Seconds since the load began. In force: the effect was seen. Healed: the witness saw that nothing is left.";
    section("Faults", about, &spans(FAULTS, &story.faults))
}

/// Nothing where nothing was rolled out.
pub(super) fn rollouts(story: &Story) -> String {
    if story.rollouts.is_empty() {
        return String::new();
    }
    let about = "Seconds since the load began. Complete: the witness saw that every replica runs the revision and is ready. Undone: at the end of the run, or when it did not complete.";
    section("Rollouts", about, &spans(ROLLOUTS, &story.rollouts))
}

/// Nothing where nothing was drilled.
pub(super) fn drills(story: &Story) -> String {
    if story.drill_stages.is_empty() {
        return String::new();
    }
    let about = "RPO: how long before the destruction the oldest lost write was acknowledged. RTO: from the destruction to the first right answer on a record. p95 in backup: of all requests while the backup was taken, and before the first drill; a failure is infinitely slow. Backups are kept beside this report. Stages: seconds since the load began.";
    section("Drills", about, &(measures(&story.drills) + &spans(STAGES, &story.drill_stages)))
}

/// What drills measured, a row each.
pub(super) fn measures(drills: &[DrillStory]) -> String {
    let mut table = Table::new(&[
        "drill",
        "#writes acknowledged",
        "#lost",
        "#RPO",
        "#RTO",
        "#full service",
        "#p95 in backup (before)",
        "#refused",
    ]);
    for drill in drills {
        let restores = drill.offered == 0;
        let only = |shown: String| if restores { shown } else { show::NONE.to_owned() };
        let none = || show::NONE.to_owned();
        table.row([
            format!("<b>{}</b>", Text(&drill.title)),
            show::count(drill.acknowledged),
            only(drill.lost.map_or_else(none, show::count)),
            only(show::moment(drill.rpo_s)),
            only(show::moment(drill.rto_s)),
            only(show::moment(drill.full_service_s)),
            backup_effect(drill),
            if restores { none() } else { format!("{} of {}", drill.refused, drill.offered) },
        ]);
    }
    table.html()
}

/// What users had of the backup.
fn backup_effect(drill: &DrillStory) -> String {
    let (Some(during), Some(before)) = (&drill.during_backup, &drill.before_backup) else {
        return show::NONE.to_owned();
    };
    format!("{} ({})", show::ms(during.p95_ms), show::ms(before.p95_ms))
}

fn spans(head: &'static [&'static str], spans: &[FaultStory]) -> String {
    let mut table = Table::new(head);
    for fault in spans {
        let FaultStory { began_s, entered_s, healing_s, healed_s, .. } = fault;
        let proof = |proof: &crate::report::story::ProofStory| {
            let at = show::moment(proof.at_s);
            format!("<small>{at}: {} – read <b>{}</b></small>", Text(&proof.proof), Text(&proof.reading))
        };
        table.row([
            format!("<b>{}</b><small>{}</small>", Text(&fault.title), Text(fault.acts.join(", "))),
            show::moment(Some(fault.planned_s)),
            show::moment(*began_s),
            show::moment(*entered_s),
            show::moment(*healing_s),
            show::moment(*healed_s),
            fault.proofs.iter().map(proof).collect(),
        ]);
    }
    table.html()
}

pub(super) fn generator(story: &Story) -> String {
    let generator = &story.generator;
    let mut table = Table::new(&["the generator's own", "#value", "limit"]);
    let mut row = |name: &str, value: String, limit: String| table.row([name.to_owned(), value, limit]);
    let lag = &generator.lag_ms;
    match &generator.counts {
        None => row("its own counts", "none: it did not end in order".into(), String::new()),
        Some(counts) => {
            let share = (counts.scheduled > 0).then(|| counts.sent as f64 / counts.scheduled as f64);
            row("scheduled", show::count(counts.scheduled), String::new());
            let least = format!("at least {}", show::share(Some(generator.sent_limit)));
            row("sent", format!("{} ({})", show::count(counts.sent), show::share(share)), least);
            row("dropped at the cap of requests in flight", show::count(counts.capped), String::new());
            let cap = format!("cap {}", show::count(counts.in_flight_cap));
            row("most requests in flight", show::count(counts.in_flight_peak), cap);
            row("rows that could not be recorded", show::count(counts.rows_refused), "none".into());
            row("connections opened", show::count(counts.connections), String::new());
        }
    }
    let lags = format!("{} / {} / {}", show::ms(lag.p50), show::ms(lag.p99), show::ms(lag.max));
    row("lag: p50 / p99 / longest", lags, format!("p99 at most {}", show::ms(Some(generator.lag_limit_ms))));
    let asked =
        format!("{} ({} without a right answer)", show::count(generator.audited), generator.audits_failed);
    row("records asked for after the load", asked, String::new());
    let about = "Whether the load that was planned was really offered, and in time. Lag is how late the generator itself sent.";
    section("The generator", about, &table.html())
}

pub(super) fn series(story: &Story) -> String {
    let (counters, gauges): (Vec<&Gain>, Vec<&Gain>) =
        story.series.iter().partition(|gain| gain.kind == GainKind::Counter);
    let names: Vec<&str> =
        story.phases.iter().filter(|phase| phase.judged).map(|phase| phase.name.as_str()).collect();
    let counters = gains(&merged(&counters), &names, "all");
    let gauges = gains(&gauges.into_iter().cloned().collect::<Vec<_>>(), &names, "largest");
    let gauges = if gauges.is_empty() {
        gauges
    } else {
        format!("<details><summary>Gauges: the largest value of any replica</summary>\n{gauges}</details>\n")
    };
    let about = "What components count themselves: the increase in each judged phase, summed over replicas and restarts.";
    section("Exported series", about, &(counters + &gauges))
}

/// Most series of one metric that stood still and are told one by one.
const STILL: usize = 2;

/// Many series of one metric that stood still become one line.
fn merged(gains: &[&Gain]) -> Vec<Gain> {
    let still = |gain: &Gain| gain.all.is_none_or(|all| all <= 0.0);
    let mut lines: Vec<Gain> = Vec::new();
    for gain in gains {
        let own = |other: &&&Gain| {
            other.component == gain.component && other.metric() == gain.metric() && still(other)
        };
        let family: Vec<&&Gain> = gains.iter().filter(own).collect();
        if !still(gain) || family.len() <= STILL {
            lines.push((*gain).clone());
        } else if family.first().is_some_and(|first| std::ptr::eq(**first, *gain)) {
            let series = format!("{} ({} series that stood still)", gain.metric(), family.len());
            lines.push(Gain { series, ..(*gain).clone() });
        }
    }
    lines
}

fn gains(gains: &[Gain], phases: &[&str], all: &str) -> String {
    if gains.is_empty() {
        return String::new();
    }
    let head: String = phases
        .iter()
        .chain([&all])
        .map(|name| format!("<th class=\"number\" scope=\"col\">{}</th>", Text(name)))
        .collect();
    let row = |gain: &Gain| {
        let values = gain.phases.iter().chain([&gain.all]);
        let values: String =
            values.map(|value| format!("<td class=\"number\">{}</td>", show::value(*value))).collect();
        format!(
            "<tr><td>{}</td><td><code>{}</code></td>{values}</tr>\n",
            Text(&gain.component),
            Text(&gain.series)
        )
    };
    let rows: String = gains.iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">component</th><th scope=\"col\">series</th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

pub(super) fn timeline(story: &Story) -> String {
    let (set_up, main): (Vec<&Moment>, Vec<&Moment>) =
        story.timeline.iter().partition(|moment| moment.kind == MomentKind::SetUp);
    let set_up = moments(&set_up);
    let details = if set_up.is_empty() {
        set_up
    } else {
        format!("<details><summary>Starting and ending the system</summary>\n{set_up}</details>\n")
    };
    section(
        "What happened",
        "Seconds since the run began, and since the load began.",
        &(moments(&main) + &details),
    )
}

fn moments(moments: &[&Moment]) -> String {
    let mut table = Table::new(&["#run", "#load", "what"]);
    for moment in moments {
        let class = match moment.kind {
            MomentKind::Run | MomentKind::SetUp => "quiet",
            MomentKind::Load => "load",
            MomentKind::Fault => "fault",
            MomentKind::Rollout => "rollout",
            MomentKind::Drill => "drill",
            MomentKind::Trouble => "trouble",
        };
        let text = format!("<span class=\"moment {class}\">{}</span>", Text(&moment.text));
        table.row([show::moment(Some(moment.at_s)), show::moment(moment.load_s), text]);
    }
    table.html().replace("<table>", "<table class=\"tight\">")
}

pub(super) fn provenance(story: &Story) -> String {
    let mut table = Table::new(&["what", "which"]);
    let mut row = |name: &str, value: &str| table.row([text(name), format!("<code>{}</code>", Text(value))]);
    row("run", &story.run);
    row("gauntlet", &story.version);
    row("seed", &story.seed.to_string());
    story.provenance.iter().for_each(|(name, value)| row(name, value));
    for setting in &story.settings {
        row(
            &format!("{}: {}", setting.component, setting.ask),
            &format!("{} (must be {})", setting.is, setting.must),
        );
    }
    let command =
        format!("<p class=\"about\">This repeats it:</p>\n<pre>{}</pre>\n", Text(story.command_line()));
    section("Provenance", "", &(command + &table.html()))
}

#[cfg(test)]
mod tests {
    use super::merged;
    use crate::report::story::{Gain, GainKind};

    fn gain(series: &str, all: f64) -> Gain {
        let kind = GainKind::Counter;
        Gain {
            component: "ingress".into(),
            series: series.into(),
            kind,
            phases: vec![Some(all)],
            all: Some(all),
        }
    }

    #[test]
    fn what_moved_is_told_one_by_one_and_many_that_stood_still_together() {
        let gains = [
            gain("answers_total{code=\"2xx\"}", 70.0),
            gain("answers_total{code=\"3xx\"}", 0.0),
            gain("answers_total{code=\"4xx\"}", 0.0),
            gain("answers_total{code=\"5xx\"}", 0.0),
            gain("retries_total{proxy=\"once\"}", 0.0),
        ];
        let lines: Vec<String> =
            merged(&gains.iter().collect::<Vec<_>>()).into_iter().map(|line| line.series).collect();
        let expected = [
            "answers_total{code=\"2xx\"}",
            "answers_total (3 series that stood still)",
            "retries_total{proxy=\"once\"}",
        ];
        assert_eq!(lines, expected);
    }
}
