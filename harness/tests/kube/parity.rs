//! The system file and the manifests tell of one system: what both say is the same, in every overlay. Asks no cluster, only
//! kubectl to render.

use std::{collections::BTreeMap, fs};

use gauntlet_core::{
    name::Name,
    system::{self, Component, Ready, System, kubernetes::COMPONENT_LABEL, kubernetes::pods},
    unit::Bytes,
};
use gauntlet_kube::deploy::manifests::render;
use serde_json::Value;

use crate::stage::root;

/// Where an overlay differs, and is meant to. Whatever else differs is a mistake, and so is a line that holds no more.
const MEANT: [&str; 6] = [
    // A small machine's scheduler is asked for less; the share of the processor is measured against what it is in production.
    "kind: service requests 0.1 cores and 128MiB, its allotment is 0.5 cores and 1GiB",
    // That replicas are down is for HAProxy to answer: its startup probe asks the whole way, its readiness probe does not.
    "kind: ingress is ready by GET /health on http, its readiness probe asks GET /healthz on metrics",
    "production: ingress is ready by GET /health on http, its readiness probe asks GET /healthz on metrics",
    // More than the least that a run needs; who runs against it says `--set service.replicas=6 --set ingress.replicas=3`.
    "production: service has 6 replicas, not 3",
    "production: ingress has 3 replicas, not 1",
    // A load balancer: nobody knows its address before it is there.
    "production: no Service of ingress has a node port for http",
];

/// An overlay, rendered.
#[derive(Clone)]
struct Overlay {
    name: String,
    namespace: Option<String>,
    objects: Vec<Value>,
}

/// A component and what makes its pods.
struct Pair<'a> {
    overlay: &'a Overlay,
    system: &'a System,
    name: &'a Name,
    component: &'a Component,
    workload: &'a Value,
    container: &'a Value,
}

async fn overlays(system: &System) -> Vec<Overlay> {
    let mut all = vec![];
    for (name, dir) in &system.kube.as_ref().unwrap().overlays {
        let rendered = render(&root().join("deploy").join(dir)).await.unwrap();
        let objects = rendered.objects.iter().map(|object| serde_json::to_value(object).unwrap()).collect();
        all.push(Overlay { name: name.to_string(), namespace: rendered.namespace, objects });
    }
    all
}

fn reference() -> System {
    system::read(fs::read_to_string(root().join("deploy/system.yml")).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(at).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn label(object: &Value, at: &str) -> Option<String> {
    object.pointer(at)?.get(COMPONENT_LABEL)?.as_str().map(str::to_owned)
}

impl Overlay {
    fn of_kind<'a>(&'a self, kinds: &'a [&str]) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.objects.iter().filter(|object| kinds.contains(&text(object, "/kind")))
    }

    fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.of_kind(&["Deployment", "StatefulSet", "DaemonSet"])
    }

    /// What differs between it and the system file, a sentence each.
    fn differences(&self, system: &System) -> Vec<String> {
        let mut found = vec![];
        let kube = system.kube.as_ref().unwrap();
        for workload in self.workloads() {
            let of = label(workload, "/metadata/labels").unwrap_or_default();
            if !system.components.keys().any(|name| name.as_str() == of) {
                found.push(format!("the workload {} is of no component", text(workload, "/metadata/name")));
            }
        }
        for (name, component) in &system.components {
            match self.pair(system, name, component) {
                Ok(pair) => found.extend(pair.differences()),
                Err(lacking) => found.push(lacking),
            }
        }
        found.extend(self.endpoint(system));
        if !self.namespace.as_ref().is_some_and(|namespace| kube.namespaces.contains(namespace)) {
            found.push(format!("its namespace {:?} is not among {:?}", self.namespace, kube.namespaces));
        }
        found.into_iter().map(|what| format!("{}: {what}", self.name)).collect()
    }

    fn pair<'a>(
        &'a self,
        system: &'a System,
        name: &'a Name,
        component: &'a Component,
    ) -> Result<Pair<'a>, String> {
        let (select, container) = pods(name, component.kube.as_ref());
        let labelled =
            |workload: &&Value| label(workload, "/metadata/labels").as_deref() == Some(name.as_str());
        let mut workloads = self.workloads().filter(labelled);
        let workload = workloads.next().ok_or_else(|| format!("no workload is labelled as {name}"))?;
        if workloads.next().is_some() {
            return Err(format!("two workloads are labelled as {name}"));
        }
        for at in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
            let selected = label(workload, at).map(|value| format!("{COMPONENT_LABEL}={value}"));
            if selected.as_deref() != Some(select.as_str()) {
                return Err(format!("the pods of {name} are selected by {select}, {at} says {selected:?}"));
            }
        }
        let mut containers = list(workload, "/spec/template/spec/containers");
        let found = containers.find(|one| text(one, "/name") == container);
        let container = found.ok_or_else(|| format!("{name} has no container {container}"))?;
        Ok(Pair { overlay: self, system, name, component, workload, container })
    }

    /// The node port by which users come, and its way onto this machine.
    fn endpoint(&self, system: &System) -> Option<String> {
        let (component, port) = (&system.endpoint.component, &system.endpoint.port);
        let of = |service: &&Value| label(service, "/spec/selector").as_deref() == Some(component.as_str());
        let ports = self.of_kind(&["Service"]).filter(of).flat_map(|service| list(service, "/spec/ports"));
        let mut ports = ports.filter(|one| text(one, "/targetPort") == port.as_str());
        let Some(node) = ports.find_map(|one| one["nodePort"].as_u64()) else {
            return Some(format!("no Service of {component} has a node port for {port}"));
        };
        let endpoint = &system.kube.as_ref().unwrap().endpoint;
        let config = fs::read_to_string(root().join("kind-config.yml")).unwrap();
        let config: Value = serde_saphyr::from_str(&config).unwrap();
        let mappings = list(&config, "/nodes").flat_map(|node| list(node, "/extraPortMappings"));
        let mut out = mappings.filter(|one| one["containerPort"] == node);
        let out = out.next().map(|one| format!("{}:{}", text(one, "/listenAddress"), one["hostPort"]));
        (out.as_ref() != Some(endpoint))
            .then(|| format!("node port {node} is published at {out:?}, the endpoint is {endpoint}"))
    }
}

impl Pair<'_> {
    fn differences(&self) -> Vec<String> {
        let mut found = vec![];
        found.extend(self.replicas());
        found.extend(self.ports());
        found.extend(self.ready());
        found.extend(self.allotment());
        found.extend(self.settings());
        found.extend(self.must());
        found.extend(self.secrets());
        found.extend(self.asks_the_api_server());
        found.into_iter().map(|what| format!("{} {what}", self.name)).collect()
    }

    fn replicas(&self) -> Option<String> {
        let (here, said) = (self.workload["spec"]["replicas"].as_u64().unwrap_or(1), self.component.replicas);
        (here != u64::from(said)).then(|| format!("has {here} replicas, not {said}"))
    }

    fn ports(&self) -> Option<String> {
        let mut here: Vec<&str> = list(self.container, "/ports").map(|port| text(port, "/name")).collect();
        let mut said: Vec<&str> = self.component.ports.iter().map(Name::as_str).collect();
        here.sort_unstable();
        said.sort_unstable();
        (here != said).then(|| format!("listens on {said:?}, its container names {here:?}"))
    }

    fn ready(&self) -> Option<String> {
        let probe = &self.container["readinessProbe"];
        let get = |port: &str, path: &str| format!("GET {path} on {port}");
        let asks = |probe: &Value| get(text(probe, "/httpGet/port"), text(probe, "/httpGet/path"));
        let command = list(probe, "/exec/command").filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
        match &self.component.ready {
            Ready::Http { port, path, status } => {
                assert_eq!(*status, 200, "a probe takes 200 to 399");
                let said = get(port.as_str(), path);
                if asks(&self.container["startupProbe"]) != said {
                    return Some(format!("is ready by {said}, its startup probe does not ask that"));
                }
                let here = asks(probe);
                (here != said).then(|| format!("is ready by {said}, its readiness probe asks {here}"))
            }
            // A question of the same kind, by the client that the image has.
            Ready::Tcp { port, send, .. } => {
                let word = send.trim().to_lowercase();
                let open = text(self.container, "/livenessProbe/tcpSocket/port") == port.as_str();
                (!open || !command.ends_with(&word)).then(|| {
                    format!("is ready by {word} on {port}, its probes ask {command:?}, open: {open}")
                })
            }
            Ready::Postgres { port, user, database, .. } => {
                let said = format!("-U {user} -d {database}");
                let open = text(self.container, "/livenessProbe/tcpSocket/port") == port.as_str();
                (!open || !command.ends_with(&said)).then(|| {
                    format!("is ready for {said} on {port}, its probes ask {command:?}, open: {open}")
                })
            }
        }
    }

    fn allotment(&self) -> Option<String> {
        let said = self.component.allotment?;
        let asked = |what: &str| text(self.container, &format!("/resources/requests/{what}")).to_owned();
        let cpu = asked("cpu");
        let cpu = match cpu.strip_suffix('m') {
            Some(milli) => milli.parse::<f64>().unwrap_or(f64::NAN) / 1000.0,
            None => cpu.parse().unwrap_or(f64::NAN),
        };
        let memory = format!("{}B", asked("memory")).parse::<Bytes>().ok();
        let same = (cpu - said.cpu).abs() < 1e-9 && said.memory.is_none_or(|said| memory == Some(said));
        let show = |cpu: f64, memory: Option<Bytes>| {
            format!(
                "{cpu} cores and {}",
                memory.map_or_else(|| "no memory".to_owned(), |bytes| bytes.to_string())
            )
        };
        let (here, said) = (show(cpu, memory), show(said.cpu, said.memory));
        (!same).then(|| format!("requests {here}, its allotment is {said}"))
    }

    /// The environment that the manifests state, from config maps and by itself; none: it comes from somewhere else.
    fn environment(&self) -> BTreeMap<&str, Option<&str>> {
        let mut all = BTreeMap::new();
        for from in list(self.container, "/envFrom") {
            let name = text(from, "/configMapRef/name");
            let mut maps = self.overlay.of_kind(&["ConfigMap"]);
            let map = maps.find(|map| text(map, "/metadata/name") == name);
            let data = map.and_then(|map| map["data"].as_object()).into_iter().flatten();
            all.extend(data.map(|(name, value)| (name.as_str(), value.as_str())));
        }
        let own = list(self.container, "/env");
        all.extend(own.map(|entry| (text(entry, "/name"), entry["value"].as_str())));
        all
    }

    /// What both state is the same, and a revision changes what the manifests state.
    fn settings(&self) -> Vec<String> {
        let here = self.environment();
        let mut found = vec![];
        for (name, said) in self.component.settings.iter().filter(|(_, said)| !said.contains("{{")) {
            match here.get(name.as_str()) {
                Some(Some(value)) if value == said => {}
                other => found.push(format!("has {name}={said}, here {other:?}")),
            }
        }
        for (revision, changes) in &self.component.revisions {
            let same =
                |(name, value): (&String, &String)| here.get(name.as_str()) == Some(&Some(value.as_str()));
            if !changes.settings.is_empty() && changes.settings.iter().all(same) {
                found.push(format!("runs its revision {revision} already"));
            }
        }
        found
    }

    /// A fact that is read back is not left to chance: an argument says it.
    fn must(&self) -> Vec<String> {
        let args: Vec<&str> = list(self.container, "/args").filter_map(Value::as_str).collect();
        let lacking = self.component.must.iter().filter(|must| {
            let said = must.sql.strip_prefix("show ").map(|name| format!("{name}={}", must.is));
            said.is_none_or(|said| !args.windows(2).any(|pair| pair == ["-c", said.as_str()]))
        });
        lacking.map(|must| format!("must have {} be {}, no argument says so", must.sql, must.is)).collect()
    }

    /// Whatever its pods read of a Secret is in the one that is generated.
    fn secrets(&self) -> Vec<String> {
        let generated = self.system.kube.as_ref().and_then(|kube| kube.secret.as_ref());
        let known = |name: &str, key: &str| {
            generated.is_some_and(|secret| secret.name == name && secret.keys.contains_key(key))
        };
        let entries =
            list(self.container, "/env").filter_map(|entry| entry.pointer("/valueFrom/secretKeyRef"));
        let mut read: Vec<(&str, &str)> =
            entries.map(|one| (text(one, "/name"), text(one, "/key"))).collect();
        for volume in list(self.workload, "/spec/template/spec/volumes") {
            let items = list(volume, "/secret/items");
            read.extend(items.map(|item| (text(volume, "/secret/secretName"), text(item, "/key"))));
        }
        let unknown = read.into_iter().filter(|(name, key)| !known(name, key));
        unknown.map(|(name, key)| format!("reads {key} of {name}, which is not generated")).collect()
    }

    /// Who is let through to the API server has a token, and nobody else.
    fn asks_the_api_server(&self) -> Option<String> {
        let spec = &self.workload["spec"]["template"]["spec"];
        let mut sources = list(spec, "/volumes").flat_map(|volume| list(volume, "/projected/sources"));
        let token = sources.any(|source| source.get("serviceAccountToken").is_some())
            || spec["automountServiceAccountToken"] != false;
        let said = self.system.kube.as_ref().unwrap().api_server.contains(self.name);
        (token != said).then(|| format!("holds a token: {token}; may ask the API server: {said}"))
    }
}

#[tokio::test]
#[ignore = "needs kubectl: make test-kube"]
async fn what_the_system_file_and_the_manifests_both_say_is_the_same() {
    let system = reference();
    let mut found: Vec<String> = vec![];
    for overlay in overlays(&system).await {
        found.extend(overlay.differences(&system));
    }
    found.sort();
    let mut meant = MEANT.to_vec();
    meant.sort_unstable();
    assert_eq!(found, meant);
}

/// Each thing that can differ, made to differ: a pointer into a component's workload, a value, and what is told of it.
const CHANGED: [(&str, &str, &str, &str); 10] = [
    (
        "service",
        "/metadata/labels/app.kubernetes.io~1component",
        "\"servce\"",
        "no workload is labelled as service",
    ),
    (
        "cache",
        "/spec/template/metadata/labels/app.kubernetes.io~1component",
        "\"x\"",
        "the pods of cache are selected",
    ),
    ("cache", "/spec/template/spec/containers/0/name", "\"redis\"", "cache has no container cache"),
    ("service", "/spec/replicas", "2", "service has 2 replicas, not 3"),
    ("database", "/spec/template/spec/containers/0/ports/0/name", "\"pg\"", "database listens on"),
    (
        "service",
        "/spec/template/spec/containers/0/readinessProbe/httpGet/port",
        "3000",
        "service is ready by",
    ),
    (
        "database",
        "/spec/template/spec/containers/0/args/2",
        "\"fsync=off\"",
        "database must have show fsync be on",
    ),
    ("service", "/spec/template/spec/containers/0/envFrom", "[]", "service has DRAIN_DELAY=1s, here None"),
    (
        "database",
        "/spec/template/spec/volumes/0/secret/secretName",
        "\"mine\"",
        "database reads database-password of mine",
    ),
    ("cache", "/spec/template/spec/automountServiceAccountToken", "true", "cache holds a token: true"),
];

#[tokio::test]
#[ignore = "needs kubectl: make test-kube"]
async fn whatever_differs_is_told() {
    let system = reference();
    let whole = overlays(&system).await.remove(0);
    let before = whole.differences(&system);
    for (component, at, value, told) in CHANGED {
        let mut overlay = whole.clone();
        let labelled = |one: &&mut Value| {
            let workload = one["kind"] == "Deployment" || one["kind"] == "StatefulSet";
            workload && label(one, "/metadata/labels").as_deref() == Some(component)
        };
        let workload = overlay.objects.iter_mut().find(labelled).unwrap();
        *workload.pointer_mut(at).unwrap() = serde_json::from_str(value).unwrap();
        let mut after = overlay.differences(&system);
        after.retain(|line| !before.contains(line));
        assert!(after.iter().any(|line| line.contains(told)), "{component} {at} {value}: {after:?}");
    }
}
