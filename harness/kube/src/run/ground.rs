//! The ground of a run: a namespace of its own with everything of the system but its pods, and the end of it all.

use std::collections::{BTreeMap, BTreeSet};

use gauntlet_core::{
    port::Trouble,
    system::{Kube, System},
};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};

use crate::{
    api::patience::{ask, ask_gone},
    cluster::nodes,
    deploy::{
        Placing,
        manifests::{self, Rendered},
    },
    run::{
        pods,
        probes::Probes,
        site::{self, EXPIRES, Mode, RUN_LABEL, Site},
    },
};

/// Whether the ground is there already. What could not be made is told before anything is touched.
pub(crate) async fn prepare(client: &Client, system: &System, site: &Site) -> Result<bool, Trouble> {
    let namespace = namespace(client, site).await?;
    let what = format!("start ground in namespace {}", site.namespace);
    match (&site.mode, namespace) {
        (Mode::Attach, Some(_)) => match held_up(client, system, site).await? {
            why if why.is_empty() => Ok(true),
            why => Err(Trouble::failed(what, why.join("; "))),
        },
        (Mode::Attach, None) => Err(Trouble::failed(what, "there is no such namespace")),
        (Mode::Provision { .. }, Some(there)) if site.marks(&there) => Ok(true),
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

/// Which nodes that carry the system are not ready: what runs there cannot be tested, however long one waits.
async fn held_up(client: &Client, system: &System, site: &Site) -> Result<Vec<String>, Trouble> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &site.namespace);
    let mut carriers = BTreeSet::new();
    for component in system.components.keys() {
        carriers.extend(pods::list(&api, system, component).await?.into_iter().map(|replica| replica.node));
    }
    carriers.remove("");
    Ok(nodes::unready_of(client, &carriers).await)
}

/// Makes the namespace, the generated Secret, and all objects; workloads are told to have no pods yet.
pub(crate) async fn start(client: &Client, system: &System, site: &Site) -> Result<(), Trouble> {
    let Mode::Provision { overlay } = &site.mode else { return Ok(()) };
    let what = format!("start ground in namespace {}", site.namespace);
    let kube = described(system, &what)?;
    let Rendered { namespace_labels, objects, .. } = manifests::render(overlay).await?;
    let expires = BTreeMap::from([(EXPIRES.to_owned(), site::expires()?)]);
    placing(client, site).namespace(namespace_labels, expires).await?;
    placing(client, site).objects(system, kube, manifests::without_pods(objects)).await.map(drop)
}

fn placing<'a>(client: &'a Client, site: &'a Site) -> Placing<'a> {
    Placing { client, namespace: &site.namespace, mark: (RUN_LABEL, &site.run) }
}

/// Ends the namespace and its pods, at once: the system is not wanted any more. What stands elsewhere goes first.
pub(crate) async fn stop(client: &Client, system: &System, site: &Site) -> Result<(), Trouble> {
    if !site.is_provisioned() {
        return Ok(());
    }
    Probes { client, system, site }.stop_all().await?;
    let what = format!("stop ground in namespace {}", site.namespace);
    match namespace(client, site).await? {
        None => return Ok(()),
        Some(there) if !site.marks(&there) => {
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
pub(crate) async fn is_left(client: &Client, system: &System, site: &Site) -> Result<bool, Trouble> {
    if !site.is_provisioned() {
        return Ok(false);
    }
    if namespace(client, site).await?.is_some() || (Probes { client, system, site }).are_left().await? {
        return Ok(true);
    }
    Ok(!volumes(client, site).await?.is_empty())
}

/// The names of the volumes that the namespace claimed, also when it is gone already.
pub(crate) async fn volumes(client: &Client, site: &Site) -> Result<Vec<String>, Trouble> {
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let all = ListParams::default();
    let volumes = ask("list volumes", || volumes.list(&all)).await?;
    let is_claimed = |volume: &PersistentVolume| {
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        claim.is_some_and(|claim| claim.namespace.as_ref() == Some(&site.namespace))
    };
    let claimed = volumes.items.into_iter().filter(is_claimed);
    Ok(claimed.filter_map(|volume| volume.metadata.name).collect())
}

async fn namespace(client: &Client, site: &Site) -> Result<Option<Namespace>, Trouble> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    ask(format!("find namespace {}", site.namespace), || namespaces.get_opt(&site.namespace)).await
}

fn described<'a>(system: &'a System, what: &str) -> Result<&'a Kube, Trouble> {
    system.kube.as_ref().ok_or_else(|| Trouble::refused(what, "the system file has no `kube` section"))
}
