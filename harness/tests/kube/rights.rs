//! Who may ask the API server for what: every account of the reference system and of the tools, each right and no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

use crate::{
    cluster::{kubeconfig, kubectl},
    stage::Stage,
};

/// Where the tools are.
const TOOLS: &str = "gauntlet-system";
/// Accounts of the system that ask the API server nothing. `default` is that of a pod which names none.
const SILENT: [&str; 4] = ["service", "database", "cache", "default"];

/// Verbs by what they are allowed on: `RESOURCE.GROUP/SUBRESOURCE`, or a path.
type Rights = BTreeMap<String, BTreeSet<String>>;

/// What the janitor may, in any namespace.
const JANITOR: [(&str, &str); 8] = [
    ("namespaces", "delete get list watch"),
    ("pods", "delete deletecollection get list watch"),
    ("pods/portforward", "create get"),
    ("deployments.apps", "get list patch"),
    ("statefulsets.apps", "get list patch"),
    ("deployments.apps/scale", "patch"),
    ("statefulsets.apps/scale", "patch"),
    ("persistentvolumes", "get list"),
];
/// And where the tools are besides: ledgers, leases, and the way to the agents.
const JANITOR_AT_HOME: [(&str, &str); 3] = [
    ("configmaps", "delete get update"),
    ("leases.coordination.k8s.io", "delete get list update watch"),
    ("pods/exec", "create get"),
];
const INGRESS: [(&str, &str); 1] = [("endpointslices.discovery.k8s.io", "get list watch")];

/// What nobody here may, anywhere, whatever else is granted.
const NEVER: [(&str, &str); 22] = [
    ("*", "*"),
    ("get", "secrets"),
    ("list", "secrets"),
    ("watch", "secrets"),
    ("create", "secrets"),
    ("create", "pods"),
    ("patch", "pods"),
    ("create", "pods/eviction"),
    ("create", "deployments.apps"),
    ("create", "namespaces"),
    ("patch", "namespaces"),
    ("get", "nodes"),
    ("delete", "nodes"),
    ("get", "nodes/proxy"),
    ("create", "serviceaccounts/token"),
    ("impersonate", "serviceaccounts"),
    ("impersonate", "users"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("bind", "clusterroles.rbac.authorization.k8s.io"),
    ("escalate", "clusterroles.rbac.authorization.k8s.io"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("delete", "persistentvolumes"),
];

/// The same of accounts that may nothing at all: the lists say the rest.
const NEVER_OF_SILENT: [(&str, &str); 5] =
    [("*", "*"), ("get", "secrets"), ("get", "pods"), ("create", "pods"), ("create", "pods/exec")];

fn rights(of: &[&[(&str, &str)]]) -> Rights {
    let verbs = |verbs: &str| verbs.split(' ').map(str::to_owned).collect();
    of.iter().copied().flatten().map(|(what, may)| ((*what).to_owned(), verbs(may))).collect()
}

/// One account, asked for by impersonation: the API server adds the groups that every service account has.
struct Account {
    namespace: String,
    name: String,
}

impl Account {
    fn of(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The same place, but an account that nobody made: what every account may.
    fn nobody(&self) -> Self {
        Self::of(&self.namespace, "nobody")
    }

    fn shown(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Whether it may do this there, as the API server says.
    fn may(&self, verb: &str, what: &str, namespace: &str) -> bool {
        let mut ask = Command::new("kubectl");
        ask.arg("--kubeconfig").arg(kubeconfig()).args(["auth", "can-i", verb]);
        // Behind a slash kubectl expects an object's name.
        let (what, sub) = what.split_once('/').unwrap_or((what, ""));
        ask.args([what, "--subresource", sub, "-n", namespace, "--as", &self.shown()]);
        let output = ask.output().unwrap();
        match String::from_utf8_lossy(&output.stdout).trim() {
            "yes" => true,
            "no" => false,
            other => panic!("{verb} {what}: {other:?}, {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Everything that it may do there, as the API server lists it.
    fn listed(&self, namespace: &str) -> Rights {
        let shown = self.shown();
        let list = kubectl(&["auth", "can-i", "--list", "--no-headers", "-n", namespace, "--as", &shown]);
        let mut rights = Rights::new();
        // RESOURCE [PATHS] [NAMES] [VERBS]; what is granted twice is listed once or twice.
        for line in list.lines() {
            let parts: Vec<&str> = line.split(['[', ']']).map(str::trim).collect();
            let [resource, paths, _, names, _, verbs, ..] = parts[..] else {
                panic!("{shown}: a line that cannot be read: {line:?}")
            };
            let what = [resource, paths, names].into_iter().filter(|part| !part.is_empty());
            let what = what.collect::<Vec<_>>().join(" ");
            rights.entry(what).or_default().extend(verbs.split(' ').map(str::to_owned));
        }
        rights
    }

    /// What it may more than any account.
    fn own(&self, namespace: &str) -> Rights {
        let common = self.nobody().listed(namespace);
        let mut own = self.listed(namespace);
        own.retain(|what, verbs| {
            verbs.retain(|verb| !common.get(what).is_some_and(|all| all.contains(verb)));
            !verbs.is_empty()
        });
        own
    }
}

/// A deployed system, gone whatever happens.
struct Deployed {
    stage: Stage,
    namespace: String,
    at: [String; 4],
}

impl Deployed {
    fn new(namespace: String) -> Self {
        let (config, context) = (kubeconfig().display().to_string(), kubectl(&["config", "current-context"]));
        let at = ["--kubeconfig", &config, "--context", context.trim()].map(str::to_owned);
        let deployed = Self { stage: Stage::new(), namespace, at };
        deployed.gauntlet(&["deploy"]);
        deployed
    }

    fn gauntlet(&self, words: &[&str]) {
        let at: Vec<&str> = self.at.iter().map(String::as_str).collect();
        let ended = self.stage.gauntlet(&[words, &["--namespace", &self.namespace], &at].concat());
        assert_eq!(ended.code, 0, "{words:?}: {}", ended.text);
    }

    fn undeploy(&self) {
        // Waits for the volumes too.
        self.gauntlet(&["undeploy", "--yes"]);
    }
}

impl Drop for Deployed {
    fn drop(&mut self) {
        kubectl(&["delete", "namespace", &self.namespace, "--ignore-not-found"]);
    }
}

fn pods(namespace: &str, selector: &str) -> Vec<Value> {
    let list = kubectl(&["get", "pods", "-n", namespace, "-l", selector, "-o", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// The containers of a pod that hold a token of its account.
fn with_token(pod: &Value) -> Vec<&str> {
    let list = |of: &'static str| pod["spec"][of].as_array().into_iter().flatten();
    let sources = |volume: &Value| volume["projected"]["sources"].as_array().cloned().unwrap_or_default();
    let tokens = list("volumes")
        .filter(|volume| sources(volume).iter().any(|source| source.get("serviceAccountToken").is_some()));
    let tokens: Vec<&Value> = tokens.map(|volume| &volume["name"]).collect();
    let mounts = |container: &Value| container["volumeMounts"].as_array().cloned().unwrap_or_default();
    let all = list("initContainers").chain(list("containers"));
    let hold = all.filter(|container| mounts(container).iter().any(|mount| tokens.contains(&&mount["name"])));
    hold.filter_map(|container| container["name"].as_str()).collect()
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn every_account_has_its_rights_and_no_other() {
    let deployed = Deployed::new(format!("rights-{}", std::process::id()));
    let here = deployed.namespace.as_str();
    let places = [here, TOOLS, "default", "kube-system"];
    let of_system = |name: &str| Account::of(here, name);
    let (ingress, janitor) = (of_system("ingress"), Account::of(TOOLS, "janitor"));
    let mut silent: Vec<Account> = SILENT.iter().map(|name| of_system(name)).collect();
    silent.extend(["agent", "default"].map(|name| Account::of(TOOLS, name)));

    // What every account may is to ask who it is and what it may, and what the server is.
    for (what, verbs) in ingress.nobody().listed(here) {
        assert!(what.starts_with("selfsubject") || what.starts_with('/'), "anybody may {verbs:?} {what}");
    }
    for place in places {
        for account in &silent {
            assert_eq!(account.own(place), Rights::new(), "{} in {place}", account.shown());
        }
        let expected = if place == here { rights(&[&INGRESS]) } else { Rights::new() };
        assert_eq!(ingress.own(place), expected, "{} in {place}", ingress.shown());
        let at_home: &[_] = if place == TOOLS { &JANITOR_AT_HOME } else { &[] };
        assert_eq!(janitor.own(place), rights(&[&JANITOR, at_home]), "{} in {place}", janitor.shown());
    }

    // The same by single questions, which the server answers by another way than lists.
    for place in [here, "kube-system"] {
        let refused = |account: &Account, verb: &str, what: &str| {
            assert!(!account.may(verb, what, place), "{} may {verb} {what} in {place}", account.shown());
        };
        for account in &silent {
            NEVER_OF_SILENT.iter().for_each(|(verb, what)| refused(account, verb, what));
        }
        for account in [&ingress, &janitor] {
            NEVER.iter().for_each(|(verb, what)| refused(account, verb, what));
            refused(account, "create", "pods/exec");
            refused(account, "get", "configmaps");
        }
        refused(&ingress, "get", "pods");
        for verb in ["get", "list", "watch"] {
            let may = ingress.may(verb, "endpointslices.discovery.k8s.io", place);
            assert_eq!(may, place == here, "the ingress, {verb} in {place}");
        }
        for (verb, what) in
            [("delete", "namespaces"), ("delete", "pods"), ("patch", "deployments.apps/scale")]
        {
            assert!(janitor.may(verb, what, place), "the janitor may not {verb} {what} in {place}");
        }
    }
    for (verb, what) in [("create", "pods/exec"), ("update", "leases.coordination.k8s.io")] {
        assert!(janitor.may(verb, what, TOOLS), "the janitor may not {verb} {what} in {TOOLS}");
    }
    assert!(!janitor.may("get", "secrets", TOOLS), "the janitor may read secrets in {TOOLS}");
    who_runs_under_them(here);
    deployed.undeploy();
}

/// The pods run under the accounts that were asked about, and only who asks the API server holds a token.
fn who_runs_under_them(here: &str) {
    for (component, tokens) in
        [("service", vec![]), ("database", vec![]), ("cache", vec![]), ("ingress", vec!["members"])]
    {
        let pods = pods(here, &format!("app.kubernetes.io/component={component}"));
        assert!(!pods.is_empty(), "no pod of {component}");
        for pod in pods {
            assert_eq!(pod["spec"]["serviceAccountName"], component);
            assert_eq!(with_token(&pod), tokens, "{}", pod["metadata"]["name"]);
        }
    }
    for (name, tokens) in [("agent", vec![]), ("janitor", vec!["janitor"])] {
        let pods = pods(TOOLS, &format!("app.kubernetes.io/name={name}"));
        assert!(!pods.is_empty(), "no pod of the {name}");
        for pod in pods {
            assert_eq!(pod["spec"]["serviceAccountName"], name);
            assert_eq!(with_token(&pod), tokens, "{}", pod["metadata"]["name"]);
        }
    }
}
