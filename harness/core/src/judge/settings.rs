//! Settings: what the system file demands of components, against what was read back of them.

use super::{Finding, State, proofs::finding};
use crate::{evidence::What, name::Name, plan::Plan, system::Must};

/// What must hold, and what was read.
pub(super) struct Settings {
    musts: Vec<(Name, Must)>,
    read: Vec<Setting>,
}

/// What was read back of a component.
struct Setting {
    component: Name,
    ask: String,
    must: String,
    is: String,
}

impl Setting {
    fn answers(&self, component: &Name, must: &Must) -> bool {
        self.component == *component && self.ask == must.sql
    }
}

impl Settings {
    /// Nothing was read yet.
    pub(super) fn new(plan: &Plan) -> Self {
        Self { musts: plan.musts.clone(), read: Vec::new() }
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, what: &What) {
        if let What::Setting { component, ask, must, is } = what {
            let (component, ask) = (component.clone(), ask.clone());
            self.read.push(Setting { component, ask, must: must.clone(), is: is.clone() });
        }
    }

    /// One for each that must hold, and one for each other that was read wrong.
    pub(super) fn findings(&self, omitted: State) -> Vec<Finding> {
        let planned = self.musts.iter().map(|(component, must)| self.planned(component, must, omitted));
        planned.chain(self.unplanned()).collect()
    }

    fn planned(&self, component: &Name, must: &Must, omitted: State) -> Finding {
        let mine = self.read.iter().filter(|setting| setting.answers(component, must));
        let read: Vec<&str> = mine.map(|setting| setting.is.as_str()).collect();
        let (state, measured) = match read.iter().find(|is| **is != must.is) {
            Some(wrong) => (State::SetUp, (*wrong).to_owned()),
            None if read.is_empty() => (omitted, "not read".into()),
            None => (State::Met, must.is.clone()),
        };
        let detail = format!("`{}` of {component} must be {}", must.sql, must.is);
        let samples = read.len() as u64;
        Finding { at: Some(component.to_string()), measured, samples, ..finding("setting", state, detail) }
    }

    /// Settings that were read back wrong though the plan does not list them.
    fn unplanned(&self) -> impl Iterator<Item = Finding> {
        let planned =
            |setting: &Setting| self.musts.iter().any(|(component, must)| setting.answers(component, must));
        let wrong = self.read.iter().filter(move |setting| setting.is != setting.must && !planned(setting));
        wrong.map(|setting| {
            let detail = format!("`{}` of {} must be {}", setting.ask, setting.component, setting.must);
            let at = Some(setting.component.to_string());
            Finding {
                at,
                measured: setting.is.clone(),
                samples: 1,
                ..finding("setting", State::SetUp, detail)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        evidence::What,
        judge::{State, testing::Story},
        outcome::Outcome,
    };

    #[test]
    fn a_setting_that_is_wrong_is_a_failed_set_up_and_one_that_was_not_read_is_inconclusive() {
        let mut story = Story::good();
        for event in &mut story.events {
            if let What::Setting { is, .. } = &mut event.what {
                *is = "off".into();
            }
        }
        let finding = story.finding("setting", Some("database"));
        assert_eq!((finding.state, finding.measured.as_str()), (State::SetUp, "off"));
        story.plan.musts.clear();
        assert_eq!(story.verdict().outcome, Outcome::SetupFailed);
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Setting { .. }));
        assert_eq!(story.state("setting", None), State::Invalid);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_setting_with_a_longer_name_does_not_answer_for_another() {
        let mut story = Story::good();
        for event in &mut story.events {
            if let What::Setting { ask, .. } = &mut event.what {
                ask.push_str("_too");
            }
        }
        assert_eq!(story.state("setting", Some("database")), State::Invalid);
    }
}
