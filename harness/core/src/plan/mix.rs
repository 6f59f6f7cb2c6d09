//! The load: behaviours resolved to requests, mixes flattened to shares.

use std::{collections::BTreeMap, time::Duration};

use indexmap::IndexMap;

use super::{LoadPlan, Phase, StepPlan, Stream, load::BehaviourPlan, shape};
use crate::{
    name::Name,
    scenario::{Load, Scenario},
    seed::Seed,
    system::{Behaviour, Mark, RequestSpec, System},
    yaml::{Book, Mistake},
};

/// Most arrivals of a run: the schedule is fixed before it.
const MOST_ARRIVALS: f64 = 1e8;

/// The load of a scenario; streams with mistakes are left out.
pub(super) fn load(book: &mut Book<'_>, scenario: &Scenario, system: &System, phases: &[Phase]) -> LoadPlan {
    let lasts = phases.last().map(|phase| phase.ends).unwrap_or_default();
    let mut plan = LoadPlan {
        seed: Seed(scenario.seed),
        lasts,
        streams: Vec::new(),
        steps: Vec::new(),
        behaviours: Vec::new(),
        data: BTreeMap::new(),
        audit: None,
        arm_header: system.arm_header.clone(),
        in_flight: scenario.generator.in_flight,
    };
    if plan.in_flight == 0 {
        let what = "nothing may be in flight, so nothing is sent";
        book.say(Mistake::at("generator.in-flight", what).mend("write 1 or more"));
    }
    if scenario.generator.sent.fraction() > 1.0 {
        let what = "more than the whole schedule is never sent";
        book.say(Mistake::at("generator.sent", what).mend("write at most 100%"));
    }
    for (index, written) in scenario.load.iter().enumerate() {
        let stream = stream(&mut plan, written, system, phases);
        let stream = book.keep(&format!("load[{index}]"), stream);
        plan.streams.extend(stream);
    }
    let arrivals: f64 = plan.streams.iter().map(|s| s.offered(Default::default(), lasts)).sum();
    if arrivals > MOST_ARRIVALS {
        let what = format!("the load has {arrivals:.0} arrivals; at most {MOST_ARRIVALS:.0} are scheduled");
        book.say(Mistake::at("load", what).mend("write a lower rate or shorter phases"));
    }
    check_pools(book, scenario, &plan);
    plan.data = data(&plan, system);
    plan.audit = system.audit.clone().filter(|_| writes(&plan));
    plan
}

/// Whether any request in use writes a record.
pub(super) fn writes(plan: &LoadPlan) -> bool {
    plan.steps.iter().any(is_write)
}

fn is_write(step: &StepPlan) -> bool {
    matches!(step.request.mark, Some(Mark::Write { .. }))
}

/// How many writes the load offers between two moments, on average.
pub(super) fn offered_writes(plan: &LoadPlan, from: Duration, to: Duration) -> f64 {
    offered(plan, (from, to), is_write)
}

/// How many requests the load offers between two moments, on average.
pub(super) fn offered_requests(plan: &LoadPlan, from: Duration, to: Duration) -> f64 {
    offered(plan, (from, to), |_| true)
}

fn offered(plan: &LoadPlan, (from, to): (Duration, Duration), counts: impl Fn(&StepPlan) -> bool) -> f64 {
    let requests = |behaviour: u16| {
        let behaviour = plan.behaviours.get(usize::from(behaviour));
        let range = behaviour.map(|of| usize::from(of.first)..usize::from(of.first) + usize::from(of.count));
        let steps = range.and_then(|range| plan.steps.get(range)).unwrap_or_default();
        steps.iter().filter(|step| counts(step)).count() as f64
    };
    let each = |stream: &Stream| stream.mix.iter().map(|(of, share)| share * requests(*of)).sum::<f64>();
    plan.streams.iter().map(|stream| stream.offered(from, to) * each(stream)).sum()
}

/// Whether any request in use reads a record.
pub(super) fn reads(plan: &LoadPlan) -> bool {
    plan.steps.iter().any(|step| matches!(step.request.mark, Some(Mark::Read { .. })))
}

fn stream(plan: &mut LoadPlan, written: &Load, system: &System, phases: &[Phase]) -> Result<Stream, Mistake> {
    let mut shares = IndexMap::new();
    flatten(system, &written.behaviour, 1.0, &mut Vec::new(), &mut shares)?;
    let (arrivals, segments) =
        shape::segments(&written.arrivals, phases).map_err(|mistake| mistake.under("arrivals"))?;
    let mut mix = Vec::with_capacity(shares.len());
    for (name, share) in shares {
        mix.push((behaviour(plan, name, system)?, share));
    }
    Ok(Stream { mix, arrivals, segments })
}

/// Adds the share of every behaviour of requests that a behaviour stands for.
fn flatten<'a>(
    system: &'a System,
    name: &'a Name,
    share: f64,
    inside: &mut Vec<&'a Name>,
    shares: &mut IndexMap<&'a Name, f64>,
) -> Result<(), Mistake> {
    let known = || system.behaviours.keys().map(Name::as_str);
    let unknown = || Mistake::unknown("behaviour", "behaviour", name.as_str(), known());
    match system.behaviours.get(name).ok_or_else(unknown)? {
        Behaviour::Steps(_) => *shares.entry(name).or_insert(0.0) += share,
        Behaviour::Mix(parts) => {
            let sum: f64 = parts.values().sum();
            if inside.contains(&name) || !(sum.is_finite() && sum > 0.0) {
                let what = format!("the mix `{name}` is empty or contains itself");
                return Err(
                    Mistake::at("behaviour", what).mend("write another behaviour, or mend the system file")
                );
            }
            inside.push(name);
            for (part, weight) in parts {
                flatten(system, part, share * weight / sum, inside, shares)?;
            }
            inside.pop();
        }
    }
    Ok(())
}

/// The index of a behaviour among those in use; its requests are added at its first use.
fn behaviour(plan: &mut LoadPlan, name: &Name, system: &System) -> Result<u16, Mistake> {
    let narrow = |number: usize| u16::try_from(number).map_err(|_| too_many());
    if let Some(index) = plan.behaviours.iter().position(|behaviour| behaviour.name == *name) {
        return narrow(index);
    }
    let requests: &[RequestSpec] = match system.behaviours.get(name) {
        Some(Behaviour::Steps(steps)) => steps,
        Some(Behaviour::Mix(_)) | None => &[],
    };
    let (first, count) = (narrow(plan.steps.len())?, narrow(requests.len())?);
    plan.behaviours.push(BehaviourPlan { name: name.clone(), first, count });
    let steps = requests.iter().map(|request| StepPlan { behaviour: name.clone(), request: request.clone() });
    plan.steps.extend(steps);
    narrow(plan.behaviours.len() - 1)
}

fn too_many() -> Mistake {
    Mistake::at("behaviour", "over 65535 requests or behaviours are in use").mend("write fewer")
}

/// A pool that nothing in use fills leaves the behaviours that need it idle.
fn check_pools(book: &mut Book<'_>, scenario: &Scenario, plan: &LoadPlan) {
    let filled = |pool: &Name| {
        let mut remembered = plan.steps.iter().filter_map(|step| step.request.remember.as_ref());
        remembered.any(|remember| remember.pool == *pool)
    };
    for step in &plan.steps {
        let Some(pool) = step.request.recall.as_ref().filter(|pool| !filled(pool)) else { continue };
        let what = format!(
            "`{}` recalls from the pool `{pool}`, and nothing in this load remembers anything there",
            step.behaviour
        );
        let index = scenario.load.iter().position(|load| load.behaviour == step.behaviour);
        let path = index.map_or_else(|| "load".to_owned(), |index| format!("load[{index}].behaviour"));
        book.say(Mistake::at(path, what).mend(format!("add a behaviour that remembers in `{pool}`")));
    }
}

fn data(plan: &LoadPlan, system: &System) -> BTreeMap<Name, String> {
    let used = plan.steps.iter().flat_map(|step| step.request.draw.values());
    used.filter_map(|name| Some((name.clone(), system.data.get(name)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::{load, offered_writes};
    use crate::{
        plan::{LoadPlan, time_line},
        scenario, system,
        yaml::Book,
    };

    const SYSTEM: &str = "\
format: 1
name: x
components: { web: { ports: [http], ready: { tcp: { port: http } } } }
endpoint: { component: web, port: http }
data: { used: a.json, unused: b.json }
behaviours:
  all: { mix: { half: 1, read: 3 } }
  half: { mix: { write: 1, read: 1 } }
  write: { steps: [{ method: POST, path: /, draw: { q: used }, remember: { pool: items, fields: { id: '{{uuid}}' } }, mark: { write: { key: '{{uuid}}', value: v } } }] }
  read: { steps: [{ method: GET, path: '/{{recalled/id}}', recall: items }, { method: GET, path: / }] }
  other: { steps: [{ method: GET, path: / }] }
";

    fn plan(written: &str) -> Result<LoadPlan, String> {
        let text = format!("hypothesis: h\nsystem: s.yml\nphases: {{ baseline: 10s }}\nload:\n{written}");
        let scenario = scenario::read(text).unwrap();
        let mut book = Book::new(&scenario.places);
        let phases = time_line::phases(&mut book, &scenario);
        let plan = load(&mut book, &scenario, &system::read(SYSTEM).unwrap(), &phases);
        book.close()
            .map(|()| plan)
            .map_err(|m| m.iter().map(|m| m.show("x.yml")).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn nested_mixes_become_shares_that_sum_to_one() {
        let plan = plan("  - { behaviour: all, arrivals: { constant: 10/s } }\n").unwrap();
        let names: Vec<_> = plan.behaviours.iter().map(|b| (b.name.as_str(), b.first, b.count)).collect();
        assert_eq!(names, [("write", 0, 1), ("read", 1, 2)]);
        assert_eq!(plan.streams[0].mix, [(0, 0.125), (1, 0.875)]);
    }

    #[test]
    fn writes_are_offered_by_their_share_of_the_arrivals() {
        let plan = plan("  - { behaviour: all, arrivals: { constant: 80/s } }\n").unwrap();
        let second = std::time::Duration::from_secs;
        assert_eq!(offered_writes(&plan, second(4), second(6)), 80.0 * 2.0 * 0.125);
        assert_eq!(offered_writes(&plan, second(9), second(60)), 10.0, "the load ends after 10 s");
    }

    #[test]
    fn only_what_is_in_use_is_planned() {
        let plan = plan("  - { behaviour: write, arrivals: { constant: 10/s } }\n").unwrap();
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.data.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["used"]);
    }

    #[test]
    fn wrong_loads_are_told_with_place_and_mend() {
        insta::assert_snapshot!(plan("  - { behaviour: al, arrivals: { constant: 10/s } }\n").unwrap_err(), @"x.yml:5:18: unknown behaviour `al`; did you mean `all`?");
        insta::assert_snapshot!(plan("  - { behaviour: read, arrivals: { constant: 10/s } }\n").unwrap_err(), @"x.yml:5:18: `read` recalls from the pool `items`, and nothing in this load remembers anything there; add a behaviour that remembers in `items`");
        insta::assert_snapshot!(plan("  - { behaviour: write, arrivals: { poisson: 0/s } }\n").unwrap_err(), @"x.yml:5:25: the load offers nothing; write a rate over 0/s");
        insta::assert_snapshot!(plan("  - { behaviour: write, arrivals: { ramp: { from: 0/s, to: 0/s } } }\n").unwrap_err(), @"x.yml:5:25: the load offers nothing; write a rate over 0/s");
        insta::assert_snapshot!(plan("  - behaviour: write\n    arrivals: { spike: { base: 1/s, peak: 9/s, at: baseline + 9s, for: 2s } }\n").unwrap_err(), @"x.yml:6:72: the spike ends 11s after the load began, which lasts 10s; write more than 0s and at most 1s");
    }
}
