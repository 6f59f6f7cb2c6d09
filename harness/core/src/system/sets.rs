//! Sets: replicas of a component beside its own, which get a share of its traffic: a canary, and a fresh baseline to
//! compare it with. A set is a component of its own, derived from the one that it stands beside.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Component, System,
    kubernetes::{Pods, pods},
};
use crate::{act::Revision, name::Name};

/// What makes a component a set of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetOf {
    /// The component that it stands beside.
    pub of: Name,
    /// What its replicas are started as.
    pub revision: Revision,
}

/// How a load balancer is told which share of a component's traffic each of its sets gets. Each request draws its set, so
/// the split does not depend on how fast a set answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weighs {
    /// The component whose traffic it splits.
    pub component: Name,
    /// HAProxy's map file, in the replica's directory: of each set `SET.from` and `SET.upto`, the draws (of 10,000) that are
    /// its own. It is written first, so that a restart keeps the split.
    pub map: String,
    /// HAProxy's runtime API: a socket in the replica's directory.
    pub socket: String,
    /// HAProxy's runtime API on Kubernetes: a port of the pod's own loopback, which only who may reach into the pod reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Shares of a component's traffic by set, in parts of 10,000. What no set gets stays with the component itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shares(pub BTreeMap<Name, u16>);

impl Shares {
    /// The whole.
    pub const WHOLE: u16 = 10_000;

    /// The draws of each set: from, and up to but not with. In the order of their names.
    pub fn draws(&self) -> impl Iterator<Item = (&Name, u16, u16)> {
        self.0.iter().scan(0, |from, (set, share)| {
            let upto = share.saturating_add(*from).min(Self::WHOLE);
            let draws = (set, *from, upto);
            *from = upto;
            Some(draws)
        })
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().filter(|(_, share)| **share > 0);
        let shown: Vec<String> =
            shown.map(|(set, share)| format!("{set} {}%", f64::from(*share) / 100.0)).collect();
        f.write_str(if shown.is_empty() { "no set" } else { "" })?;
        f.write_str(&shown.join(", "))
    }
}

impl System {
    /// The same system with a set beside one of its components, right behind it.
    #[must_use]
    pub fn with_set(mut self, set: &Name, replicas: u16, of: &Name, revision: Revision) -> Self {
        if let Some((index, _, spec)) = self.components.get_full(of) {
            let set_of = Some(SetOf { of: of.clone(), revision });
            // Its pods are copies: they bear a label of their own, and containers of the same names.
            let (_, container) = pods(of, spec.kube.as_ref());
            let kube = Some(Pods { select: None, container: Some(container) });
            let spec = Component { replicas, set: set_of, kube, ..spec.clone() };
            self.components.shift_insert(index + 1, set.clone(), spec);
        }
        self
    }

    /// The sets beside a component, in the order of their names.
    pub fn sets(&self, of: &Name) -> BTreeMap<&Name, &Component> {
        let beside = |spec: &Component| spec.set.as_ref().is_some_and(|set| set.of == *of);
        self.components.iter().filter(|(_, spec)| beside(spec)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Shares, pods};
    use crate::{act::Revision, system};

    fn shares(all: &[(&str, u16)]) -> Shares {
        Shares(all.iter().map(|(set, share)| (set.parse().unwrap(), *share)).collect())
    }

    #[test]
    fn draws_of_sets_touch_and_never_overlap() {
        let shares = shares(&[("b", 500), ("a", 250), ("c", 0)]);
        let draws: Vec<_> = shares.draws().map(|(set, from, upto)| (set.as_str(), from, upto)).collect();
        assert_eq!(draws, [("a", 0, 250), ("b", 250, 750), ("c", 750, 750)]);
        assert_eq!(shares.to_string(), "a 2.5%, b 5%");
        assert_eq!(Shares::default().to_string(), "no set");
    }

    #[test]
    fn a_set_is_a_component_behind_the_one_that_it_stands_beside() {
        let text = "format: 1\nname: x\ncomponents:\n  web: { replicas: 3, ports: [http], ready: { tcp: { port: http } } }\n  \
                    last: { ports: [http], ready: { tcp: { port: http } } }\nendpoint: { component: web, port: http }\n";
        let (web, set) = ("web".parse().unwrap(), "web-canary".parse().unwrap());
        let system = system::read(text).unwrap().with_set(&set, 1, &web, Revision::original());
        let names: Vec<&str> = system.components.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["web", "web-canary", "last"]);
        assert_eq!(system.sets(&web).into_keys().collect::<Vec<_>>(), [&set]);
        assert_eq!((system.components[&set].replicas, system.components[&web].set.is_none()), (1, true));
        let of_set = pods(&set, system.components[&set].kube.as_ref());
        assert_eq!(of_set, ("app.kubernetes.io/component=web-canary".to_owned(), "web".to_owned()));
        let again: system::System = serde_json::from_value(serde_json::to_value(&system).unwrap()).unwrap();
        assert_eq!(again, system, "a record holds it");
    }
}
