//! `right-answers`: no answer with the expected status had a wrong body. It rests on the requests whose answers are
//! looked into; a request without checks of its body says nothing.

use super::{Finding, Judge, JudgeKind, State, bound, course::Course, show};
use crate::{
    evidence::{Class, Evidence, Operation, Request},
    plan::Plan,
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "right-answers",
    about: "every answer that is looked into is right",
    asked: true,
    make: |plan| Box::new(RightAnswers::new(plan)),
};

const EXAMPLES: usize = 5;

struct RightAnswers {
    course: Course,
    /// Behaviour and path of each step, and whether its answers are looked into.
    steps: Vec<(String, bool)>,
    samples: u64,
    wrong: u64,
    examples: Vec<String>,
}

impl RightAnswers {
    fn new(plan: &Plan) -> Self {
        let title = |step: &crate::plan::StepPlan| {
            format!("{} {} {}", step.behaviour, step.request.method.word(), step.request.path)
        };
        let checked = |step: &crate::plan::StepPlan| !step.request.expect.json.is_empty();
        Self {
            course: Course::new(plan),
            steps: plan.load.steps.iter().map(|step| (title(step), checked(step))).collect(),
            samples: 0,
            wrong: 0,
            examples: Vec::new(),
        }
    }

    fn count(&mut self, row: &Request) {
        let step = self.steps.get(usize::from(row.step));
        let wrong = row.class == Class::WrongBody;
        let checked = step.is_some_and(|(_, checked)| *checked) && row.class == Class::Ok;
        self.samples += u64::from(wrong || checked);
        self.wrong += u64::from(wrong);
        if wrong && self.examples.len() < EXAMPLES {
            let title = step.map_or("an unknown request", |(title, _)| title);
            let why = if row.operation == Operation::Write { "" } else { row.value.as_str() };
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            self.examples.push(format!(
                "at {} {title}{}{why}",
                show::moment(row.intended_us),
                show::arm(row)
            ));
        }
    }
}

impl Judge for RightAnswers {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.course.see(event),
            Evidence::Request(row) if row.operation != Operation::Audit => self.count(row),
            Evidence::Request(_) | Evidence::Metric(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let (state, why) = match (self.wrong, self.samples) {
            (0, 0) => (State::Unknown, "no answer was looked into".into()),
            (0, _) => (State::Met, "all of them are right".into()),
            (wrong, _) => {
                let more = wrong - self.examples.len() as u64;
                let more = if more == 0 { String::new() } else { format!("; and {more} more") };
                (State::Missed, format!("{}{more}", self.examples.join("; ")))
            }
        };
        let measured = format!("{} of {} wrong", self.wrong, show::count(self.samples, "answer"));
        let detail = format!("{why}; {}", self.course.kinds());
        vec![bound::check(KIND.name, state, self.samples, measured, detail)]
    }
}

#[cfg(test)]
mod tests {
    use super::KIND;
    use crate::{
        evidence::Class,
        judge::{State, testing::Story},
        outcome::Outcome,
    };

    #[test]
    fn only_answers_that_are_looked_into_count() {
        let finding = Story::good().finding(KIND.name, None);
        assert_eq!((finding.state, finding.samples), (State::Met, 3_500));
    }

    #[test]
    fn one_wrong_answer_fails_the_run_and_is_shown_with_time_and_arm() {
        let mut story = Story::good();
        story
            .spoil(|row| row.class = if row.intended_us == 4_000_000 { Class::WrongBody } else { row.class });
        let finding = story.finding(KIND.name, None);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Missed, "1 of 3500 answers wrong"));
        assert!(finding.detail.contains("at 4.00 s ask POST /ask by service-2"), "{}", finding.detail);
        assert_eq!(story.verdict().outcome, Outcome::Failed);
    }

    #[test]
    fn many_wrong_answers_are_shown_by_five() {
        let mut story = Story::good();
        story.spoil(|row| row.class = Class::WrongBody);
        let finding = story.finding(KIND.name, None);
        assert!(finding.detail.contains("and 4995 more"), "{}", finding.detail);
    }

    #[test]
    fn answers_that_nobody_looks_into_leave_it_unknown() {
        let mut story = Story::good();
        story.plan.load.steps.iter_mut().for_each(|step| step.request.expect.json.clear());
        assert_eq!(story.state(KIND.name, None), State::Unknown);
    }
}
