//! What Kubernetes says of Services: their slices as a watch tells them, folded to one list of addresses for each.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{ResourceExt, runtime::watcher::Event};

use super::draws::{FROM, UPTO};

/// The label of a slice that names its Service.
pub(super) const SERVICE: &str = "kubernetes.io/service-name";

/// How an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may join.
    Ready,
    /// It may stay, but not join: HAProxy's own checks say better whether it answers.
    Unready,
    /// It goes, and gets nothing new.
    Leaving,
}

/// Every address of the Service.
pub(super) type Members = BTreeMap<SocketAddr, Standing>;

/// The slices of the Services that are followed.
pub(super) struct Endpoints {
    port: String,
    known: Option<BTreeMap<String, EndpointSlice>>,
    /// A list that is still being told replaces what is known only when it is whole.
    coming: BTreeMap<String, EndpointSlice>,
}

impl Endpoints {
    pub(super) fn new(port: &str) -> Self {
        Self { port: port.to_owned(), known: None, coming: BTreeMap::new() }
    }

    pub(super) fn hear(&mut self, event: Event<EndpointSlice>) {
        match event {
            Event::Init => self.coming.clear(),
            Event::InitApply(slice) => {
                self.coming.insert(slice.name_any(), slice);
            }
            Event::InitDone => self.known = Some(std::mem::take(&mut self.coming)),
            Event::Apply(slice) => {
                self.known.get_or_insert_default().insert(slice.name_any(), slice);
            }
            Event::Delete(slice) => {
                self.known.get_or_insert_default().remove(&slice.name_any());
            }
        }
    }

    /// Of one Service. Nothing before the first whole list.
    pub(super) fn members(&self, service: &str) -> Option<Members> {
        let mut members = Members::new();
        for slice in self.slices(service)? {
            let Some(port) = port_of(slice, &self.port) else { continue };
            for endpoint in &slice.endpoints {
                let standing = standing(endpoint);
                let addresses = endpoint.addresses.iter().filter_map(|text| text.parse::<IpAddr>().ok());
                for address in addresses {
                    // While slices are rearranged an address may stand in two; what lets it serve wins.
                    members
                        .entry(SocketAddr::new(address, port))
                        .and_modify(|known| *known = better(*known, standing))
                        .or_insert(standing);
                }
            }
        }
        Some(members)
    }

    /// The draws of a set: from, and up to but not with. What does not say has none.
    pub(super) fn draws(&self, set: &str) -> Option<(u16, u16)> {
        let said = |slice: &EndpointSlice| {
            let at = |label: &str| slice.labels().get(label)?.parse().ok();
            Some((at(FROM)?, at(UPTO)?))
        };
        Some(self.slices(set)?.find_map(said).unwrap_or_default())
    }

    fn slices(&self, service: &str) -> Option<impl Iterator<Item = &EndpointSlice>> {
        let of = move |slice: &&EndpointSlice| slice.labels().get(SERVICE).is_some_and(|is| is == service);
        Some(self.known.as_ref()?.values().filter(of))
    }
}

fn port_of(slice: &EndpointSlice, name: &str) -> Option<u16> {
    let port = slice.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.port?).ok()
}

/// What is not said is meant well: so says the API of `ready`.
fn standing(endpoint: &Endpoint) -> Standing {
    let conditions = endpoint.conditions.as_ref();
    if conditions.and_then(|c| c.terminating).unwrap_or(false) {
        Standing::Leaving
    } else if conditions.and_then(|c| c.ready).unwrap_or(true) {
        Standing::Ready
    } else {
        Standing::Unready
    }
}

fn better(one: Standing, other: Standing) -> Standing {
    use Standing::{Leaving, Ready, Unready};
    match (one, other) {
        (Ready, _) | (_, Ready) => Ready,
        (Unready, _) | (_, Unready) => Unready,
        (Leaving, Leaving) => Leaving,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slice(name: &str, endpoints: serde_json::Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "addressType": "IPv4",
            "metadata": { "name": name, "labels": { SERVICE: "web" } },
            "ports": [{ "name": "metrics", "port": 8001 }, { "name": "http", "port": 8000 }],
            "endpoints": endpoints,
        }))
        .unwrap()
    }

    fn told(events: impl IntoIterator<Item = Event<EndpointSlice>>) -> Option<Members> {
        let mut endpoints = Endpoints::new("http");
        for event in events {
            endpoints.hear(event);
        }
        endpoints.members("web")
    }

    fn listed(slices: impl IntoIterator<Item = EndpointSlice>) -> Members {
        let list = slices.into_iter().map(Event::InitApply);
        told([Event::Init].into_iter().chain(list).chain([Event::InitDone])).unwrap()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_is_known_before_the_list_is_whole() {
        let half = slice("a", json!([{ "addresses": ["10.0.0.1"] }]));
        assert_eq!(told([Event::Init, Event::InitApply(half.clone())]), None);
        assert_eq!(told([Event::Init, Event::InitApply(half), Event::InitDone]).unwrap().len(), 1);
        assert_eq!(told([Event::Init, Event::InitDone]), Some(Members::new()));
    }

    #[test]
    fn a_list_told_anew_replaces_what_was_known_and_not_before_its_end() {
        let old = slice("a", json!([{ "addresses": ["10.0.0.1"] }]));
        let new = slice("b", json!([{ "addresses": ["10.0.0.2"] }]));
        let mut events =
            vec![Event::Init, Event::InitApply(old), Event::InitDone, Event::Init, Event::InitApply(new)];
        assert!(told(events.clone()).unwrap().contains_key(&at("10.0.0.1:8000")));
        events.push(Event::InitDone);
        assert_eq!(told(events).unwrap().into_keys().collect::<Vec<_>>(), [at("10.0.0.2:8000")]);
    }

    #[test]
    fn conditions_say_how_an_endpoint_stands() {
        let members = listed([slice(
            "a",
            json!([
                { "addresses": ["10.0.0.1"], "conditions": { "ready": true, "serving": true, "terminating": false } },
                { "addresses": ["10.0.0.2"], "conditions": { "ready": false, "serving": false, "terminating": false } },
                { "addresses": ["10.0.0.3"], "conditions": { "ready": false, "serving": true, "terminating": true } },
                { "addresses": ["10.0.0.4"] },
            ]),
        )]);
        let standings: Vec<_> = members.into_values().collect();
        assert_eq!(standings, [Standing::Ready, Standing::Unready, Standing::Leaving, Standing::Ready]);
    }

    #[test]
    fn an_address_in_two_slices_is_one_member_and_the_better_word_counts() {
        let gone =
            json!([{ "addresses": ["10.0.0.1"], "conditions": { "ready": false, "terminating": true } }]);
        let ready = json!([{ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }]);
        for slices in
            [[slice("a", gone.clone()), slice("b", ready.clone())], [slice("a", ready), slice("b", gone)]]
        {
            assert_eq!(listed(slices), Members::from([(at("10.0.0.1:8000"), Standing::Ready)]));
        }
    }

    #[test]
    fn every_service_has_its_own_members_and_a_set_the_draws_that_its_slices_say() {
        let of = |name: &str, service: &str, labels: serde_json::Value| {
            let mut slice = slice(name, json!([{ "addresses": ["10.0.0.1"] }]));
            let labels: BTreeMap<String, String> = serde_json::from_value(labels).unwrap();
            slice.labels_mut().extend(labels);
            slice.labels_mut().insert(SERVICE.into(), service.into());
            Event::Apply(slice)
        };
        let mut endpoints = Endpoints::new("http");
        assert_eq!((endpoints.members("web"), endpoints.draws("web-canary")), (None, None));
        endpoints.hear(of("a", "web", json!({})));
        endpoints.hear(of("b", "web-canary", json!({ FROM: "500", UPTO: "1000" })));
        endpoints.hear(of("c", "web-baseline", json!({ FROM: "500", UPTO: "" })));
        let members = |service: &str| endpoints.members(service).unwrap().len();
        assert_eq!((members("web"), members("web-canary"), members("other")), (1, 1, 0));
        let draws = ["web-canary", "web-baseline", "other"].map(|set| endpoints.draws(set).unwrap());
        assert_eq!(draws, [(500, 1_000), (0, 0), (0, 0)]);
    }

    #[test]
    fn applies_and_deletes_are_followed_and_a_slice_without_the_port_counts_nothing() {
        let one = slice("a", json!([{ "addresses": ["fd00::1"] }]));
        let mut portless = slice("b", json!([{ "addresses": ["10.0.0.9"] }]));
        portless.ports = None;
        let begun = vec![Event::Init, Event::InitDone, Event::Apply(one.clone()), Event::Apply(portless)];
        assert_eq!(told(begun.clone()).unwrap().into_keys().collect::<Vec<_>>(), [at("[fd00::1]:8000")]);
        let ended = begun.into_iter().chain([Event::Delete(one)]);
        assert_eq!(told(ended), Some(Members::new()));
    }
}
