//! `canary`: a few replicas of another revision get a share of the traffic, beside a fresh baseline of the same number and
//! age that runs what ran before. A judge that may be asked at every second compares the two. While nothing is worse, the
//! share grows from step to step; in the end the component itself is rolled out. As soon as something is worse beyond doubt,
//! or when the time of a step is over and nothing is decided, everything is taken back: the shares, the replicas, the
//! revision. It needs an ingress that splits the traffic (`weighs` in the system file).

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{About, Beside, Rolled, RolloutKind, update};
use crate::{
    act::{Act, Place, Revision, Unit},
    kind::{Sets, rollout},
    name::Name,
    proof::{Expect, Proof, Query},
    step::{Begin, End, Step, StepId, Track},
    system::Shares,
    unit::Span,
    yaml::Mistake,
};

/// The kind.
pub struct Canary;

static ABOUT: About = About {
    word: "canary",
    summary: "gives a few replicas of another revision a growing share of the traffic while a judge compares them with a baseline",
    example: "canary: service\nto: v2\nat: canary + 1s\nshares: [5%, 25%]\neach: 10m\n",
    schema: |about, generator| gated(about, generator, Map::from_iter(more()), &["shares", "each"]),
};

/// How long replicas may take to be gone once they are told to end.
const GONE: Duration = Duration::from_secs(10);
/// How long an ingress may take to split the traffic anew.
const SPLIT: Duration = Duration::from_secs(5);

impl RolloutKind for Canary {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn revision(&self, said: &Rolled<'_>) -> Result<Revision, Mistake> {
        update::Update.revision(said)
    }

    fn after(&self, past: &mut Vec<Revision>, revision: Revision) {
        past.push(revision);
    }

    fn beside(&self) -> Option<Beside> {
        Some(Beside::Canary)
    }

    fn track(&self, said: &Rolled<'_>, revision: &Revision) -> Track {
        track(&ABOUT, said, revision)
    }
}

/// The sets start, get their shares step by step, and the component is rolled out in the end.
pub(super) fn track(about: &About, said: &Rolled<'_>, revision: &Revision) -> Track {
    let Some(sets) = said.sets else { return said.track(about, revision) };
    let name = Name::numbered(about.word, said.number);
    let mut steps = vec![start(said, sets, StepId::new(&name, 1))];
    for (share, number) in sets.shares.iter().zip(2..) {
        steps.push(weigh(said, sets, *share, StepId::new(&name, number)));
    }
    // What is kept comes last: its own track takes the rest back once it is done.
    let promote = said.track(about, revision).steps.into_iter().map(|step| Step {
        id: StepId::new(&name, steps.len() + 1),
        title: format!("promote {} to {}", said.component, revision.name),
        begin: Begin::Then,
        ..step
    });
    let promote: Vec<Step> = promote.collect();
    steps.extend(promote);
    Track { name, steps }
}

fn start(said: &Rolled<'_>, sets: &Sets, id: StepId) -> Step {
    let place = |set: &Name| (1..=sets.replicas).map(|index| Place::replica(set, index)).collect::<Vec<_>>();
    let places: Vec<Place> = sets.all().flat_map(place).collect();
    let within = said.spec.ready_within.get();
    let proof = |ask, is: &str, within| Proof { ask, expect: Expect::Is(is.to_owned()), within };
    let process = |at: &Place| Query::Process { at: at.clone() };
    let running = places.iter().map(|at| proof(process(at), "running", within));
    let ready = places.iter().map(|at| proof(Query::Ready { at: at.clone() }, "ready", within));
    Step {
        id,
        title: format!("start {}", sets.all().map(Name::as_str).collect::<Vec<_>>().join(" and ")),
        begin: Begin::At(said.begins),
        acts: places.iter().map(|at| Act::Start { unit: at.unit.clone() }).collect(),
        back: None,
        effect: running.chain(ready).collect(),
        gone: places.iter().map(|at| proof(process(at), "absent", GONE)).collect(),
        end: End::Track,
    }
}

fn weigh(said: &Rolled<'_>, sets: &Sets, share: u16, id: StepId) -> Step {
    let shares = sets.at(share);
    let proof = |is: String| {
        let ask = Query::Shares { at: Place::component(said.component) };
        Proof { ask, expect: Expect::Is(is), within: SPLIT }
    };
    Step {
        id,
        title: format!("{} of {}", shares, said.component),
        begin: Begin::Then,
        effect: vec![proof(shares.to_string())],
        gone: vec![proof(Shares::default().to_string())],
        acts: vec![Act::Weigh { unit: Unit::Component { component: said.component.clone() }, shares }],
        back: None,
        end: End::Gate(sets.each),
    }
}

/// What is written of a canary besides, as fields of a schema.
fn more() -> Vec<(String, Value)> {
    let share = json!({ "type": "string", "pattern": r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*%\s*$" });
    vec![
        (
            "shares".to_owned(),
            json!({ "type": "array", "items": share, "minItems": 1,
                "description": "the canary's share of the traffic, step by step; the baseline gets as much" }),
        ),
        (
            "harm".to_owned(),
            json!({ "type": "object", "minProperties": 1, "additionalProperties": share,
                "propertyNames": { "pattern": "^(errors|wrong-answers|lost-writes|p[1-9][0-9]?)$" },
                "description": "what is judged, and the effect that must be excluded: points of a share, or how much slower" }),
        ),
        (
            "against".to_owned(),
            json!({ "enum": ["baseline", "stable"],
                "description": "what it is compared with: a fresh baseline of equal size and age (unless said), or the replicas that ran before" }),
        ),
    ]
}

/// The schema of a rollout with a judge: with `each`, `replicas`, `keeps` and these fields, some of which are required.
pub(super) fn gated(
    about: &About,
    generator: &mut SchemaGenerator,
    mut more: Map<String, Value>,
    required_more: &[&str],
) -> Schema {
    let keeps = json!({ "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" },
        "propertyNames": { "pattern": "^(errors|memory|p[1-9][0-9]?)$" },
        "description": "what it must keep, whatever the other does: `errors: 0.5%`, `p95: 200ms`, `memory: 512MiB` of every replica" });
    let replicas = json!({ "type": "integer", "minimum": 1,
        "description": "how many replicas it has: a canary 1 unless said, green as many as the component" });
    more.insert("each".into(), generator.subschema_for::<Span>().into());
    more.extend([("keeps".to_owned(), keeps), ("replicas".to_owned(), replicas)]);
    let mut schema = rollout::item(about, generator, &[("to", json!("one of the component's `revisions`"))]);
    let object = schema.ensure_object();
    if let Some(Value::Object(fields)) = object.get_mut("properties") {
        fields.extend(more);
    }
    if let Some(Value::Array(required)) = object.get_mut("required") {
        let more = required_more.iter().copied().map(Value::from);
        required.extend(more);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::Canary;
    use crate::kind::{fault::tests::shown, rollout::tests::expand};

    #[test]
    fn a_canary_starts_its_sets_weighs_them_step_by_step_and_promotes_in_the_end() {
        insta::assert_snapshot!(shown(&expand(&Canary, &["original"], Some("v2")).unwrap()), @r"
        canary-1/1: start web-baseline and web-canary, At(10s) to Track
          act    start web-baseline-1
          act    start web-canary-1
          effect process of web-baseline-1 is running within 5s
          effect process of web-canary-1 is running within 5s
          effect readiness of web-baseline-1 is ready within 5s
          effect readiness of web-canary-1 is ready within 5s
          gone   process of web-baseline-1 is absent within 10s
          gone   process of web-canary-1 is absent within 10s
        canary-1/2: web-baseline 5%, web-canary 5% of web, Then to Gate(30s)
          act    weigh web: web-baseline 5%, web-canary 5%
          effect shares of web is web-baseline 5%, web-canary 5% within 5s
          gone   shares of web is no set within 5s
        canary-1/3: web-baseline 25%, web-canary 25% of web, Then to Gate(30s)
          act    weigh web: web-baseline 25%, web-canary 25%
          effect shares of web is web-baseline 25%, web-canary 25% within 5s
          gone   shares of web is no set within 5s
        canary-1/4: promote web to v2, Then to Keep
          act    configure web as v2
          effect revision of web is v2 within 20s
          effect readiness of web-1 is ready within 20s
          effect readiness of web-2 is ready within 20s
          gone   revision of web is original within 10s
          gone   readiness of web-1 is ready within 10s
          gone   readiness of web-2 is ready within 10s
        ");
    }
}
