//! The ground of a run: a namespace of its own with everything of the system but its pods, and the end of it all.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_core::{
    port::Trouble,
    system::{Kube, System},
};
use k8s_openapi::{
    api::{
        core::v1::{Namespace, PersistentVolume, Pod, Secret},
        discovery::v1::EndpointSlice,
        networking::v1::NetworkPolicy,
    },
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    Applier,
    manifests::{self, Rendered},
    patience::{ask, ask_gone},
    site::{EXPIRES, MANAGER, Mode, RUN_LABEL, Site},
};

/// How long a namespace stays whose run nobody ends: longer than any run.
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(6);
/// How long it may take to apply all objects.
const APPLIED_WITHIN: Duration = Duration::from_secs(60);

/// Whether the ground is there already. What could not be made is told before anything is touched.
pub(crate) async fn prepare(client: &Client, system: &System, site: &Site) -> Result<bool, Trouble> {
    let namespace = namespace(client, site).await?;
    let what = format!("start ground in namespace {}", site.namespace);
    match (&site.mode, namespace) {
        (Mode::Attach, Some(_)) => Ok(true),
        (Mode::Attach, None) => Err(Trouble::failed(what, "there is no such namespace")),
        (Mode::Provision { .. }, Some(there)) if marked(&there, site) => Ok(true),
        (Mode::Provision { .. }, Some(_)) => {
            Err(Trouble::refused(what, "it is there, and this run did not make it"))
        }
        (Mode::Provision { overlay }, None) => {
            manifests::render(overlay).await?;
            described(system, &what)?;
            Ok(false)
        }
    }
}

/// Makes the namespace, the generated Secret, and all objects; workloads are told to have no pods yet.
pub(crate) async fn start(client: &Client, system: &System, site: &Site) -> Result<(), Trouble> {
    let Mode::Provision { overlay } = &site.mode else { return Ok(()) };
    let what = format!("start ground in namespace {}", site.namespace);
    let kube = described(system, &what)?;
    let Rendered { namespace_labels, objects } = manifests::render(overlay).await?;
    make_namespace(client, site, namespace_labels).await?;
    deploy(client, system, kube, site, manifests::without_pods(objects)).await
}

/// Applies a system's objects, with what no file can hold: its Secret, and the way to the API server.
async fn deploy(
    client: &Client,
    system: &System,
    kube: &Kube,
    site: &Site,
    objects: Vec<DynamicObject>,
) -> Result<(), Trouble> {
    if let Some(secret) = manifests::secret(system, kube)? {
        apply_secret(client, site, secret).await?;
    }
    if let Some(policy) = to_api_server(client, kube).await? {
        let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), &site.namespace);
        let (name, params) =
            (policy.metadata.name.clone().unwrap_or_default(), PatchParams::apply(MANAGER).force());
        let patch = Patch::Apply(&policy);
        ask("apply the policy for the API server", || policies.patch(&name, &params, &patch)).await?;
    }
    let applier = Applier::new(client.clone(), APPLIED_WITHIN);
    let applier = applier.namespace(&site.namespace).label(RUN_LABEL, &site.run);
    applier.apply(manifests::bound_in(&site.namespace, objects)).await.map(|_| ())
}

/// Ends the namespace and its pods, at once: the system is not wanted any more.
pub(crate) async fn stop(client: &Client, site: &Site) -> Result<(), Trouble> {
    if !site.is_provisioned() {
        return Ok(());
    }
    let what = format!("stop ground in namespace {}", site.namespace);
    match namespace(client, site).await? {
        None => return Ok(()),
        Some(there) if !marked(&there, site) => {
            return Err(Trouble::refused(what, "it does not bear the mark of this run"));
        }
        Some(_) => {}
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let orderly = DeleteParams::default();
    ask_gone(&what, || namespaces.delete(&site.namespace, &orderly)).await?;
    // Nothing makes new pods in a namespace that goes.
    let pods: Api<Pod> = Api::namespaced(client.clone(), &site.namespace);
    let at_once = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
    let all = ListParams::default();
    ask_gone(&what, || pods.delete_collection(&at_once, &all)).await
}

/// Whether the namespace or a volume of it is still there.
pub(crate) async fn is_left(client: &Client, site: &Site) -> Result<bool, Trouble> {
    if !site.is_provisioned() {
        return Ok(false);
    }
    if namespace(client, site).await?.is_some() {
        return Ok(true);
    }
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let all = ListParams::default();
    let volumes = ask("list volumes", || volumes.list(&all)).await?;
    let claims = volumes.items.into_iter().filter_map(|volume| volume.spec?.claim_ref?.namespace);
    Ok(claims.into_iter().any(|namespace| namespace == site.namespace))
}

async fn namespace(client: &Client, site: &Site) -> Result<Option<Namespace>, Trouble> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    ask(format!("find namespace {}", site.namespace), || namespaces.get_opt(&site.namespace)).await
}

fn marked(namespace: &Namespace, site: &Site) -> bool {
    namespace.metadata.labels.as_ref().and_then(|labels| labels.get(RUN_LABEL)) == Some(&site.run)
}

fn described<'a>(system: &'a System, what: &str) -> Result<&'a Kube, Trouble> {
    system.kube.as_ref().ok_or_else(|| Trouble::refused(what, "the system file has no `kube` section"))
}

async fn make_namespace(
    client: &Client,
    site: &Site,
    mut labels: BTreeMap<String, String>,
) -> Result<(), Trouble> {
    labels.insert(RUN_LABEL.to_owned(), site.run.clone());
    let expires = Timestamp::now().checked_add(EXPIRES_AFTER);
    let expires = expires.map_err(|error| Trouble::failed("tell the time", error))?;
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(site.namespace.clone()),
            labels: Some(labels),
            annotations: Some(BTreeMap::from([(EXPIRES.to_owned(), expires.to_string())])),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let (params, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&namespace));
    let what = format!("make namespace {}", site.namespace);
    ask(what, || namespaces.patch(&site.namespace, &params, &patch)).await.map(|_| ())
}

// Drawn once: what is there already is what the system was started with.
async fn apply_secret(client: &Client, site: &Site, secret: Secret) -> Result<(), Trouble> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &site.namespace);
    let name = secret.metadata.name.clone().unwrap_or_default();
    let what = format!("make secret {name}");
    if ask(&what, || secrets.get_opt(&name)).await?.is_some() {
        return Ok(());
    }
    let (params, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&secret));
    ask(what, || secrets.patch(&name, &params, &patch)).await.map(|_| ())
}

/// Lets the pods that must reach the API server reach it: no selector can name it, so its addresses are read here.
async fn to_api_server(client: &Client, kube: &Kube) -> Result<Option<NetworkPolicy>, Trouble> {
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
    serde_json::from_value(policy)
        .map(Some)
        .map_err(|e| Trouble::failed("write the policy for the API server", e))
}
