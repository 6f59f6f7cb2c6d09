//! The tools: what the harness needs in a cluster, as objects.

use gauntlet_core::port::Trouble;
use kube::core::DynamicObject;
use serde_json::Value;

use crate::api::documents::documents;

/// Where the tools live.
pub const NAMESPACE: &str = "gauntlet-system";
/// Every object of the tools bears it.
pub const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "gauntlet");
/// Selects the pods that hold agent and eye.
pub const AGENT: &str = "app.kubernetes.io/name=agent,app.kubernetes.io/part-of=gauntlet";

const MANIFEST: &str = include_str!("../../manifests/tools.yml");

/// The tools of this version, with the harness' image (`gauntlet/harness:0.1.0`).
pub fn tools(version: &str, image: &str) -> Result<Vec<DynamicObject>, Trouble> {
    let mut objects = documents("the tools' manifest", MANIFEST)?;
    for object in &mut objects {
        let labels = object.metadata.labels.get_or_insert_default();
        labels.insert(PART_OF.0.into(), PART_OF.1.into());
        labels.insert("app.kubernetes.io/version".into(), version.into());
        for list in ["initContainers", "containers"] {
            let containers = object.data.pointer_mut(&format!("/spec/template/spec/{list}"));
            for container in containers.and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = image.into();
            }
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{AGENT, MANIFEST, NAMESPACE, tools};

    #[test]
    fn every_object_says_whose_it_is_and_runs_the_image_that_was_asked_for() {
        let objects = tools("1.2.3", "registry.test/harness:1.2.3").unwrap();
        let mut images = vec![];
        for object in &objects {
            let labels = object.metadata.labels.clone().unwrap();
            assert_eq!(labels["app.kubernetes.io/part-of"], "gauntlet");
            assert_eq!(labels["app.kubernetes.io/version"], "1.2.3");
            assert!(object.metadata.namespace.as_deref().is_none_or(|namespace| namespace == NAMESPACE));
            let containers = object.data.pointer("/spec/template/spec/containers").and_then(Value::as_array);
            images.extend(containers.into_iter().flatten().map(|one| one["image"].clone()));
        }
        assert_eq!(images, vec!["registry.test/harness:1.2.3"; 3]);
        assert_eq!(objects.len(), MANIFEST.matches("\nkind: ").count());
    }

    #[test]
    fn what_sees_has_no_capability_and_what_acts_has_one() {
        let objects = tools("1", "i").unwrap();
        let agent = objects.iter().find(|one| one.types.as_ref().unwrap().kind == "DaemonSet").unwrap();
        let capabilities: Vec<_> = agent.data["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap(), one["securityContext"]["capabilities"].to_string()))
            .collect();
        let expected = [("agent", r#"{"add":["KILL"],"drop":["ALL"]}"#), ("eye", r#"{"drop":["ALL"]}"#)];
        assert_eq!(capabilities.len(), 2);
        for ((name, found), (part, expected)) in capabilities.into_iter().zip(expected) {
            let same = found.parse::<Value>().unwrap() == expected.parse::<Value>().unwrap();
            assert!(name == part && same, "{name}: {found}");
        }
        for label in AGENT.split(',') {
            let (name, value) = label.split_once('=').unwrap();
            assert_eq!(agent.data["spec"]["template"]["metadata"]["labels"][name], value);
        }
    }
}
