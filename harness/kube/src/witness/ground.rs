//! Whether the ground of a run is still there; and where its end does not come, who holds it.

use std::time::Duration;

use gauntlet_core::port::Trouble;
use k8s_openapi::{
    api::core::v1::{Namespace, PersistentVolume},
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PartialObjectMeta},
    core::DynamicObject,
    discovery,
};

use super::{ABSENT, ANSWERS_WITHIN, RUNNING};
use crate::{api::told::within, run::site::Site};

const GOING: &str = "going";
/// An end that takes longer is asked who holds it.
const ENDS_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// How long it may take to find those who hold it.
const ASK: Duration = Duration::from_secs(3);
/// How many of them are named.
const NAMED: usize = 3;
/// What a namespace says of itself while objects with finalizers are left in it, and of which kinds objects are.
const HELD: &str = "NamespaceFinalizersRemaining";
const LEFT: &str = "NamespaceContentRemaining";

/// What a run made is gone when its namespace and its volumes are; where it made nothing, nothing stands.
pub(super) async fn seen(client: &Client, site: &Site) -> Result<String, Trouble> {
    if !site.is_provisioned() {
        return Ok(ABSENT.to_owned());
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let what = format!("see namespace {}", site.namespace);
    if let Some(there) = within(ANSWERS_WITHIN, what, namespaces.get_opt(&site.namespace)).await? {
        return Ok(match late(&there, Timestamp::now()) {
            true => format!("{GOING}, {}", held(client, &there).await),
            false => RUNNING.to_owned(),
        });
    }
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let volumes = within(ANSWERS_WITHIN, "see volumes", volumes.list(&ListParams::default())).await?;
    let claimed = |volume: &PersistentVolume| {
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        claim.is_some_and(|claim| claim.namespace.as_ref() == Some(&site.namespace))
    };
    let left: Vec<String> =
        volumes.items.iter().filter(|one| claimed(one)).map(|one| of("PersistentVolume", one)).collect();
    Ok(if left.is_empty() { ABSENT.to_owned() } else { format!("{GOING}, {}", list(left)) })
}

/// Whether its end was wanted a while ago.
fn late(namespace: &Namespace, now: Timestamp) -> bool {
    let since = namespace.metadata.deletion_timestamp.as_ref();
    since.is_some_and(|since| now.duration_since(since.0) > ENDS_WITHIN)
}

fn condition<'a>(of: &'a Namespace, kind: &str) -> Option<&'a str> {
    let mut all = of.status.as_ref()?.conditions.iter().flatten();
    let found = all.find(|one| one.type_ == kind && one.status == "True")?;
    found.message.as_deref()
}

/// The objects that hold it, by name; what it says itself where they may not be read.
async fn held(client: &Client, namespace: &Namespace) -> String {
    let Some(finalizers) = condition(namespace, HELD) else {
        return condition(namespace, LEFT).unwrap_or("nobody says why").to_owned();
    };
    let kinds = kinds(condition(namespace, LEFT).unwrap_or_default());
    let found = async {
        let mut found = vec![];
        for (plural, group) in &kinds {
            found.extend(holders(client, &namespace.name_any(), plural, group).await?);
        }
        Ok::<_, kube::Error>(found)
    };
    match tokio::time::timeout(ASK, found).await {
        Ok(Ok(found)) if !found.is_empty() => list(found),
        _ => finalizers.to_owned(),
    }
}

/// Of a kind, those that are to go and bear finalizers.
async fn holders(client: &Client, namespace: &str, plural: &str, group: &str) -> kube::Result<Vec<String>> {
    let group = discovery::group(client, group).await?;
    let resource = group.recommended_resources().into_iter().find(|(resource, _)| resource.plural == plural);
    let Some((resource, _)) = resource else { return Ok(vec![]) };
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let all = api.list_metadata(&ListParams::default()).await?.items;
    let holds = |one: &&PartialObjectMeta<DynamicObject>| {
        one.metadata.deletion_timestamp.is_some() && !one.finalizers().is_empty()
    };
    Ok(all.iter().filter(holds).map(|one| of(&resource.kind, one)).collect())
}

/// `configmaps. has 1 resource instances, things.example.com has 2 resource instances` as plurals and groups.
fn kinds(said: &str) -> Vec<(String, String)> {
    let said = said.split_once(": ").map_or(said, |(_, list)| list);
    let each = said.split(", ").filter_map(|one| one.split_once(" has ")?.0.split_once('.'));
    each.map(|(plural, group)| (plural.to_owned(), group.to_owned())).collect()
}

/// `ConfigMap held (finalizer example.com/held)`.
fn of(kind: &str, one: &impl ResourceExt) -> String {
    let name = one.name_any();
    match one.finalizers() {
        [] => format!("{kind} {name}"),
        held => format!("{kind} {name} (finalizer {})", held.join(", ")),
    }
}

fn list(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    format!("held by {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::core::v1::{ConfigMap, Namespace},
        jiff::Timestamp,
    };
    use serde_json::{from_value, json};

    use super::{HELD, LEFT, condition, kinds, late, list, of};

    fn namespace() -> Namespace {
        let condition =
            |kind: &str, message: &str| json!({ "type": kind, "status": "True", "message": message });
        let left = "Some resources are remaining: configmaps. has 1 resource instances, things.example.com has 2 \
                    resource instances";
        from_value(json!({
            "metadata": { "name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z" },
            "status": { "conditions": [
                condition(LEFT, left),
                condition(HELD, "Some content in the namespace has finalizers remaining: a/b in 1 resource instances"),
                { "type": "NamespaceDeletionContentFailure", "status": "False", "message": "all is well" },
            ] },
        }))
        .unwrap()
    }

    #[test]
    fn kinds_are_those_that_the_namespace_says_are_left() {
        let namespace = namespace();
        let pair = |plural: &str, group: &str| (plural.to_owned(), group.to_owned());
        assert_eq!(
            kinds(condition(&namespace, LEFT).unwrap()),
            [pair("configmaps", ""), pair("things", "example.com")]
        );
        assert_eq!(condition(&namespace, "NamespaceDeletionContentFailure"), None);
        assert_eq!(kinds("something else"), []);
    }

    #[test]
    fn an_end_is_late_after_a_while() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(!late(&namespace(), at("2026-01-01T00:00:09Z")));
        assert!(late(&namespace(), at("2026-01-01T00:00:11Z")));
        assert!(!late(&Namespace::default(), at("2026-01-01T00:00:11Z")));
    }

    #[test]
    fn those_who_hold_it_are_named_with_their_finalizers() {
        let map = |name: &str, finalizers: &[&str]| -> String {
            let map = json!({ "metadata": { "name": name, "finalizers": finalizers } });
            of("ConfigMap", &from_value::<ConfigMap>(map).unwrap())
        };
        assert_eq!(map("a", &["x/y", "z"]), "ConfigMap a (finalizer x/y, z)");
        let many = ["a", "b", "c", "d", "e"].map(|name| map(name, &[])).to_vec();
        assert_eq!(list(many), "held by ConfigMap a, ConfigMap b, ConfigMap c, and 2 more");
    }
}
