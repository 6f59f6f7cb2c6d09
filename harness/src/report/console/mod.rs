//! The console: live progress while a run goes on, and its verdict. On a terminal one line is redrawn, and what matters
//! later stays above it; elsewhere (CI) a line comes every five seconds.

use std::{io::Write, path::Path, time::Duration};

use gauntlet_core::{
    evidence::{Event, Request, What},
    judge::Verdict,
    plan::Plan,
};

use crate::journal::Recorded;

use super::{
    show,
    story::{MomentKind, Titles},
};

mod live;
mod paint;
mod table;

use live::Live;
pub use paint::Style;
use paint::{Colour, WIDTH, fit, wrap};

/// How often a line comes where nothing can be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Tells a run to a person. Failing to do so is ignored: a closed terminal must not end a run.
pub struct Console {
    out: Box<dyn Write + Send>,
    style: Style,
    titles: Titles,
    live: Live,
    seed: u64,
    command: Option<String>,
    /// Whether the status line stands below.
    drawn: bool,
    told: Option<Duration>,
}

impl Console {
    /// A console for a run of this plan.
    pub fn new(plan: &Plan, out: impl Write + Send + 'static, style: Style) -> Self {
        Self {
            out: Box::new(out),
            style,
            titles: Titles::of(plan),
            live: Live::new(plan),
            seed: plan.seed.0,
            command: None,
            drawn: false,
            told: None,
        }
    }

    /// A console for the verdict on a recorded run: it knows the command that repeats it.
    pub fn of(recorded: &Recorded, out: impl Write + Send + 'static, style: Style) -> Self {
        let command = Some(super::story::command_line(&recorded.began().command));
        Self { command, ..Self::new(recorded.plan(), out, style) }
    }

    /// Takes an event of the run.
    pub fn event(&mut self, event: &Event) {
        self.live.event(event, &self.titles);
        if let What::Began(began) = &event.what {
            self.command = Some(super::story::command_line(&began.command));
            let plan = &began.plan;
            let head = format!("{} on {} · {}", plan.scenario, plan.target, began.run);
            self.line(&self.style.paint(Colour::Bold, &fit(&head, WIDTH)));
            self.line(&fit(&plan.hypothesis, WIDTH));
        }
        if let Some((colour, text)) = self.lasting(event) {
            let at = format!("{:>7.1}s", event.at_us as f64 / 1e6);
            for (number, part) in wrap(&text, WIDTH - 10).iter().enumerate() {
                let at = if number == 0 { at.clone() } else { " ".repeat(at.len()) };
                self.line(&format!("{at}  {}", self.style.paint(colour, part)));
            }
        }
    }

    /// Takes rows of the load.
    pub fn rows(&mut self, rows: &[Request]) {
        self.live.rows(rows);
    }

    /// So long after the run began: redraws the status, or says it when its time has come.
    pub fn tick(&mut self, elapsed: Duration) {
        let status = fit(&self.live.status(elapsed), WIDTH);
        if self.style.redraws() {
            let _ = write!(self.out, "\r\x1b[2K{status}");
            self.drawn = true;
        } else if self.told.is_none_or(|told| elapsed.saturating_sub(told) >= PLAIN_EVERY) {
            self.told = Some(elapsed);
            let _ = writeln!(self.out, "{status}");
        }
        let _ = self.out.flush();
    }

    /// Says how it ended, where the report is, and on anything but a pass how to repeat it.
    pub fn verdict(&mut self, verdict: &Verdict, report_dir: &Path, elapsed: Duration) {
        self.line("");
        for line in table::lines(verdict, self.style) {
            self.line(&line);
        }
        for line in self.closing(verdict, report_dir, elapsed) {
            self.line(&line);
        }
    }

    fn closing(&self, verdict: &Verdict, report_dir: &Path, elapsed: Duration) -> Vec<String> {
        let outcome = verdict.outcome;
        let word = self.style.paint(paint::of_outcome(outcome), &outcome.word().to_uppercase());
        let mut lines = vec![
            String::new(),
            format!("{word}  in {}, exit code {}", show::clock(elapsed.as_secs_f64()), outcome.exit_code()),
        ];
        lines.extend(wrap(&super::reason::sentence(verdict), WIDTH));
        lines.push(format!("report  {}", report_dir.join("report.html").display()));
        if outcome.exit_code() != 0 {
            lines.push(format!("seed    {}", self.seed));
            lines.extend(self.command.iter().map(|command| format!("repeat  {command}")));
        }
        lines
    }

    /// What stays on the console of an event.
    fn lasting(&self, event: &Event) -> Option<(Colour, String)> {
        let (kind, text) = self.titles.tell(&event.what);
        match (&event.what, kind) {
            (What::Trouble { .. } | What::Interrupted, _) => Some((Colour::Red, text)),
            (What::Phase { .. }, _) => Some((Colour::Bold, text)),
            (What::LoadBegan | What::LoadEnded(_), _) => Some((Colour::Plain, text)),
            (What::Entered { .. }, MomentKind::Fault) => Some((Colour::Yellow, text)),
            (What::Healed { .. }, MomentKind::Fault) => Some((Colour::Green, text)),
            (What::Entering { .. }, MomentKind::Rollout | MomentKind::Drill) => Some((Colour::Yellow, text)),
            (What::Entered { .. }, MomentKind::Rollout | MomentKind::Drill) => Some((Colour::Green, text)),
            _ => None,
        }
    }

    /// A line that stays, above the status.
    fn line(&mut self, text: &str) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(self.out, "\r\x1b[2K");
        }
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }
}
