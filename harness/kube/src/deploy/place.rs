//! A system's objects are put into a namespace, with what no file can hold: its Secret, and the way to the API server.
//! Runs and deployments do it the same way; only the mark differs.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_core::{
    port::Trouble,
    system::{Kube, System},
};
use k8s_openapi::api::{
    core::v1::{Namespace, PersistentVolumeClaim, Secret},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, ObjectMeta},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    Applier,
    api::patience::ask,
    deploy::manifests::{self, kind},
};

/// How long it may take to apply all objects.
const APPLIED_WITHIN: Duration = Duration::from_secs(60);

/// Where objects are put, and the label that they bear.
pub(crate) struct Placing<'a> {
    pub(crate) client: &'a Client,
    pub(crate) namespace: &'a str,
    pub(crate) mark: (&'a str, &'a str),
}

impl Placing<'_> {
    /// Makes the namespace. One of the same name that still goes is waited out.
    pub(crate) async fn namespace(
        &self,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
    ) -> Result<(), Trouble> {
        let metadata = ObjectMeta {
            name: Some(self.namespace.to_owned()),
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        };
        let namespace = object(&Namespace { metadata, ..Namespace::default() })?;
        self.applier().apply(vec![namespace]).await.map(drop)
    }

    /// Applies the objects, the Secret and the policy, those first that others need.
    pub(crate) async fn objects(
        &self,
        system: &System,
        kube: &Kube,
        objects: Vec<DynamicObject>,
    ) -> Result<Vec<DynamicObject>, Trouble> {
        let mut objects = manifests::bound_in(self.namespace, objects);
        let (secret, policy) =
            (self.secret(system, kube, &objects).await?, to_api_server(self.client, kube).await?);
        objects.extend(secret.into_iter().chain(policy));
        self.applier().namespace(self.namespace).apply(objects).await
    }

    /// Applies more objects, that need nothing besides.
    pub(crate) async fn more(&self, objects: Vec<DynamicObject>) -> Result<(), Trouble> {
        self.applier().namespace(self.namespace).apply(objects).await.map(drop)
    }

    // Drawn once: what is there already is what the system was started with.
    async fn secret(
        &self,
        system: &System,
        kube: &Kube,
        objects: &[DynamicObject],
    ) -> Result<Option<DynamicObject>, Trouble> {
        let Some(secret) = manifests::secret(system, kube)? else { return Ok(None) };
        let name = secret.metadata.name.clone().unwrap_or_default();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        if ask(format!("find secret {name}"), || secrets.get_opt(&name)).await?.is_some() {
            return Ok(None);
        }
        if let Some(claim) = claims(self.client, self.namespace, objects).await?.first() {
            let why =
                format!("volume {claim} was made with another one; remove it, or bring its secret back");
            return Err(Trouble::refused(format!("draw secret {name}"), why));
        }
        object(&secret).map(Some)
    }

    fn applier(&self) -> Applier {
        Applier::new(self.client.clone(), APPLIED_WITHIN).label(self.mark.0, self.mark.1)
    }
}

/// The claims that StatefulSets among the objects have in a namespace: nobody removes them with the set.
pub(crate) async fn claims(
    client: &Client,
    namespace: &str,
    objects: &[DynamicObject],
) -> Result<Vec<String>, Trouble> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let all = ListParams::default();
    let list = ask(format!("list the claims of {namespace}"), || api.list(&all)).await?;
    let mut names: Vec<_> = list.items.into_iter().filter_map(|claim| claim.metadata.name).collect();
    let stems = stems(objects);
    names.retain(|name| stems.iter().any(|stem| of_stem(name, stem)));
    Ok(names)
}

// `TEMPLATE-SET-`, behind which a number follows.
fn stems(objects: &[DynamicObject]) -> Vec<String> {
    let sets = objects.iter().filter(|object| kind(object) == "StatefulSet");
    let stems = sets.flat_map(|set| {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let templates = set.data["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
        templates
            .filter_map(|template| template["metadata"]["name"].as_str())
            .map(move |of| format!("{of}-{name}-"))
    });
    stems.collect()
}

fn of_stem(claim: &str, stem: &str) -> bool {
    claim.strip_prefix(stem).is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Lets the pods that must reach the API server reach it: no selector can name it, so its addresses are read here.
async fn to_api_server(client: &Client, kube: &Kube) -> Result<Option<DynamicObject>, Trouble> {
    if kube.api_server.is_empty() {
        return Ok(None);
    }
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), "default");
    let of_api_server = ListParams::default().labels("kubernetes.io/service-name=kubernetes");
    let slices = ask("find the API server's addresses", || slices.list(&of_api_server)).await?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": "api-server" },
        "spec": {
            "podSelector": { "matchExpressions": [{
                "key": gauntlet_core::system::kubernetes::COMPONENT_LABEL, "operator": "In", "values": kube.api_server,
            }] },
            "policyTypes": ["Egress"],
            "egress": slices.items.iter().map(manifests::way_to).collect::<Vec<_>>(),
        },
    });
    object(&policy).map(Some)
}

fn object(of: &impl Serialize) -> Result<DynamicObject, Trouble> {
    let object = serde_json::to_value(of).and_then(serde_json::from_value);
    object.map_err(|error| Trouble::failed("write an object", error))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace, Secret};

    use super::{object, of_stem, stems};
    use crate::api::documents::documents;

    #[test]
    fn a_claim_belongs_to_a_set_by_its_name() {
        let text = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: store }\n\
                    spec: { volumeClaimTemplates: [{ metadata: { name: data } }] }\n---\n\
                    apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: bare }\nspec: {}\n";
        let stems = stems(&documents("x", text).unwrap());
        assert_eq!(stems, ["data-store-"]);
        for (claim, of_it) in [("data-store-0", true), ("data-store-12", true), ("data-store-two-0", false)] {
            assert_eq!(of_stem(claim, &stems[0]), of_it, "{claim}");
        }
    }

    #[test]
    fn typed_objects_keep_their_kind() {
        let kind = |object: kube::api::DynamicObject| object.types.unwrap().kind;
        assert_eq!(kind(object(&Namespace::default()).unwrap()), "Namespace");
        assert_eq!(kind(object(&Secret::default()).unwrap()), "Secret");
    }
}
