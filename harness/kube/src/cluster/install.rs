//! The tools on a cluster: installed, seen ready, and removed again.

use std::time::Duration;

use gauntlet_core::port::Trouble;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::ListParams, core::DynamicObject};
use serde_json::json;

use crate::{
    api::{apply::Applier, told::within, wait::rollouts},
    cluster::tools::{NAMESPACE, tools},
};

const APPLY: Duration = Duration::from_secs(30);
const READY: Duration = Duration::from_secs(90);
const REMOVE: Duration = Duration::from_secs(90);
const ASK: Duration = Duration::from_secs(10);
/// Changes when an image of the same name was built anew, so that its pods are replaced.
const IMAGE_ID: &str = "gauntlet.dev/image-id";

/// Which tools: their version and image.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The version of this harness.
    pub version: String,
    /// The image of the harness, as the nodes get it.
    pub image: String,
    /// What tells two builds of one name apart, when it is known.
    pub image_id: Option<String>,
}

/// Installs or updates the tools, and waits until they are ready.
pub async fn install(client: &Client, which: &Tools) -> Result<(), Trouble> {
    let mut objects = tools(&which.version, &which.image)?;
    if let Some(id) = &which.image_id {
        objects.iter_mut().for_each(|object| annotate(object, id));
    }
    let applied = Applier::new(client.clone(), APPLY).apply(objects).await?;
    rollouts(client, &applied, READY).await
}

/// Removes the tools. Refused while the ledger of a run is there: nothing could take back what it left.
pub async fn uninstall(client: &Client, which: &Tools) -> Result<(), Trouble> {
    let ledgers: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let found = within(ASK, "looking for ledgers", ledgers.list(&ListParams::default())).await?;
    let names = found.items.into_iter().filter_map(|one| one.metadata.name);
    // What the cluster itself puts into every namespace.
    let names: Vec<String> =
        names.filter(|name| !name.ends_with("-ca.crt") && !name.ends_with("root-cert")).collect();
    if !names.is_empty() {
        let why = format!("runs are in force ({}); `gauntlet heal` takes them back", names.join(", "));
        return Err(Trouble::refused("removing the tools", why));
    }
    Applier::new(client.clone(), REMOVE).delete(tools(&which.version, &which.image)?).await
}

fn annotate(object: &mut DynamicObject, id: &str) {
    let template = object.data.pointer_mut("/spec/template/metadata");
    if let Some(metadata) = template.filter(|metadata| metadata.is_object()) {
        if metadata["annotations"].is_null() {
            metadata["annotations"] = json!({});
        }
        metadata["annotations"][IMAGE_ID] = id.into();
    }
}

#[cfg(test)]
mod tests {
    use super::{IMAGE_ID, annotate};
    use crate::cluster::tools::tools;

    #[test]
    fn an_image_built_anew_replaces_the_pods() {
        let mut objects = tools("1", "i").unwrap();
        objects.iter_mut().for_each(|object| annotate(object, "sha256:1"));
        let ids = objects.iter().filter_map(|object| {
            object.data.pointer("/spec/template/metadata/annotations").map(|all| all[IMAGE_ID].clone())
        });
        assert_eq!(ids.collect::<Vec<_>>(), ["sha256:1", "sha256:1"]);
    }
}
