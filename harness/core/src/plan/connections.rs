//! Who may connect to what: the whole table, every source against every destination. What is not allowed must be closed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::Known;
use crate::{
    act::Ability,
    name::Name,
    scenario::{Destination, Scenario, connection::ALL},
    system::{Kube, System},
    yaml::{Book, Mistake},
};

/// A policy that was just written is in force everywhere after this.
const SETTLES_WITHIN: Duration = Duration::from_secs(15);

/// What one source must reach, and what it must not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// A component, or a stranger of the system file.
    pub from: Name,
    /// Whether each destination must be open to it.
    pub wanted: BTreeMap<Destination, bool>,
    /// How long it may take until it is so.
    pub within: Duration,
}

/// Whether what was seen of a destination means that it answers; all other words say how it was closed.
pub fn is_open(seen: &str) -> bool {
    seen == "open"
}

impl Reach {
    /// Where it is not as it must be: destinations that are open and must not be, and those that are not and must.
    pub fn differs(&self, seen: &BTreeMap<Destination, String>) -> (Vec<&Destination>, Vec<&Destination>) {
        let is_open = |to: &Destination| seen.get(to).is_some_and(|seen| is_open(seen));
        let wrong = |must: bool| {
            let of = self.wanted.iter().filter(move |(to, wanted)| **wanted == must && is_open(to) != must);
            of.map(|(to, _)| to).collect()
        };
        (wrong(false), wrong(true))
    }

    /// Whether all of it was looked at, and is as it must be.
    pub fn agrees(&self, seen: &BTreeMap<Destination, String>) -> bool {
        let (open, closed) = self.differs(seen);
        self.is_whole(seen) && open.is_empty() && closed.is_empty()
    }

    /// Whether every destination was looked at.
    pub fn is_whole(&self, seen: &BTreeMap<Destination, String>) -> bool {
        self.wanted.keys().all(|to| seen.contains_key(to))
    }
}

/// The table of a scenario, a row for each source; empty where it asks for none.
pub(super) fn connections(book: &mut Book<'_>, scenario: &Scenario, known: &Known<'_>) -> Vec<Reach> {
    if scenario.connections.is_empty() {
        return vec![];
    }
    if !known.abilities.contains(&Ability::Probe) {
        let what = format!("the target {} cannot open connections from a component's place", known.target);
        let mend = "take `--target kube` without `--namespace`, on a cluster with the tools (`gauntlet cluster install`)";
        book.say(Mistake::of_key("connections", what).mend(mend));
        return vec![];
    }
    let kube = known.system.kube.as_ref();
    let sources = sources(known.system, kube);
    for (to, from) in &scenario.connections {
        let path = format!("connections.{to}");
        book.keep(
            &path,
            destination(known.system, kube, to).map_err(|mistake| Mistake { of_key: true, ..mistake }),
        );
        if from.is_empty() {
            let what =
                format!("nobody may reach `{to}`, so nothing would show that it can be reached at all");
            let mend = "name who may, if only a stranger of `kube.strangers`, or `all`";
            book.say(Mistake::at(&path, what).mend(mend));
        }
        for (index, source) in from.iter().enumerate().filter(|(_, source)| source.as_str() != ALL) {
            if !sources.contains(&source) {
                let words = sources.iter().map(|name| name.as_str()).chain([ALL]);
                book.say(Mistake::unknown(format!("{path}[{index}]"), "source", source.as_str(), words));
            }
        }
    }
    for lacking in ports(known.system).filter(|port| !scenario.connections.contains_key(port)) {
        let what = format!("who may reach `{lacking}` is not said");
        book.say(Mistake::of_key("connections", what).mend(format!("add `{lacking}: [SOURCE]`")));
    }
    sources.into_iter().map(|source| row(scenario, known.system, source)).collect()
}

fn row(scenario: &Scenario, system: &System, source: &Name) -> Reach {
    let alone = |to: &Destination| {
        to.name == *source && system.components.get(source).is_some_and(|component| component.replicas < 2)
    };
    let may = |from: &[Name]| from.iter().any(|name| name == source || name.as_str() == ALL);
    // What a pod says to itself passes no policy.
    let others = scenario.connections.iter().filter(|(to, _)| !alone(to));
    let wanted = others.map(|(to, from)| (to.clone(), may(from))).collect();
    Reach { from: source.clone(), wanted, within: SETTLES_WITHIN }
}

/// Components in the order of the file, then strangers.
fn sources<'a>(system: &'a System, kube: Option<&'a Kube>) -> Vec<&'a Name> {
    let strangers = kube.into_iter().flat_map(|kube| kube.strangers.keys());
    system.components.keys().chain(strangers).collect()
}

fn ports(system: &System) -> impl Iterator<Item = Destination> {
    let all = system.components.iter();
    all.flat_map(|(name, component)| component.ports.iter().map(move |port| Destination::port(name, port)))
}

fn destination(system: &System, kube: Option<&Kube>, to: &Destination) -> Result<(), Mistake> {
    let all: BTreeSet<String> = ports(system)
        .map(|port| port.to_string())
        .chain(kube.into_iter().flat_map(|kube| kube.addresses.keys()).map(Name::to_string))
        .collect();
    let word = to.to_string();
    if all.contains(&word) {
        return Ok(());
    }
    Err(Mistake::unknown("", "destination", &word, all.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{
        act::Ability,
        plan::{Known, Plan, plan},
        scenario, system,
    };

    const SYSTEM: &str = "format: 1\nname: x\ncomponents:\n  store: { ports: [sql], ready: { tcp: { port: sql } } }\n  \
                          web: { replicas: 2, ports: [http], uses: [store], ready: { tcp: { port: http } } }\n\
                          endpoint: { component: web, port: http }\nbehaviours:\n  get: { steps: [{ method: GET, path: / }] }\n\
                          kube:\n  endpoint: 127.0.0.1:1\n  strangers: { nobody: {}, scraper: { namespace: monitoring } }\n  \
                          addresses: { dns: 'dns.system:53' }\n";

    fn planned(table: &str, can: &[Ability]) -> Result<Plan, String> {
        let text = format!("hypothesis: h\nsystem: s.yml\nphases: {{ calm: 5s }}\nconnections:\n{table}");
        let system = system::read(SYSTEM).unwrap();
        let known = Known::on(&system, "any", can.iter().copied().collect::<BTreeSet<_>>());
        let shown = |mistakes: Vec<crate::yaml::Mistake>| {
            mistakes.iter().map(|m| m.show("x.yml")).collect::<Vec<_>>().join("\n")
        };
        plan("x", &scenario::read(text).unwrap(), &known).map_err(shown)
    }

    fn told(table: &str) -> String {
        planned(table, &[Ability::Start, Ability::Probe]).err().unwrap_or_default()
    }

    #[test]
    fn every_source_stands_against_every_destination_and_what_is_not_allowed_must_be_closed() {
        let table = "  store:sql: [web]\n  web:http: [scraper]\n  dns: [all]\n";
        let plan = planned(table, &[Ability::Start, Ability::Probe]).unwrap();
        let rows: Vec<String> = plan
            .connections
            .iter()
            .map(|row| {
                let to = row.wanted.iter().map(|(to, open)| format!("{to}{}", if *open { "+" } else { "-" }));
                format!("{}: {}", row.from, to.collect::<Vec<_>>().join(" "))
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        store: dns+ web:http-
        web: dns+ store:sql+ web:http-
        nobody: dns+ store:sql- web:http-
        scraper: dns+ store:sql- web:http+
        ");
        let steps: Vec<_> = plan.set_up.steps.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(
            steps[3..],
            ["probe from store", "probe from web", "probe from nobody", "probe from scraper"]
        );
        assert!(plan.needs.contains(&Ability::Probe));
    }

    #[test]
    fn what_differs_is_told_both_ways_and_what_was_not_looked_at_is_not_closed() {
        let plan =
            planned("  store:sql: [web]\n  web:http: [nobody]\n", &[Ability::Start, Ability::Probe]).unwrap();
        let web = plan.connections.iter().find(|row| row.from.as_str() == "web").unwrap();
        let seen = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(to, seen)| (to.parse().unwrap(), (*seen).to_owned())).collect()
        };
        let all = seen(&[("store:sql", "silent"), ("web:http", "open")]);
        let (open, closed) = web.differs(&all);
        assert_eq!((open[0].to_string(), closed[0].to_string()), ("web:http".into(), "store:sql".into()));
        assert!(web.is_whole(&all) && !web.agrees(&all));
        let right = seen(&[("store:sql", "open"), ("web:http", "refused")]);
        assert_eq!(web.differs(&right), (vec![], vec![]));
        assert!(web.agrees(&right));
        let half = seen(&[("store:sql", "open")]);
        assert!(!web.is_whole(&half) && !web.agrees(&half));
    }

    #[test]
    fn a_table_that_cannot_be_looked_at_is_told_with_place_and_mend() {
        let good = "  store:sql: [web]\n  web:http: [nobody]\n";
        insta::assert_snapshot!(planned(good, &[Ability::Start]).unwrap_err(), @"x.yml:4:1: the target any cannot open connections from a component's place; take `--target kube` without `--namespace`, on a cluster with the tools (`gauntlet cluster install`)");
        insta::assert_snapshot!(told("  store:sql: [web]\n"), @"x.yml:4:1: who may reach `web:http` is not said; add `web:http: [SOURCE]`");
        insta::assert_snapshot!(told("  store:sql: [wbe]\n  web:http: [nobody]\n"), @"x.yml:5:15: unknown source `wbe`; did you mean `web`?");
        insta::assert_snapshot!(told("  store:sql: [web]\n  web:http: []\n"), @"x.yml:6:3: nobody may reach `web:http`, so nothing would show that it can be reached at all; name who may, if only a stranger of `kube.strangers`, or `all`");
        insta::assert_snapshot!(told("  store:sql: [web]\n  web:http: [web]\n  dsn: [all]\n"), @"x.yml:7:3: unknown destination `dsn`; did you mean `dns`?");
    }
}
