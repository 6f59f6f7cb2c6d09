//! The time line: phases one after the other, and moments in them.

use std::time::Duration;

use super::Phase;
use crate::{
    scenario::{Moment, Scenario},
    unit::Span,
    yaml::{Book, Mistake},
};

/// The phase that is recorded, not judged.
const WARM_UP: &str = "warm-up";

/// The phases, in order, without gaps.
pub(super) fn phases(book: &mut Book<'_>, scenario: &Scenario) -> Vec<Phase> {
    let mut phases = Vec::with_capacity(scenario.phases.len());
    let mut begins = Duration::ZERO;
    for (name, length) in &scenario.phases {
        if length.micros() == 0 {
            let what = format!("the phase `{name}` has no length");
            book.say(
                Mistake::at(format!("phases.{name}"), what).mend("write a duration over 0s, or take it out"),
            );
        }
        let ends = begins.saturating_add(length.get());
        phases.push(Phase { name: name.clone(), begins, ends, judged: name.as_str() != WARM_UP });
        begins = ends;
    }
    if !phases.iter().any(|phase| phase.judged) {
        book.say(Mistake::at("phases", "no phase is judged").mend("add one, such as `baseline: 15s`"));
    }
    phases
}

/// When a moment is, and in which phase. A moment at or behind the end of its phase is none of it.
pub(super) fn moment<'a>(phases: &'a [Phase], moment: &Moment) -> Result<(Duration, &'a Phase), Mistake> {
    let names = phases.iter().map(|phase| phase.name.as_str());
    let found = phases.iter().find(|phase| phase.name == moment.phase);
    let phase = found.ok_or_else(|| Mistake::unknown("", "phase", moment.phase.as_str(), names))?;
    let lasts = phase.ends.saturating_sub(phase.begins);
    if moment.plus.get() >= lasts {
        let what = format!("`{moment}` is outside its phase: `{}` lasts {}", phase.name, show(lasts));
        return Err(Mistake::at("", what).mend(format!("write less than {} behind the `+`", show(lasts))));
    }
    Ok((phase.begins + moment.plus.get(), phase))
}

/// A duration as a file has it.
pub(super) fn show(duration: Duration) -> String {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use super::{moment, phases};
    use crate::{scenario, yaml::Book};

    type Line = (String, u64, u64, bool);

    fn lines(written: &str) -> (Vec<Line>, Vec<String>) {
        let text = format!("hypothesis: h\nsystem: s.yml\nphases: {written}\n");
        let scenario = scenario::read(text).unwrap();
        let mut book = Book::new(&scenario.places);
        let phases = phases(&mut book, &scenario);
        let lines =
            phases.iter().map(|p| (p.name.to_string(), p.begins.as_secs(), p.ends.as_secs(), p.judged));
        (lines.collect(), book.close().err().unwrap_or_default().iter().map(|m| m.show("x.yml")).collect())
    }

    #[test]
    fn phases_follow_each_other_and_a_warm_up_is_not_judged() {
        let (phases, mistakes) = lines("{ warm-up: 5s, baseline: 10s }");
        assert_eq!(phases, [("warm-up".into(), 0, 5, false), ("baseline".into(), 5, 15, true)]);
        assert!(mistakes.is_empty());
    }

    #[test]
    fn a_time_line_without_a_judged_phase_or_with_an_empty_one_is_told() {
        insta::assert_snapshot!(lines("{ warm-up: 5s }").1.join("\n"), @"x.yml:3:1: no phase is judged; add one, such as `baseline: 15s`");
        insta::assert_snapshot!(lines("{ baseline: 0s }").1.join("\n"), @"x.yml:3:21: the phase `baseline` has no length; write a duration over 0s, or take it out");
        insta::assert_snapshot!(lines("{}").1.join("\n"), @"x.yml:3:1: no phase is judged; add one, such as `baseline: 15s`");
    }

    #[test]
    fn a_moment_at_the_end_of_its_phase_is_outside() {
        let text = "hypothesis: h\nsystem: s.yml\nphases: { baseline: 10s, fault: 5s }\n";
        let scenario = scenario::read(text).unwrap();
        let phases = phases(&mut Book::new(&scenario.places), &scenario);
        let at = |text: &str| moment(&phases, &text.parse().unwrap()).map(|(at, _)| at.as_secs());
        assert_eq!(at("fault + 4s").unwrap(), 14);
        assert!(at("fault + 5s").unwrap_err().what.contains("outside its phase"));
        assert!(at("fualt + 1s").unwrap_err().mend.unwrap().contains("`fault`"));
    }
}
