//! A system's manifests: rendered by `kubectl kustomize`, and made fit for a namespace of a run.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use gauntlet_core::{
    port::Trouble,
    system::{Kube, System},
};
use k8s_openapi::api::{core::v1::Secret, discovery::v1::EndpointSlice};
use kube::api::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::api::documents::documents;

/// How long rendering may take: nothing is fetched for it.
const RENDERED_WITHIN: Duration = Duration::from_secs(20);

/// A kustomization, rendered.
pub struct Rendered {
    /// The name of its Namespace; none: it has none.
    pub namespace: Option<String>,
    /// The labels of its Namespace.
    pub namespace_labels: BTreeMap<String, String>,
    /// Everything else.
    pub objects: Vec<DynamicObject>,
}

/// Renders a kustomization.
pub async fn render(overlay: &Path) -> Result<Rendered, Trouble> {
    let what = format!("render {}", overlay.display());
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("kustomize").arg(overlay).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(RENDERED_WITHIN, kubectl.output()).await;
    let output =
        output.map_err(|_| Trouble::failed(&what, format!("not done within {RENDERED_WITHIN:?}")))?;
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Trouble::failed(&what, "there is no kubectl: install it (kubernetes.io/docs/tasks/tools)")
        }
        _ => Trouble::failed(&what, error),
    })?;
    if !output.status.success() {
        return Err(Trouble::failed(what, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let objects = documents(&overlay.display().to_string(), &String::from_utf8_lossy(&output.stdout))?;
    let (namespaces, objects): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|one| kind(one) == "Namespace");
    let namespace = namespaces.first().and_then(|one| one.metadata.name.clone());
    let namespace_labels = namespaces.into_iter().filter_map(|one| one.metadata.labels).flatten().collect();
    Ok(Rendered { namespace, namespace_labels, objects })
}

/// Accounts that a binding names move along with the objects.
pub(crate) fn bound_in(namespace: &str, mut objects: Vec<DynamicObject>) -> Vec<DynamicObject> {
    let bindings = objects.iter_mut().filter(|object| kind(object) == "RoleBinding");
    for subject in bindings.filter_map(|one| one.data.get_mut("subjects")?.as_array_mut()).flatten() {
        if subject["kind"] == "ServiceAccount" {
            subject["namespace"] = json!(namespace);
        }
    }
    objects
}

/// Workloads that have no pods yet: a run starts its components one after the other.
pub(crate) fn without_pods(mut objects: Vec<DynamicObject>) -> Vec<DynamicObject> {
    for object in &mut objects {
        if matches!(kind(object), "Deployment" | "StatefulSet")
            && let Some(spec) = object.data.get_mut("spec").and_then(Value::as_object_mut)
        {
            spec.insert("replicas".to_owned(), json!(0));
        }
    }
    objects
}

/// The kind of an object; empty when it has none.
pub fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

/// The Secret that the system file asks for, with freshly drawn values.
pub(crate) fn secret(system: &System, kube: &Kube) -> Result<Option<Secret>, Trouble> {
    let Some(asked) = &kube.secret else { return Ok(None) };
    let mut drawn = BTreeMap::new();
    for name in &system.secrets {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|error| Trouble::failed("draw a secret", error))?;
        drawn.insert(name.as_str().replace('-', "_"), random.map(|byte| format!("{byte:02x}")).concat());
    }
    let context = json!({ "secret": drawn });
    let mut values = BTreeMap::new();
    for (key, template) in &asked.keys {
        let what = format!("kube.secret.keys.{key}");
        values.insert(key.clone(), fill(template, &context).map_err(|error| Trouble::failed(what, error))?);
    }
    Ok(Some(Secret {
        metadata: ObjectMeta { name: Some(asked.name.clone()), ..ObjectMeta::default() },
        string_data: Some(values),
        ..Secret::default()
    }))
}

/// Renders every value of the Secret with made-up secrets; answers what is wrong, by key.
pub fn rehearse(system: &System, kube: &Kube) -> Vec<(String, String)> {
    let names = system.secrets.iter().map(|name| (name.as_str().replace('-', "_"), "0".repeat(32)));
    let context = json!({ "secret": names.collect::<BTreeMap<_, _>>() });
    let keys = kube.secret.iter().flat_map(|secret| &secret.keys);
    keys.filter_map(|(key, template)| Some((key.clone(), fill(template, &context).err()?.to_string())))
        .collect()
}

fn fill(template: &str, context: &Value) -> Result<String, minijinja::Error> {
    let mut environment = minijinja::Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.render_str(template, minijinja::value::Serde(context))
}

/// The rule that lets a connection through to every address of a slice, on its ports.
pub(crate) fn way_to(slice: &EndpointSlice) -> Value {
    let wide = if slice.address_type == "IPv6" { 128 } else { 32 };
    let addresses = slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    let ports = slice.ports.iter().flatten();
    json!({
        "to": addresses.map(|at| json!({ "ipBlock": { "cidr": format!("{at}/{wide}") } })).collect::<Vec<_>>(),
        "ports": ports.map(|port| json!({ "protocol": port.protocol, "port": port.port })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use gauntlet_core::system;
    use serde_json::json;

    use super::{bound_in, documents, rehearse, secret, way_to, without_pods};

    const SYSTEM: &str = "format: 1\nname: x\nsecrets: [pass-word]\ncomponents:\n  web: { ports: [http], ready: { tcp: { port: http } } }\n\
        endpoint: { component: web, port: http }\nkube:\n  endpoint: 127.0.0.1:30080\n  secret: { name: keys, keys: { url: 'u://{{ secret.pass_word }}@h' } }\n";

    #[test]
    fn a_secret_is_drawn_anew_each_time_and_filled_in() {
        let system = system::read(SYSTEM).unwrap();
        let kube = system.kube.as_ref().unwrap();
        let drawn = || secret(&system, kube).unwrap().unwrap().string_data.unwrap()["url"].clone();
        let (one, other) = (drawn(), drawn());
        assert!(one.starts_with("u://") && one.ends_with("@h") && one.len() == 38, "{one}");
        assert_ne!(one, other);
        assert!(rehearse(&system, kube).is_empty());
    }

    #[test]
    fn an_unknown_secret_is_told_with_its_key() {
        let system = system::read(SYSTEM.replace("secret.pass_word", "secret.pasword")).unwrap();
        let wrong = rehearse(&system, system.kube.as_ref().unwrap());
        assert_eq!(wrong[0].0, "url");
    }

    #[test]
    fn workloads_wait_and_the_rest_is_as_it_was() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a }\nspec: { replicas: 3 }\n---\n\
                    apiVersion: v1\nkind: Service\nmetadata: { name: b }\nspec: { type: NodePort }\n";
        let objects = without_pods(documents("x", text).unwrap());
        assert_eq!(objects[0].data["spec"], json!({ "replicas": 0 }));
        assert_eq!(objects[1].data["spec"], json!({ "type": "NodePort" }));
    }

    #[test]
    fn a_binding_names_the_account_where_it_is_now() {
        let text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: { name: a }\n\
                    subjects: [{ kind: ServiceAccount, name: a, namespace: old }, { kind: User, name: b }]\n";
        let objects = bound_in("new", documents("x", text).unwrap());
        let subjects = &objects[0].data["subjects"];
        assert_eq!((&subjects[0]["namespace"], &subjects[1]["namespace"]), (&json!("new"), &json!(null)));
    }

    #[test]
    fn a_way_is_one_address_wide() {
        let slice = serde_json::from_value(json!({
            "metadata": {}, "addressType": "IPv4", "endpoints": [{ "addresses": ["10.0.0.1"] }],
            "ports": [{ "port": 6443, "protocol": "TCP" }],
        }));
        let way = way_to(&slice.unwrap());
        assert_eq!(way["to"], json!([{ "ipBlock": { "cidr": "10.0.0.1/32" } }]));
        assert_eq!(way["ports"], json!([{ "protocol": "TCP", "port": 6443 }]));
    }
}
