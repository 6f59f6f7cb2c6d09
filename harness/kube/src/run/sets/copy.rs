//! The copies that a set is made of. Every label, policy, probe and limit of the original is the copy's too; only the
//! component's label is the set's own, wherever it stands.

use gauntlet_core::{
    name::Name,
    system::{SetOf, kubernetes::COMPONENT_LABEL},
};
use k8s_openapi::api::core::v1::Service;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

use super::Original;
use crate::run::workload::revise;

impl Original {
    /// The Deployment and the Service of a set.
    pub(super) fn copied(&self, set: &Name, of: &SetOf) -> Result<(DynamicObject, DynamicObject), String> {
        let deployment = self.deployment(set, of)?;
        let pods = deployment.data.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
        // The component's own traffic must not come to the set, whatever share it has.
        if let Some(service) = self.services.iter().find(|service| reaches(service, set, &pods)) {
            let name = service.metadata.name.as_deref().unwrap_or_default();
            return Err(format!("Service {name} would reach the pods of {set} too: {}", distinct()));
        }
        Ok((deployment, self.service(set, of)?))
    }

    fn deployment(&self, set: &Name, of: &SetOf) -> Result<DynamicObject, String> {
        let mut copy = self.deployment.clone();
        let kept = revise::copied(&mut copy, &self.container, &of.revision)?;
        let labels = copy.metadata.labels.clone();
        let mut spec = serde_json::to_value(copy.spec).map_err(|error| error.to_string())?;
        for at in ["/selector/matchLabels", "/template/metadata/labels"] {
            if spec.pointer(at).and_then(|labels| labels.get(COMPONENT_LABEL)) != Some(&json!(of.of)) {
                let name = self.deployment.metadata.name.as_deref().unwrap_or_default();
                return Err(format!("Deployment {name} has another label in {at}: {}", distinct()));
            }
        }
        spec["replicas"] = json!(0);
        let annotations = kept.map(|kept| json!({ revise::KEPT: kept }));
        object(
            "apps/v1",
            "Deployment",
            set,
            of,
            json!({ "labels": labels, "annotations": annotations }),
            spec,
        )
    }

    fn service(&self, set: &Name, of: &SetOf) -> Result<DynamicObject, String> {
        let selects = |service: &&Service| {
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            selector.and_then(|labels| labels.get(COMPONENT_LABEL)).is_some_and(|is| *is == *of.of.as_str())
        };
        let found = self.services.iter().find(selects);
        let found =
            found.ok_or_else(|| format!("no Service selects the pods of {}: {}", of.of, distinct()))?;
        let spec = found.spec.clone().unwrap_or_default();
        let ports = spec.ports.into_iter().flatten().map(|mut port| {
            port.node_port = None;
            port
        });
        let spec =
            json!({ "clusterIP": "None", "selector": spec.selector, "ports": ports.collect::<Vec<_>>() });
        object("v1", "Service", set, of, json!({ "labels": found.metadata.labels }), spec)
    }
}

fn distinct() -> String {
    format!("sets are told from their component by the label {COMPONENT_LABEL}")
}

fn object(
    api: &str,
    kind: &str,
    set: &Name,
    of: &SetOf,
    mut metadata: Value,
    mut spec: Value,
) -> Result<DynamicObject, String> {
    metadata["name"] = json!(set);
    relabel(&mut metadata, of.of.as_str(), set);
    relabel(&mut spec, of.of.as_str(), set);
    let object = json!({ "apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec });
    serde_json::from_value(object).map_err(|error| error.to_string())
}

/// The component's label becomes the set's, in labels and in whatever selects by them.
fn relabel(value: &mut Value, of: &str, set: &Name) {
    match value {
        Value::Object(fields) => {
            let is_asked = fields.get("key").is_some_and(|key| *key == COMPONENT_LABEL);
            if let (true, Some(Value::Array(values))) = (is_asked, fields.get_mut("values")) {
                values.iter_mut().filter(|value| **value == of).for_each(|value| *value = json!(set));
            }
            if let Some(label) = fields.get_mut(COMPONENT_LABEL).filter(|label| **label == of) {
                *label = json!(set);
            }
            fields.values_mut().for_each(|value| relabel(value, of, set));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| relabel(value, of, set)),
        _ => {}
    }
}

/// Whether a Service that is not the set's own selects pods with such labels.
fn reaches(service: &Service, set: &Name, pods: &Value) -> bool {
    let Some(selector) = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else { return false };
    let none = Map::new();
    let pods = pods.as_object().unwrap_or(&none);
    let selects =
        !selector.is_empty() && selector.iter().all(|(name, is)| pods.get(name) == Some(&json!(is)));
    selects && service.metadata.name.as_deref() != Some(set.as_str())
}

#[cfg(test)]
mod tests {
    use gauntlet_core::{
        act::Revision,
        system::{Changes, SetOf},
    };
    use serde_json::{Value, json};

    use super::{DynamicObject, Original};

    fn labels(component: &str) -> Value {
        json!({ "part-of": "shop", "app.kubernetes.io/component": component, "app.kubernetes.io/name": "web" })
    }

    fn original() -> (Value, Value) {
        let selector = json!({ "part-of": "shop", "app.kubernetes.io/component": "web" });
        let expression =
            json!([{ "key": "app.kubernetes.io/component", "operator": "In", "values": ["web", "b"] }]);
        let deployment = json!({
            "metadata": { "name": "web", "uid": "u", "resourceVersion": "7", "labels": labels("web"),
                "annotations": { "deployment.kubernetes.io/revision": "3" } },
            "spec": { "replicas": 3, "selector": { "matchLabels": selector }, "template": {
                "metadata": { "labels": labels("web") },
                "spec": {
                    "containers": [{ "name": "web", "image": "web:1", "env": [{ "name": "A", "value": "a" }] }],
                    "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": { "matchLabels": selector, "matchExpressions": expression } }],
                },
            } },
            "status": { "replicas": 3 },
        });
        let service = json!({
            "metadata": { "name": "web", "labels": labels("web"), "uid": "u" },
            "spec": { "type": "NodePort", "clusterIP": "10.1.2.3", "selector": selector,
                "ports": [{ "name": "http", "port": 80, "targetPort": "http", "nodePort": 30080 }] },
        });
        (deployment, service)
    }

    fn copied(of: (Value, Value)) -> Result<(DynamicObject, DynamicObject), String> {
        let changes = Changes { settings: [("B".into(), "b".into())].into(), ..Changes::default() };
        copied_as(of, Revision { name: "v2".parse().unwrap(), changes })
    }

    fn copied_as(
        (deployment, service): (Value, Value),
        revision: Revision,
    ) -> Result<(DynamicObject, DynamicObject), String> {
        let original = Original {
            deployment: serde_json::from_value(deployment).unwrap(),
            services: vec![serde_json::from_value(service).unwrap()],
            container: "web".into(),
        };
        original.copied(&"web-canary".parse().unwrap(), &SetOf { of: "web".parse().unwrap(), revision })
    }

    #[test]
    fn a_copy_has_a_label_of_its_own_wherever_that_stands_and_keeps_everything_else() {
        let (deployment, service) = copied(original()).unwrap();
        let set = json!({ "part-of": "shop", "app.kubernetes.io/component": "web-canary" });
        assert_eq!(json!(deployment.metadata.labels), labels("web-canary"));
        let spec = &deployment.data["spec"];
        assert_eq!((&spec["replicas"], &spec["selector"]["matchLabels"]), (&json!(0), &set));
        assert_eq!(spec["template"]["metadata"]["labels"], labels("web-canary"));
        let spread = &spec["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"];
        assert_eq!(
            (&spread["matchLabels"], &spread["matchExpressions"][0]["values"]),
            (&set, &json!(["web-canary", "b"]))
        );
        let env = &spec["template"]["spec"]["containers"][0]["env"];
        assert_eq!(*env, json!([{ "name": "A", "value": "a" }, { "name": "B", "value": "b" }]));
        assert!(deployment.metadata.uid.is_none() && deployment.data["status"].is_null());
        let kept: Vec<&String> = deployment.metadata.annotations.as_ref().unwrap().keys().collect();
        assert_eq!(kept, ["gauntlet.dev/revision"]);
        let expected = json!({ "clusterIP": "None", "selector": set,
            "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] });
        assert_eq!(
            (service.metadata.name.as_deref(), &service.data["spec"]),
            (Some("web-canary"), &expected)
        );
    }

    #[test]
    fn a_copy_starts_from_what_the_component_was_before_any_revision() {
        let (deployment, _) = copied(original()).unwrap();
        let revised = serde_json::to_value(&deployment).unwrap();
        let (mut before, service) = original();
        before["metadata"]["annotations"] = revised["metadata"]["annotations"].clone();
        before["spec"]["template"]["spec"]["containers"] = json!([{ "name": "web", "image": "web:9" }]);
        let (again, _) = copied((before, service)).unwrap();
        assert_eq!(
            again.data["spec"]["template"]["spec"]["containers"],
            revised["spec"]["template"]["spec"]["containers"]
        );
    }

    #[test]
    fn a_baseline_runs_the_original_and_says_nothing_of_a_revision() {
        let (deployment, _) = copied_as(original(), Revision::original()).unwrap();
        let env = &deployment.data["spec"]["template"]["spec"]["containers"][0]["env"];
        assert_eq!((deployment.metadata.annotations, env), (None, &json!([{ "name": "A", "value": "a" }])));
    }

    #[test]
    fn what_could_not_be_told_from_its_component_is_refused() {
        let wrong = |change: fn(&mut Value, &mut Value)| {
            let (mut deployment, mut service) = original();
            change(&mut deployment, &mut service);
            copied((deployment, service)).unwrap_err()
        };
        let told = wrong(|deployment, _| {
            deployment["spec"]["selector"]["matchLabels"] = json!({ "part-of": "shop" })
        });
        assert!(told.contains("another label in /selector/matchLabels"), "{told}");
        let told = wrong(|_, service| service["spec"]["selector"] = json!({ "part-of": "shop" }));
        assert!(told.contains("Service web would reach the pods of web-canary too"), "{told}");
        let told = wrong(|_, service| service["spec"]["selector"] = json!({ "part-of": "other" }));
        assert!(told.contains("no Service selects the pods of web"), "{told}");
    }
}
