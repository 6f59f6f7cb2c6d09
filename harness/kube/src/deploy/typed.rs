//! Every manifest of the repository against the types of the API: a field that no type has would be dropped by a server that
//! does not check, and is a mistake. No cluster is asked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{api::documents::documents, deploy::manifests::render};

/// What is no manifest by itself: a kustomization, and what an overlay changes of the base.
const NONE: [&str; 2] = ["kustomization.yml", "overlays"];

fn there_and_back<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

fn typed(object: &Value) -> Result<Value, String> {
    match object["kind"].as_str().unwrap_or_default() {
        "ClusterRole" => there_and_back::<ClusterRole>(object),
        "ClusterRoleBinding" => there_and_back::<ClusterRoleBinding>(object),
        "ConfigMap" => there_and_back::<ConfigMap>(object),
        "DaemonSet" => there_and_back::<DaemonSet>(object),
        "Deployment" => there_and_back::<Deployment>(object),
        "Namespace" => there_and_back::<Namespace>(object),
        "NetworkPolicy" => there_and_back::<NetworkPolicy>(object),
        "PodDisruptionBudget" => there_and_back::<PodDisruptionBudget>(object),
        "Role" => there_and_back::<Role>(object),
        "RoleBinding" => there_and_back::<RoleBinding>(object),
        "Service" => there_and_back::<Service>(object),
        "ServiceAccount" => there_and_back::<ServiceAccount>(object),
        "StatefulSet" => there_and_back::<StatefulSet>(object),
        other => Err(format!("no type is known here for {other:?}")),
    }
}

/// The paths of what a type did not keep.
fn lost(written: &Value, kept: Option<&Value>, path: &str, into: &mut Vec<String>) {
    match (written, kept) {
        (Value::Null, _) => {}
        (Value::Object(fields), Some(Value::Object(kept))) => {
            for (name, value) in fields {
                lost(value, kept.get(name), &format!("{path}.{name}"), into);
            }
        }
        (Value::Array(items), Some(Value::Array(kept))) => {
            for (index, item) in items.iter().enumerate() {
                lost(item, kept.get(index), &format!("{path}[{index}]"), into);
            }
        }
        // An empty selector selects everything; a type may leave it out.
        (Value::Object(fields), None) if fields.is_empty() => {}
        (written, Some(kept)) if written == kept => {}
        _ => into.push(path.to_owned()),
    }
}

fn wrong(object: &Value) -> Vec<String> {
    let name = format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "");
    match typed(object) {
        Err(why) => vec![format!("{name}: {why}")],
        Ok(kept) => {
            let mut all = vec![];
            lost(object, Some(&kept), &name, &mut all);
            all
        }
    }
}

fn manifests(under: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if NONE.iter().any(|none| path.ends_with(none)) {
            continue;
        }
        if path.is_dir() {
            manifests(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "yml") {
            into.push(path);
        }
    }
}

#[test]
fn every_manifest_says_only_what_the_types_of_the_api_know() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![own.join("manifests/tools.yml")];
    manifests(&own.join("../../deploy/base"), &mut files);
    let mut objects = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for object in documents("a manifest", &text).unwrap() {
            let object = serde_json::to_value(object).unwrap();
            assert_eq!(wrong(&object), Vec::<String>::new(), "{}", file.display());
            objects += 1;
        }
    }
    assert!(objects > 25, "{objects} objects");
}

#[tokio::test]
#[ignore = "needs kubectl, which renders: make test-kube"]
async fn so_does_every_overlay_when_it_is_rendered() {
    let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/overlays");
    for name in ["kind", "production"] {
        let rendered = render(&overlays.join(name)).await.unwrap();
        assert!(rendered.objects.len() > 20, "{name}: {} objects", rendered.objects.len());
        for object in rendered.objects {
            let object = serde_json::to_value(object).unwrap();
            assert_eq!(wrong(&object), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn a_field_that_no_type_has_and_one_of_the_wrong_kind_are_told() {
    let set = |more: Value| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x" }, "spec": more });
    assert_eq!(wrong(&set(json!({ "selecter": { "a": "b" } }))), ["Service x.spec.selecter"]);
    assert_eq!(wrong(&set(json!({ "ports": [{ "port": 80, "targetPort": "http" }] }))), Vec::<String>::new());
    assert!(
        wrong(&set(json!({ "ports": [{ "port": "eighty" }] })))[0].starts_with("Service x: invalid type")
    );
    assert_eq!(
        wrong(&json!({ "kind": "Gadget", "metadata": { "name": "x" } })),
        ["Gadget x: no type is known here for \"Gadget\""]
    );
}
