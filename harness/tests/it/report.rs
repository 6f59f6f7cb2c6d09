//! Reports: what people and machines read of a run, as snapshots; and that nothing from outside becomes markup.

use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use gauntlet::{
    journal::Recorded,
    report::{Console, FORMATS, Style, story::Story, write_all},
};
use gauntlet_core::{
    evidence::{Event, Machine, Surroundings, What},
    judge::{Finding, State, Verdict},
    outcome::Outcome,
};
use serde_json::Value;

use crate::synthetic::{Run, plan};

/// Replaces what differs from machine to machine.
struct Redactor(Vec<(String, &'static str)>);

impl Redactor {
    fn of(dir: &Path) -> Self {
        Self(vec![
            (dir.display().to_string(), "[dir]"),
            ("20260102-030405-abcd".into(), "[run]"),
            ("2026-01-02T03:04:05Z".into(), "[time]"),
        ])
    }

    fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

/// What a console printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn finding(judge: &str, what: &str, at: Option<&str>, state: State, measured: &str) -> Finding {
    Finding {
        judge: judge.into(),
        what: what.into(),
        at: at.map(str::to_owned),
        state,
        measured: measured.into(),
        samples: 2_750,
        detail: "from the intended start; uncorrected 61.2 ms; 95 % interval 58.1 ms to 92.0 ms".into(),
    }
}

fn verdict(p95: State) -> Verdict {
    Verdict::of(vec![
        finding("slo", "p95 < 200ms", Some("baseline"), State::Met, "p95 17.4 ms"),
        finding("slo", "p95 < 200ms", Some("fault"), p95, "p95 312.0 ms"),
        finding("slo", "errors < 0.5%", Some("fault"), State::Met, "0.473 %"),
        finding("recovery", "recovery < 5s", Some("kill service-1"), State::Met, "1.00 s"),
        finding("no-lost-write", "no-lost-write", None, State::Met, "200 writes, none lost"),
        finding("proofs", "every fault took effect", None, State::Met, "2 of 2"),
    ])
}

fn story(scenario: &str) -> (Story, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    Run::of(scenario).write(dir.path()).unwrap();
    (Story::of(&Recorded::open(dir.path()).unwrap()), dir)
}

fn render(file: &str, story: &Story, verdict: &Verdict) -> String {
    let format = FORMATS.iter().find(|format| format.file == file).unwrap();
    (format.render)(story, verdict)
}

/// Feeds a whole run to a console, a second at a time.
fn watched(style: Style) -> String {
    let printed = Printed::default();
    let run = Run::of("benchmarks");
    let mut console = Console::new(&plan("benchmarks"), printed.clone(), style);
    let mut told = 0;
    for second in 0..75u64 {
        let now_us = second * 1_000_000;
        let until = |at_us: u64| now_us.saturating_sub(1_000_000) <= at_us && at_us < now_us;
        let events: Vec<&Event> = run.events.iter().filter(|event| until(event.at_us)).collect();
        events.into_iter().for_each(|event| console.event(event));
        let done = run.rows.partition_point(|row| row.done_us + crate::synthetic::ZERO_US < now_us);
        console.rows(&run.rows[told..done.max(told)]);
        told = done.max(told);
        console.tick(Duration::from_micros(now_us));
    }
    console.verdict(
        &verdict(State::Missed),
        Path::new("reports/benchmarks/20260102-030405-abcd"),
        Duration::from_secs(74),
    );
    printed.text()
}

#[test]
fn a_plain_console_says_what_matters_and_a_line_every_five_seconds() {
    let text = watched(Style::Plain);
    assert!(!text.contains('\x1b') && !text.contains('\r'), "{text}");
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(long.is_empty(), "{long:#?}");
    insta::assert_snapshot!("console_plain", Redactor::of(Path::new("[none]")).redact(&text));
}

#[test]
fn a_terminal_is_redrawn_and_keeps_the_same_lines() {
    let text = watched(Style::of(true, true));
    assert!(text.contains("\r\x1b[2K"));
    let plain = watched(Style::Plain);
    let kept = |text: &str| -> Vec<String> {
        let lasting = text.lines().map(|line| line.rsplit("\x1b[2K").next().unwrap_or_default().to_owned());
        lasting.filter(|line| line.contains("service-") || line.contains("phase ")).collect()
    };
    let statuses = |line: &String| line.contains("errors 1") || line.contains("/1:05");
    let plain: Vec<String> = kept(&plain).into_iter().filter(|line| !statuses(line)).collect();
    assert_eq!(kept(&text).into_iter().filter(|line| !statuses(line)).collect::<Vec<_>>(), plain);
    assert!(watched(Style::of(true, false)).contains("\x1b[31m"), "no colour");
}

#[test]
fn what_a_run_stood_on_is_in_every_report_and_what_changed_stands_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::of("benchmarks");
    let look = |image: &str| {
        let known = [("image/service", image), ("node/worker", "kubelet v1.34.4")];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let machine = Machine { unready: None, since: "then".into() };
        let machines = [("worker".to_owned(), machine)].into();
        What::LookedAround(Surroundings { known, machines, diagnostics: None })
    };
    let place =
        |run: &Run, load: fn(&What) -> bool| run.events.iter().position(|event| load(&event.what)).unwrap();
    let began = place(&run, |what| matches!(what, What::LoadBegan));
    run.events.insert(began, Event { at_us: run.events[began].at_us, what: look("shop:1 sha256:11") });
    let ended = place(&run, |what| matches!(what, What::LoadEnded(_))) + 1;
    run.events.insert(ended, Event { at_us: run.events[ended].at_us, what: look("shop:2 sha256:22") });
    run.write(dir.path()).unwrap();
    let recorded = Recorded::open(dir.path()).unwrap();
    let story = Story::of(&recorded);
    let report: Value = serde_json::from_str(&render("report.json", &story, &verdict(State::Met))).unwrap();
    let known = &report["provenance"];
    assert_eq!(known["commit"], "0123456789abcdef");
    assert_eq!(known["image/service"], "shop:1 sha256:11");
    assert_eq!(known["image/service, at the end"], "shop:2 sha256:22");
    assert_eq!(known["node/worker"], "kubelet v1.34.4");
    assert!(known.get("node/worker, at the end").is_none(), "{known}");
    for file in ["report.html", "junit.xml"] {
        let text = render(file, &story, &verdict(State::Met));
        assert!(text.contains("shop:1 sha256:11") && text.contains("shop:2 sha256:22"), "{file}");
    }
    let told =
        recorded.judge().findings.into_iter().find(|one| one.what.starts_with("the machines")).unwrap();
    assert_eq!((told.state, told.measured.as_str()), (State::Met, "1 of 1 stayed ready"));
}

#[test]
fn report_json_holds_the_verdict_and_all_numbers() {
    let (story, dir) = story("benchmarks");
    let text = render("report.json", &story, &verdict(State::Missed));
    let mut report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["seconds"].as_array().unwrap().len(), 65);
    report["seconds"].as_array_mut().unwrap().truncate(2);
    report["timeline"].as_array_mut().unwrap().truncate(3);
    let text = serde_json::to_string_pretty(&report).unwrap();
    insta::assert_snapshot!("report_json", Redactor::of(dir.path()).redact(&text));
}

#[test]
fn junit_xml_is_red_when_an_objective_is_missed() {
    let (story, dir) = story("benchmarks");
    let text = render("junit.xml", &story, &verdict(State::Missed));
    insta::assert_snapshot!("junit_xml", Redactor::of(dir.path()).redact(&text));
}

#[test]
fn junit_xml_is_green_exactly_when_the_run_has_passed() {
    let (story, _dir) = story("benchmarks");
    let states = [
        State::Met,
        State::Missed,
        State::Unknown,
        State::Invalid,
        State::SetUp,
        State::Interrupted,
        State::Broken,
        State::Residue,
    ];
    for verdict in states.map(verdict).into_iter().chain([Verdict::of(Vec::new())]) {
        let text = render("junit.xml", &story, &verdict);
        let green = !text.contains("<failure") && !text.contains("<error");
        assert_eq!(green, verdict.outcome == Outcome::Passed, "{text}");
        let counted = text.contains("failures=\"0\" errors=\"0\"");
        assert_eq!(counted, green, "{text}");
    }
}

#[test]
fn the_page_shows_every_objective_and_fault_and_loads_nothing() {
    let (story, _dir) = story("benchmarks");
    let page = render("report.html", &story, &verdict(State::Missed));
    well_formed(&page);
    for text in [
        "p95 &lt; 200ms",
        "errors &lt; 0.5%",
        "kill service-1",
        "pause service-2",
        "gauntlet run scenarios/gate/benchmarks.yml",
        "0123456789abcdef",
        "haproxy_backend_retry_warnings_total",
    ] {
        assert!(page.contains(text), "no {text:?}");
    }
    for objective in &story.objectives {
        let shown = objective.text.replace('<', "&lt;").replace('>', "&gt;");
        assert!(page.contains(&shown), "no {shown:?}");
    }
    for fetch in
        ["http://", "https://", "<script", "<link", "<img", "<iframe", "@import", " src=", "javascript:"]
    {
        assert!(!page.contains(fetch), "{fetch:?} on the page");
    }
}

#[test]
fn hostile_texts_stay_texts_in_every_format() {
    let hostile = "</title><script>alert(1)</script>\"'&<![CDATA[]]>\u{1b}[31m";
    let (story, _dir) = story(hostile);
    let mut verdict = verdict(State::Missed);
    verdict.findings[1].measured = hostile.into();
    verdict.findings[1].detail = hostile.into();
    let page = render("report.html", &story, &verdict);
    assert!(!page.contains("<script"));
    well_formed(&page);
    let xml = render("junit.xml", &story, &verdict);
    assert!(!xml.contains("<script") && !xml.contains("<![CDATA["), "{xml}");
    assert!(!xml.contains('\u{1b}'));
    let report: Value = serde_json::from_str(&render("report.json", &story, &verdict)).unwrap();
    assert_eq!(report["scenario"], hostile);
}

#[test]
fn a_run_that_never_had_a_load_still_has_a_report() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let run = Run { events: run.events[..3].to_vec(), samples: Vec::new(), rows: Vec::new() };
    run.write(dir.path()).unwrap();
    let recorded = Recorded::open(dir.path()).unwrap();
    let verdict = recorded.judge();
    assert_ne!(verdict.outcome, Outcome::Passed);
    write_all(dir.path(), &recorded, &verdict).unwrap();
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    well_formed(&page);
    assert!(page.contains("The journal is not whole"));
}

#[test]
fn all_reports_are_written_whole_or_the_failure_is_told() {
    let dir = tempfile::tempdir().unwrap();
    Run::of("benchmarks").write(dir.path()).unwrap();
    let recorded = Recorded::open(dir.path()).unwrap();
    write_all(dir.path(), &recorded, &recorded.judge()).unwrap();
    for format in &FORMATS {
        assert!(dir.path().join(format.file).metadata().unwrap().len() > 500, "{}", format.file);
    }
    let gone = dir.path().join("gone");
    let error = write_all(&gone, &recorded, &recorded.judge()).unwrap_err();
    assert_eq!(error.path, gone.join("report.html"));
}

/// Every element is closed in order; attributes are quoted.
fn well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("an element without its end");
        let (tag, after) = rest.split_at(end);
        rest = &after[1..];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "an open quote in <{tag}>");
        match () {
            () if tag.starts_with('!') || tag.ends_with('/') || name == "meta" => {}
            () if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "closed out of order"),
            () => open.push(name),
        }
        if name == "style" && !tag.starts_with('/') {
            let end = rest.find("</style>").expect("a style without its end");
            rest = &rest[end..];
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}
