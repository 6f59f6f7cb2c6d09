//! A job, made ready before the run: templates cut into pieces, data sets serialised, every name resolved.

use std::{collections::BTreeMap, ops::Range};

use gauntlet_core::{
    name::Name,
    plan::{
        LoadPlan,
        load::{BehaviourPlan, LoadJob},
    },
};
use http::{HeaderName, HeaderValue};

mod data;
mod expectation;
mod parts;
mod scope;
mod step;

pub(crate) use data::DataSets;
pub(crate) use expectation::body_text;
pub(crate) use parts::Slot;
pub(crate) use step::{Prepared, Step, assemble};

use crate::{
    bindings::{Bindings, Missing},
    error::{PlanError, PlanFault},
    value::Form,
};
use data::DataBuilder;
use parts::Parts;
use scope::{PoolFields, Scope};

/// A job, ready to run.
pub(crate) struct Compiled {
    /// By the index that mixes use.
    pub(crate) behaviours: Vec<Behaviour>,
    /// By the index that rows use.
    pub(crate) steps: Vec<Step>,
    /// What is asked after the last arrival.
    pub(crate) audit: Option<Audit>,
    /// The data sets.
    pub(crate) data: DataSets,
    /// How many pools there are.
    pub(crate) pools: usize,
    /// The header that names who answered.
    pub(crate) arm_header: Option<HeaderName>,
    /// The value of `Host`.
    pub(crate) host: HeaderValue,
}

/// One behaviour.
pub(crate) struct Behaviour {
    /// Its requests.
    pub(crate) steps: Range<u16>,
    /// How many data bindings an arrival has.
    pub(crate) drawn: usize,
    /// How many captures an arrival has.
    pub(crate) captured: usize,
}

/// The request that finds all that stands under a key.
pub(crate) struct Audit {
    path: Parts,
    /// JSON pointer to an array.
    pub(crate) list: String,
    /// JSON pointer within each of its items.
    pub(crate) value: String,
}

/// Makes a job ready.
pub(crate) fn compile(job: &LoadJob) -> Result<Compiled, PlanError> {
    let plan = &job.plan;
    check_rates(plan)?;
    let pools = pool_fields(plan)?;
    let mut data = DataBuilder::new(&job.data);
    let mut steps = Vec::with_capacity(plan.steps.len());
    let mut behaviours = Vec::with_capacity(plan.behaviours.len());
    for behaviour in &plan.behaviours {
        let (compiled, of_it) = compile_behaviour(plan, behaviour, Scope::new(&mut data, &pools))?;
        behaviours.push(compiled);
        steps.extend(of_it);
    }
    steps.sort_by_key(|(index, _)| *index);
    let steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    if steps.len() != plan.steps.len() {
        return Err(PlanFault::NoSuch(steps.len()).at("the behaviours' ranges of steps"));
    }
    let audit = plan.audit.as_ref().map(|audit| {
        let path = Parts::path(&audit.path, &mut Scope::for_audit(&mut data, &pools))
            .map_err(|f| f.at("the audit's path"))?;
        Ok(Audit { path, list: audit.found.list.clone(), value: audit.found.value.clone() })
    });
    Ok(Compiled {
        behaviours,
        steps,
        audit: audit.transpose()?,
        data: data.finish(),
        pools: pools.len(),
        arm_header: plan
            .arm_header
            .as_deref()
            .map(header_name)
            .transpose()
            .map_err(|f| f.at("the arm header"))?,
        host: HeaderValue::from_str(&job.authority)
            .map_err(|_| PlanFault::NotAHeader(job.authority.clone()).at("the authority"))?,
    })
}

impl Audit {
    /// The path for one key.
    pub(crate) fn path(&self, bindings: &Bindings, data: &DataSets) -> Result<Vec<u8>, Missing> {
        let mut path = Vec::new();
        self.path.write(bindings, data, &mut path)?;
        Ok(path)
    }
}

fn compile_behaviour(
    plan: &LoadPlan,
    behaviour: &BehaviourPlan,
    mut scope: Scope<'_, '_>,
) -> Result<(Behaviour, Vec<(u16, Step)>), PlanError> {
    let range = behaviour.first..behaviour.first.saturating_add(behaviour.count);
    let mut steps = Vec::new();
    for index in range.clone() {
        let place = format!("step {index} ({})", behaviour.name);
        let planned = plan.steps.get(usize::from(index));
        let planned = planned.ok_or_else(|| PlanFault::NoSuch(index.into()).at(&place))?;
        let step = Step::compile(&planned.request, &mut scope)
            .map_err(|wrong| PlanError { place: format!("{place}, {}", wrong.place), fault: wrong.fault })?;
        steps.push((index, step));
    }
    let (drawn, captured) = scope.counts();
    Ok((Behaviour { steps: range, drawn, captured }, steps))
}

fn check_rates(plan: &LoadPlan) -> Result<(), PlanError> {
    for (n, stream) in plan.streams.iter().enumerate() {
        let place = format!("stream {n}");
        let rates = stream.segments.iter().flat_map(|segment| [segment.from, segment.to]);
        if let Some(rate) = rates.into_iter().find(|rate| !rate.is_finite() || *rate < 0.0) {
            return Err(PlanFault::NotARate(rate).at(place));
        }
        if let Some((index, _)) = stream.mix.iter().find(|(i, _)| usize::from(*i) >= plan.behaviours.len()) {
            return Err(PlanFault::NoSuch((*index).into()).at(place));
        }
        let shares = stream.mix.iter().map(|(_, share)| *share);
        if !shares.clone().all(|share| share >= 0.0 && share.is_finite()) || shares.sum::<f64>() <= 0.0 {
            return Err(PlanFault::NotAMix.at(place));
        }
    }
    Ok(())
}

/// Which fields each pool's items have: the same for all that fill it.
fn pool_fields(plan: &LoadPlan) -> Result<PoolFields, PlanError> {
    let mut pools: BTreeMap<Name, Option<Vec<Name>>> = BTreeMap::new();
    for step in &plan.steps {
        if let Some(pool) = &step.request.recall {
            pools.entry(pool.clone()).or_default();
        }
        if let Some(remember) = &step.request.remember {
            let fields: Vec<Name> = remember.fields.keys().cloned().collect();
            let known = pools.entry(remember.pool.clone()).or_default().get_or_insert_with(|| fields.clone());
            if *known != fields {
                return Err(
                    PlanFault::MixedPool(remember.pool.clone()).at(format!("a step of {}", step.behaviour))
                );
            }
        }
    }
    Ok(pools)
}

fn header_name(name: &str) -> Result<HeaderName, PlanFault> {
    name.parse().map_err(|_| PlanFault::NotAHeader(name.to_owned()))
}

/// Renders pieces as text.
fn rendered(parts: &Parts, bindings: &Bindings, data: &DataSets) -> Result<String, Missing> {
    let mut out = Vec::new();
    parts.write(bindings, data, &mut out)?;
    String::from_utf8(out).map_err(|_| Missing)
}

/// Pieces of a template that is a plain text.
fn plain(template: &gauntlet_core::system::Template, scope: &mut Scope<'_, '_>) -> Result<Parts, PlanFault> {
    Parts::text(template, Form::Plain, scope)
}

#[cfg(test)]
pub(crate) mod tests {
    use gauntlet_core::plan::load::LoadJob;
    use serde_json::{Value, json};

    use super::compile;
    use crate::error::LoadError;

    /// A job with one behaviour of these requests.
    pub(crate) fn job(steps: Vec<Value>) -> LoadJob {
        let count = steps.len();
        let steps: Vec<Value> =
            steps.into_iter().map(|request| json!({"behaviour": "visit", "request": request})).collect();
        serde_json::from_value(json!({
            "plan": {
                "seed": 1,
                "lasts": {"secs": 1, "nanos": 0},
                "streams": [{
                    "mix": [[0, 1.0]],
                    "arrivals": "even",
                    "segments": [{"lasts": {"secs": 1, "nanos": 0}, "from": 10.0, "to": 10.0}],
                }],
                "steps": steps,
                "behaviours": [{"name": "visit", "first": 0, "count": count}],
                "data": {"questions": "questions.json"},
                "audit": null,
                "arm_header": "x-replica",
                "in_flight": 100,
            },
            "authority": "127.0.0.1:1",
            "data": {"questions": [{"model": {"a": 1}, "truth": 0.5}, {"model": {"a": 2}, "truth": 0.25}]},
        }))
        .unwrap()
    }

    fn refused(job: &LoadJob) -> String {
        let Err(error) = compile(job) else { panic!("it was accepted") };
        LoadError::from(error).chain()
    }

    fn refused_step(step: Value) -> String {
        refused(&job(vec![step]))
    }

    #[test]
    fn names_that_nothing_binds_are_refused_with_their_place() {
        for expression in ["captured/id", "recalled/id", "question/model", "key"] {
            let told = refused_step(json!({"method": "GET", "path": format!("/{{{{{expression}}}}}")}));
            assert!(told.contains("step 0 (visit), path") && told.contains(expression), "{told}");
        }
    }

    #[test]
    fn a_missing_an_empty_and_a_ragged_data_set_are_refused() {
        let ask = |set: &str, field: &str| json!({"method": "GET", "path": format!("/{{{{question/{field}}}}}"), "draw": {"question": set}});
        assert!(refused_step(ask("riddles", "x")).contains("`riddles` is missing"));
        assert!(
            refused_step(ask("questions", "x"))
                .contains("item 0 of the data set `questions` has nothing at \"/x\"")
        );
        let mut empty = job(vec![ask("questions", "truth")]);
        empty.data.values_mut().for_each(Vec::clear);
        assert!(refused(&empty).contains("is empty"));
    }

    #[test]
    fn a_capture_is_known_after_its_step_and_not_before() {
        let first = json!({"method": "GET", "path": "/", "capture": {"id": "/id"}});
        let second = json!({"method": "GET", "path": "/{{captured/id}}"});
        assert!(compile(&job(vec![first.clone(), second.clone()])).is_ok());
        assert!(refused(&job(vec![second, first])).contains("captured/id"));
    }

    #[test]
    fn the_key_of_a_write_must_be_known_before_the_answer() {
        let step = json!({"method": "POST", "path": "/", "capture": {"id": "/id"},
            "mark": {"write": {"key": "{{captured/id}}", "value": "1"}}});
        assert!(refused_step(step).contains("mark"));
    }

    #[test]
    fn pools_with_different_fields_and_unknown_fields_are_refused() {
        let fill = |field: &str| json!({"method": "GET", "path": "/", "remember": {"pool": "p", "fields": {field: "1"}}});
        let take = json!({"method": "GET", "path": "/{{recalled/b}}", "recall": "p"});
        assert!(refused(&job(vec![fill("a"), fill("b")])).contains("different fields"));
        assert!(refused(&job(vec![fill("a"), take.clone()])).contains("recalled/b"));
        assert!(compile(&job(vec![fill("b"), take])).is_ok());
    }

    #[test]
    fn headers_that_the_generator_sets_and_paths_without_a_slash_are_refused() {
        for name in ["Host", "content-length", "Connection", "bad name"] {
            let told = refused_step(json!({"method": "GET", "path": "/", "headers": {name: "x"}}));
            assert!(told.contains(name), "{told}");
        }
        assert!(refused_step(json!({"method": "GET", "path": "x"})).contains("does not begin with `/`"));
    }

    #[test]
    fn bounds_that_are_no_numbers_are_refused() {
        let near = |near: Value, within: Value| {
            json!({"method": "GET", "path": "/", "draw": {"question": "questions"},
                "expect": {"json": [{"at": "/x", "near": near, "within": within}]}})
        };
        assert!(refused_step(near(json!("{{question/model}}"), json!(1))).contains("is no number"));
        assert!(refused_step(near(json!([1]), json!(1))).contains("is no number"));
        assert!(refused_step(near(json!(1), json!(null))).contains("go together"));
        assert!(compile(&job(vec![near(json!("{{question/truth}}"), json!(0.1))])).is_ok());
    }

    #[test]
    fn impossible_rates_and_mixes_are_refused() {
        let wrong = |change: fn(&mut LoadJob)| {
            let mut job = job(vec![json!({"method": "GET", "path": "/"})]);
            change(&mut job);
            refused(&job)
        };
        assert!(wrong(|job| job.plan.streams[0].segments[0].to = -1.0).contains("-1 is no rate"));
        assert!(wrong(|job| job.plan.streams[0].mix[0].0 = 3).contains("no behaviour or step 3"));
        assert!(wrong(|job| job.plan.streams[0].mix[0].1 = 0.0).contains("no shares"));
        assert!(wrong(|job| job.plan.behaviours[0].count = 2).contains("no behaviour or step 1"));
    }
}
