//! The set-up: the ground, then every component in the order of the system file. All of it is undone when the run
//! ends, well or badly.

use std::time::Duration;

use crate::{
    act::{Act, Place, Unit},
    name::Name,
    proof::{Expect, Proof, Query},
    step::{Begin, End, Step, StepId, Track},
    system::{Component, System},
};

const GONE: Duration = Duration::from_secs(10);

/// The track that brings a system up, and then what opens connections from these sources.
pub fn expand<'a>(system: &System, probed: impl Iterator<Item = &'a Name>) -> Track {
    let name = Name::known("set-up");
    let mut steps = vec![ground(&name)];
    steps.extend(
        system
            .components
            .iter()
            // A canary starts its sets.
            .filter(|(_, spec)| spec.set.is_none())
            .zip(2..)
            .map(|((component, spec), number)| start(&name, number, component, spec)),
    );
    // Ready is not yet reached: something may stand between.
    let way = Query::Way { at: Place::replica(&system.endpoint.component, 1) };
    if let (Some(last), Some(spec)) = (steps.last_mut(), system.components.get(&system.endpoint.component)) {
        last.effect.push(proof(way, "ready", spec.ready_within.get()));
    }
    for source in probed {
        steps.push(probe(&name, steps.len() + 1, source));
    }
    Track { name, steps }
}

fn ground(track: &Name) -> Step {
    let absent = Query::Process { at: Place::of(Unit::Ground) };
    Step {
        id: StepId::new(track, 1),
        title: "start ground".to_owned(),
        begin: Begin::Then,
        acts: vec![Act::Start { unit: Unit::Ground }],
        back: None,
        effect: Vec::new(),
        gone: vec![proof(absent, "absent", GONE)],
        end: End::Track,
    }
}

fn start(track: &Name, number: usize, component: &Name, spec: &Component) -> Step {
    let places: Vec<Place> = (1..=spec.replicas).map(|index| Place::replica(component, index)).collect();
    let process = |at: &Place| Query::Process { at: at.clone() };
    let ready = |at: &Place| Query::Ready { at: at.clone() };
    let within = spec.ready_within.get();
    let running = places.iter().map(|at| proof(process(at), "running", within));
    Step {
        id: StepId::new(track, number),
        title: format!("start {component}"),
        begin: Begin::Then,
        acts: places.iter().map(|at| Act::Start { unit: at.unit.clone() }).collect(),
        back: None,
        effect: running.chain(places.iter().map(|at| proof(ready(at), "ready", within))).collect(),
        gone: places.iter().map(|at| proof(process(at), "absent", GONE)).collect(),
        end: End::Track,
    }
}

fn probe(track: &Name, number: usize, source: &Name) -> Step {
    let unit = Unit::Probe { source: source.clone() };
    let process = |is, within| proof(Query::Process { at: Place::of(unit.clone()) }, is, within);
    Step {
        id: StepId::new(track, number),
        title: format!("probe from {source}"),
        begin: Begin::Then,
        acts: vec![Act::Start { unit: unit.clone() }],
        back: None,
        effect: vec![process("running", GONE)],
        gone: vec![process("absent", GONE)],
        end: End::Track,
    }
}

fn proof(ask: Query, is: &str, within: Duration) -> Proof {
    Proof { ask, expect: Expect::Is(is.to_owned()), within }
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::{kind::fault::tests::shown, system};

    #[test]
    fn the_ground_comes_first_and_every_replica_is_proved_both_ways() {
        let text = "format: 1\nname: x\ncomponents:\n  store: { ports: [sql], ready: { tcp: { port: sql } } }\n  \
                    web: { replicas: 2, ports: [http], uses: [store], ready_within: 7s, ready: { tcp: { port: http } } }\n\
                    endpoint: { component: web, port: http }\n";
        insta::assert_snapshot!(shown(&expand(&system::read(text).unwrap(), std::iter::empty())), @r"
        set-up/1: start ground, Then to Track
          act    start ground
          gone   process of ground is absent within 10s
        set-up/2: start store, Then to Track
          act    start store-1
          effect process of store-1 is running within 30s
          effect readiness of store-1 is ready within 30s
          gone   process of store-1 is absent within 10s
        set-up/3: start web, Then to Track
          act    start web-1
          act    start web-2
          effect process of web-1 is running within 7s
          effect process of web-2 is running within 7s
          effect readiness of web-1 is ready within 7s
          effect readiness of web-2 is ready within 7s
          effect the users' way to web-1 is ready within 7s
          gone   process of web-1 is absent within 10s
          gone   process of web-2 is absent within 10s
        ");
    }
}
