//! What the types of a system file cannot say: every name that is used is known, and every number makes sense.

use super::{Behaviour, Changes, Component, Metric, Port, Ready, System, names};
use crate::{
    act::Revision,
    name::Name,
    scenario::connection::ALL,
    yaml::{Book, Mistake, Places},
};

/// All mistakes of a system file whose fields are right.
pub(super) fn check(system: &System, places: &Places) -> Result<(), Vec<Mistake>> {
    let mut book = Book::new(places);
    if system.components.is_empty() {
        book.say(Mistake::at("components", "the system has no component").mend("add at least one"));
    }
    for (name, component) in &system.components {
        check_component(&mut book, system, name, component);
    }
    let known = port(system, &system.endpoint);
    book.keep("endpoint", known);
    for (name, metric) in &system.metrics {
        check_metric(&mut book, system, &format!("metrics.{name}"), metric);
    }
    for (name, behaviour) in &system.behaviours {
        let path = format!("behaviours.{name}");
        match behaviour {
            Behaviour::Mix(shares) => {
                for (other, weight) in shares {
                    check_share(&mut book, system, &format!("{path}.mix.{other}"), other, *weight);
                }
                if let Some(again) = round_trip(system, name) {
                    let what = format!("the mix `{name}` contains itself by way of `{again}`");
                    book.say(Mistake::at(format!("{path}.mix"), what).mend("take one of them out"));
                }
                if shares.is_empty() {
                    book.say(
                        Mistake::at(format!("{path}.mix"), "the mix is empty").mend("write `BEHAVIOUR: 1`"),
                    );
                }
            }
            Behaviour::Steps(_) => names::check(&mut book, system, &path, behaviour),
        }
    }
    names::check_audit(&mut book, system);
    check_strangers(&mut book, system);
    book.close()
}

fn strs<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<&'a str> {
    names.into_iter().map(Name::as_str).collect()
}

fn check_component(book: &mut Book<'_>, system: &System, name: &Name, component: &Component) {
    let path = format!("components.{name}");
    if component.replicas == 0 {
        book.say(
            Mistake::at(format!("{path}.replicas"), "a component without replicas").mend("write 1 or more"),
        );
    }
    let own = system.components.get_index_of(name).unwrap_or_default();
    for (index, used) in component.uses.iter().enumerate() {
        let at = format!("{path}.uses[{index}]");
        match system.components.get_index_of(used) {
            None => {
                book.say(Mistake::unknown(at, "component", used.as_str(), strs(system.components.keys())))
            }
            Some(other) if other == own => {
                book.say(Mistake::at(at, format!("`{name}` uses itself")).mend("take it out"));
            }
            Some(other) if other > own => {
                let what = format!("`{name}` uses `{used}`, which does not start before it");
                book.say(
                    Mistake::at(at, what)
                        .mend(format!("write `{used}` above `{name}`: components start in order")),
                );
            }
            Some(_) => {}
        }
    }
    let mut ports = vec![("ready", ready_port(&component.ready))];
    ports.extend(component.scrape.iter().map(|scrape| ("scrape", &scrape.port)));
    for (field, used) in ports.into_iter().filter(|(_, used)| !component.ports.contains(used)) {
        book.say(Mistake::unknown(format!("{path}.{field}"), "port", used.as_str(), strs(&component.ports)));
    }
    if let Ready::Postgres { password: Some(secret), .. } = &component.ready
        && !system.secrets.contains(secret)
    {
        let at = format!("{path}.ready.postgres.password");
        book.say(Mistake::unknown(at, "secret", secret.as_str(), strs(&system.secrets)));
    }
    for (revision, changes) in &component.revisions {
        check_revision(book, &format!("{path}.revisions.{revision}"), component, revision, changes);
    }
    check_sets(book, system, name, component);
    if component.allotment.is_some_and(|allotment| !(allotment.cpu.is_finite() && allotment.cpu > 0.0)) {
        book.say(
            Mistake::at(format!("{path}.allotment.cpu"), "no share of a core")
                .mend("write a number over 0, such as 0.5"),
        );
    }
}

fn check_sets(book: &mut Book<'_>, system: &System, name: &Name, component: &Component) {
    let path = format!("components.{name}");
    if component.set.is_some() {
        let what = "a set is made by a canary, not written";
        book.say(Mistake::of_key(format!("{path}.set"), what).mend("take it out"));
    }
    let Some(weighs) = &component.weighs else { return };
    if !component.uses.contains(&weighs.component) {
        let at = format!("{path}.weighs.component");
        let known = strs(&component.uses);
        book.say(Mistake::unknown(at, "component that it uses", weighs.component.as_str(), known));
    }
    for (field, file) in [("map", &weighs.map), ("socket", &weighs.socket)] {
        if file.is_empty() || file.contains('/') {
            let what = format!("{file:?} is no file of the replica's directory");
            book.say(Mistake::at(format!("{path}.weighs.{field}"), what).mend("write a file's name"));
        }
    }
    if system
        .components
        .values()
        .filter(|other| other.weighs.as_ref().is_some_and(|o| o.component == weighs.component))
        .count()
        > 1
    {
        let what = format!("the traffic of `{}` is split twice", weighs.component);
        book.say(Mistake::at(format!("{path}.weighs.component"), what).mend("let one component split it"));
    }
}

fn check_revision(
    book: &mut Book<'_>,
    path: &str,
    component: &Component,
    revision: &Name,
    changes: &Changes,
) {
    if revision.as_str() == Revision::ORIGINAL {
        let what = "`original` is what the system file says without changes";
        book.say(Mistake::of_key(path, what).mend("write another name"));
    }
    if changes.each().next().is_none() {
        book.say(Mistake::at(path, "the revision changes nothing").mend("add `settings: { NAME: value }`"));
    }
    for (name, value) in &changes.settings {
        let at = format!("{path}.settings.{name}");
        if value.contains("{{") {
            let what = "a template: what a revision changes is the same on every target";
            book.say(Mistake::at(&at, what).mend("write plain text"));
        }
        if component.settings.get(name) == Some(value) {
            let what = format!("`{name}` has this value without the revision too");
            book.say(Mistake::at(at, what).mend("write another value, or take it out"));
        }
    }
}

fn ready_port(ready: &Ready) -> &Name {
    match ready {
        Ready::Http { port, .. } | Ready::Tcp { port, .. } | Ready::Postgres { port, .. } => port,
    }
}

fn port(system: &System, port: &Port) -> Result<(), Mistake> {
    let component = port.component.as_str();
    let unknown = || Mistake::unknown("component", "component", component, strs(system.components.keys()));
    let ports = &system.components.get(&port.component).ok_or_else(unknown)?.ports;
    let known = ports.contains(&port.port);
    if known { Ok(()) } else { Err(Mistake::unknown("port", "port", port.port.as_str(), strs(ports))) }
}

fn check_metric(book: &mut Book<'_>, system: &System, path: &str, metric: &Metric) {
    match system.components.get(&metric.component) {
        None => {
            let known = strs(system.components.keys());
            book.say(Mistake::unknown(
                format!("{path}.component"),
                "component",
                metric.component.as_str(),
                known,
            ));
        }
        Some(component) if component.scrape.is_none() => {
            let what = format!("the metrics of `{}` are not scraped", metric.component);
            book.say(Mistake::at(format!("{path}.component"), what).mend("add `scrape:` to that component"));
        }
        Some(_) => {}
    }
    if metric.of.is_empty() {
        book.say(
            Mistake::at(format!("{path}.of"), "the metric counts nothing").mend("name at least one series"),
        );
    }
}

fn check_share(book: &mut Book<'_>, system: &System, path: &str, other: &Name, weight: f64) {
    if !system.behaviours.contains_key(other) {
        let unknown = Mistake::unknown(path, "behaviour", other.as_str(), strs(system.behaviours.keys()));
        book.say(Mistake { of_key: true, ..unknown });
    }
    if !(weight.is_finite() && weight > 0.0) {
        book.say(Mistake::at(path, format!("{weight} is no weight")).mend("write a number over 0"));
    }
}

fn check_strangers(book: &mut Book<'_>, system: &System) {
    let Some(kube) = &system.kube else { return };
    for (name, path) in kube
        .strangers
        .keys()
        .map(|name| (name, format!("kube.strangers.{name}")))
        .chain(kube.addresses.keys().map(|name| (name, format!("kube.addresses.{name}"))))
    {
        if system.components.contains_key(name) || name.as_str() == ALL {
            let what = format!("`{name}` is taken: a source or a destination could be either");
            book.say(Mistake::of_key(path, what).mend("write another name"));
        }
    }
    for (name, address) in &kube.addresses {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            let what = format!("{address:?} has no port");
            book.say(Mistake::at(format!("kube.addresses.{name}"), what).mend("write `HOST:PORT`"));
        }
    }
}

/// The behaviour by way of which a mix contains itself.
fn round_trip<'a>(system: &'a System, name: &Name) -> Option<&'a Name> {
    let mut seen: Vec<&Name> = Vec::new();
    let mut next: Vec<&Name> = match system.behaviours.get(name) {
        Some(Behaviour::Mix(shares)) => shares.keys().collect(),
        _ => return None,
    };
    while let Some(other) = next.pop() {
        if other == name {
            return Some(seen.last().copied().unwrap_or(other));
        }
        if let (false, Some(Behaviour::Mix(shares))) = (seen.contains(&other), system.behaviours.get(other)) {
            seen.push(other);
            next.extend(shares.keys());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::system::read;

    const GOOD: &str = "\
format: 1
name: x
secrets: [password]
components:
  store:
    ports: [sql]
    ready: { postgres: { port: sql, user: u, password: password, database: d } }
  web:
    ports: [http, metrics]
    uses: [store]
    allotment: { cpu: 0.5 }
    ready: { tcp: { port: http } }
    scrape: { port: metrics, path: /metrics }
endpoint: { component: web, port: http }
metrics:
  hits: { component: web, of: [hits_total] }
behaviours:
  all: { mix: { one: 1, two: 2 } }
  one: { steps: [{ method: GET, path: / }] }
  two: { steps: [{ method: GET, path: /two }] }
";

    fn told(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        let mistakes = read(GOOD.replacen(from, to, 1)).unwrap_err();
        mistakes.iter().map(|mistake| mistake.show("x.yml")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_right_file_is_read() {
        assert_eq!(read(GOOD).unwrap().components.len(), 2);
    }

    #[test]
    fn unknown_names_are_told_with_place_and_mend() {
        insta::assert_snapshot!(told("uses: [store]", "uses: [stroe]"), @"x.yml:10:12: unknown component `stroe`; did you mean `store`?");
        insta::assert_snapshot!(told("    ports: [sql]", "    ports: [sql]\n    uses: [web]"), @"x.yml:7:12: `store` uses `web`, which does not start before it; write `web` above `store`: components start in order");
        insta::assert_snapshot!(told("component: web, port: http", "component: web, port: htp"), @"x.yml:14:35: unknown port `htp`; did you mean `http`?");
        insta::assert_snapshot!(told("component: web, port: http", "component: wbe, port: http"), @"x.yml:14:24: unknown component `wbe`; did you mean `web`?");
        insta::assert_snapshot!(told("tcp: { port: http }", "tcp: { port: https }"), @"x.yml:12:5: unknown port `https`; did you mean `http`?");
        insta::assert_snapshot!(told("secrets: [password]", "secrets: []"), @"x.yml:7:56: unknown secret `password`; none is known here");
        insta::assert_snapshot!(told("component: web, of", "component: store, of"), @"x.yml:16:22: the metrics of `store` are not scraped; add `scrape:` to that component");
        insta::assert_snapshot!(told("one: 1, two: 2", "one: 1, tow: 2"), @"x.yml:18:25: unknown behaviour `tow`; did you mean `two`?");
    }

    #[test]
    fn numbers_without_sense_are_told() {
        insta::assert_snapshot!(told("cpu: 0.5", "cpu: 0"), @"x.yml:11:23: no share of a core; write a number over 0, such as 0.5");
        insta::assert_snapshot!(told("one: 1, two: 2", "one: -1, two: 2"), @"x.yml:18:22: -1 is no weight; write a number over 0");
        insta::assert_snapshot!(told("    uses:", "    replicas: 0\n    uses:"), @"x.yml:10:15: a component without replicas; write 1 or more");
        insta::assert_snapshot!(told("of: [hits_total]", "of: []"), @"x.yml:16:27: the metric counts nothing; name at least one series");
    }

    #[test]
    fn a_revision_that_is_none_is_told() {
        let revision = |written: &str| {
            let with = format!("    uses: [store]\n    settings: {{ A: b }}\n    revisions: {{ {written} }}");
            told("    uses: [store]", &with)
        };
        insta::assert_snapshot!(revision("v2: {}"), @"x.yml:12:18: the revision changes nothing; add `settings: { NAME: value }`");
        insta::assert_snapshot!(revision("original: { image: x }"), @"x.yml:12:18: `original` is what the system file says without changes; write another name");
        insta::assert_snapshot!(revision("v2: { settings: { A: b } }"), @"x.yml:12:39: `A` has this value without the revision too; write another value, or take it out");
        insta::assert_snapshot!(revision("v2: { settings: { A: '{{ host }}' } }"), @"x.yml:12:39: a template: what a revision changes is the same on every target; write plain text");
        insta::assert_snapshot!(revision("v2: { setings: { A: c } }"), @"x.yml:12:24: unknown field `setings`; did you mean `settings`?");
    }

    #[test]
    fn strangers_and_addresses_that_are_none_are_told() {
        let kube = |written: &str| {
            told("metrics:\n", &format!("kube:\n  endpoint: 127.0.0.1:1\n  {written}\nmetrics:\n"))
        };
        insta::assert_snapshot!(kube("strangers: { web: {} }"), @"x.yml:17:16: `web` is taken: a source or a destination could be either; write another name");
        insta::assert_snapshot!(kube("strangers: { all: {} }"), @"x.yml:17:16: `all` is taken: a source or a destination could be either; write another name");
        insta::assert_snapshot!(kube("addresses: { dns: dns.system }"), @r#"x.yml:17:21: "dns.system" has no port; write `HOST:PORT`"#);
    }

    #[test]
    fn a_mix_that_contains_itself_is_told() {
        insta::assert_snapshot!(told("one: { steps: [{ method: GET, path: / }] }", "one: { mix: { all: 1 } }"), @r"
        x.yml:18:10: the mix `all` contains itself by way of `one`; take one of them out
        x.yml:19:10: the mix `one` contains itself by way of `all`; take one of them out
        ");
    }

    #[test]
    fn another_format_is_refused() {
        insta::assert_snapshot!(told("format: 1", "format: 2"), @"x.yml:1:9: format 2 is unknown here: this version reads format 1; write `format: 1`, or use a version that reads format 2");
        insta::assert_snapshot!(told("format: 1\n", ""), @"x.yml:1:1: the field `format` is missing; add `format: ...`");
    }
}
