//! A deployment is removed: with its namespace where it made that one, else object by object.

use std::time::Duration;

use futures_util::future::try_join_all;
use gauntlet_core::port::Trouble;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume, PersistentVolumeClaim};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams},
    core::{ApiResource, TypeMeta},
    discovery::{Discovery, Scope, verbs},
};
use tokio::time::{Instant, sleep};

use super::{Owner, found, owner, place::claims};
use crate::{
    Applier,
    api::{
        patience::{ask, ask_gone},
        retry::retry,
    },
    cluster::{Say, stage},
    deploy::manifests::kind,
    run::site::DEPLOYED_LABEL,
};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Removes what deployments of a system made in a namespace, and waits until it is gone, volumes included. Answers
/// whether there was anything. What belongs to no namespace stays.
pub async fn undeploy(
    client: &Client,
    system: &str,
    namespace: &str,
    limit: Duration,
    say: Say<'_>,
) -> Result<bool, Trouble> {
    let until = Instant::now() + limit;
    let Some(there) = found(client, namespace).await? else { return Ok(false) };
    match owner(&there, system) {
        Owner::Other(whose) => {
            let what = format!("remove {system} from {namespace}");
            Err(Trouble::refused(what, format!("the namespace belongs to {whose}")))
        }
        Owner::This => {
            stage(say, "namespace", whole(client, namespace, &there, until)).await?;
            stage(say, "volumes", unbound(client, namespace, None, until)).await?;
            Ok(true)
        }
        Owner::Nobody => stage(say, "objects", apart(client, system, namespace, until)).await,
    }
}

async fn whole(
    client: &Client,
    namespace: &str,
    there: &Namespace,
    until: Instant,
) -> Result<(String, ()), Trouble> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let (what, orderly) = (format!("remove namespace {namespace}"), DeleteParams::default());
    // The server refuses to be told twice.
    if there.metadata.deletion_timestamp.is_none() {
        ask_gone(&what, || namespaces.delete(namespace, &orderly)).await?;
    }
    let gone = async || Ok(found(client, namespace).await?.is_none().then_some(()));
    awaited(&what, until, gone).await?;
    Ok((format!("{namespace}: gone"), ()))
}

// Somebody else made the namespace: only what bears the mark goes, and the claims of its StatefulSets.
async fn apart(
    client: &Client,
    system: &str,
    namespace: &str,
    until: Instant,
) -> Result<(String, bool), Trouble> {
    let mark = ListParams::default().labels(&format!("{DEPLOYED_LABEL}={system}"));
    let marked = marked(client, namespace, &mark, until).await?;
    let claims = claims(client, namespace, &marked).await?;
    let count = marked.len();
    let left = until.saturating_duration_since(Instant::now());
    Applier::new(client.clone(), left).namespace(namespace).delete(marked).await?;
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let orderly = DeleteParams::default();
    for claim in &claims {
        ask_gone(format!("remove claim {claim}"), || api.delete(claim, &orderly)).await?;
    }
    if !claims.is_empty() {
        unbound(client, namespace, Some(&claims), until).await?;
    }
    let note = format!("{count} and {} claims gone; {namespace} was not made here and stays", claims.len());
    Ok((note, count > 0 || !claims.is_empty()))
}

// Every kind that the cluster knows is asked for: what was deployed may be of any.
async fn marked(
    client: &Client,
    namespace: &str,
    mark: &ListParams,
    until: Instant,
) -> Result<Vec<DynamicObject>, Trouble> {
    let all = retry(until, "find what kinds there are", || Discovery::new(client.clone()).run()).await?;
    let kinds: Vec<ApiResource> = all
        .groups()
        .flat_map(|group| group.recommended_resources())
        .filter(|(_, able)| able.scope == Scope::Namespaced)
        .filter(|(_, able)| able.supports_operation(verbs::LIST) && able.supports_operation(verbs::DELETE))
        .map(|(resource, _)| resource)
        .collect();
    let lists = kinds.iter().map(|resource| async move {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, resource);
        let list = retry(until, format!("list {}", resource.plural), || api.list(mark)).await?;
        let typed = list.items.into_iter().map(|mut object| {
            // The items of a list have no kind of their own.
            object.types =
                Some(TypeMeta { kind: resource.kind.clone(), api_version: resource.api_version.clone() });
            object
        });
        // What others made for it goes with it.
        let made = typed.filter(|object| object.metadata.owner_references.iter().flatten().next().is_none());
        Ok::<_, Trouble>(
            made.filter(|object| !["Endpoints", "Event"].contains(&kind(object))).collect::<Vec<_>>(),
        )
    });
    Ok(try_join_all(lists).await?.into_iter().flatten().collect())
}

// A volume that is kept by its class is nobody's to wait for.
async fn unbound(
    client: &Client,
    namespace: &str,
    claims: Option<&[String]>,
    until: Instant,
) -> Result<(String, ()), Trouble> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let all = ListParams::default();
    let kept = awaited("the volumes go", until, async || {
        let volumes = ask("list volumes", || api.list(&all)).await?.items;
        let bound = volumes.iter().filter(|volume| is_bound(volume, namespace, claims));
        let (kept, going): (Vec<_>, Vec<_>) = bound.partition(|volume| is_kept(volume));
        Ok(going.is_empty().then_some(kept.len()))
    });
    let note = match kept.await? {
        0 => "gone".to_owned(),
        kept => format!("{kept} are kept by their reclaim policy"),
    };
    Ok((note, ()))
}

fn is_bound(volume: &PersistentVolume, namespace: &str, claims: Option<&[String]>) -> bool {
    let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    claim.is_some_and(|claim| {
        let named = |name: &String| claims.is_none_or(|claims| claims.contains(name));
        claim.namespace.as_deref() == Some(namespace) && claim.name.as_ref().is_some_and(named)
    })
}

fn is_kept(volume: &PersistentVolume) -> bool {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy == Some("Retain")
}

async fn awaited<T>(
    what: &str,
    until: Instant,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Trouble>,
) -> Result<T, Trouble> {
    loop {
        if let Some(done) = look().await? {
            return Ok(done);
        }
        if Instant::now() >= until {
            return Err(Trouble::failed(what, "it is still there when time is over"));
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_bound, is_kept};

    #[test]
    fn a_volume_belongs_to_its_claim() {
        let volume = serde_json::from_value(json!({ "metadata": {}, "spec": {
            "claimRef": { "namespace": "shop", "name": "data-store-0" }, "persistentVolumeReclaimPolicy": "Delete",
        } }))
        .unwrap();
        assert!(is_bound(&volume, "shop", None));
        assert!(is_bound(&volume, "shop", Some(&["data-store-0".to_owned()])));
        assert!(!is_bound(&volume, "shop", Some(&["data-store-1".to_owned()])));
        assert!(!is_bound(&volume, "shop-2", None));
        assert!(!is_kept(&volume));
    }
}
