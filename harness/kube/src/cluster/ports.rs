//! The ports of this machine that a kind configuration publishes: told before kind fails in the middle.

use std::{io, net::TcpListener, path::Path};

use gauntlet_core::port::Trouble;
use serde::Deserialize;

use super::program::Call;

// What is read of kind's configuration; kind itself reads the rest.
#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    nodes: Vec<Member>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    #[serde(default)]
    extra_port_mappings: Vec<Mapping>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mapping {
    #[serde(default)]
    host_port: u16,
    #[serde(default = "everywhere")]
    listen_address: String,
    #[serde(default = "tcp")]
    protocol: String,
}

fn everywhere() -> String {
    "0.0.0.0".into()
}

fn tcp() -> String {
    "TCP".into()
}

/// Fails when one of the ports is taken, and says by whom.
pub(super) async fn free(config: &Path) -> Result<(), Trouble> {
    let failed = |error: &dyn std::fmt::Display| Trouble::failed(config.display(), error);
    let text = std::fs::read_to_string(config).map_err(|error| failed(&error))?;
    for port in published(&text).map_err(|error| failed(&error))? {
        let filter = format!("publish={}", port.host_port);
        let holders =
            Call::new("docker", ["ps", "--filter", &filter, "--format", "{{.Names}}"]).run().await?;
        if let Some(why) = taken(&port, holders.lines().next()) {
            let place = format!("publishing port {} of {}", port.host_port, port.listen_address);
            return Err(Trouble::failed(place, why));
        }
    }
    Ok(())
}

// Those of TCP that kind does not choose itself.
fn published(text: &str) -> Result<Vec<Mapping>, serde_saphyr::Error> {
    let config: Config = serde_saphyr::from_str(text)?;
    let ports = config.nodes.into_iter().flat_map(|node| node.extra_port_mappings);
    Ok(ports.filter(|port| port.host_port != 0 && port.protocol.eq_ignore_ascii_case("tcp")).collect())
}

fn taken(port: &Mapping, holder: Option<&str>) -> Option<String> {
    if let Some(holder) = holder {
        let mend = match holder.strip_suffix("-control-plane") {
            Some(cluster) => format!("`gauntlet cluster down --name {cluster}` frees it"),
            None => format!("`docker stop {holder}` frees it"),
        };
        return Some(format!("container {holder} publishes it; {mend}"));
    }
    match TcpListener::bind((port.listen_address.as_str(), port.host_port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Some("another program listens there; end it, or name another port in the configuration".into())
        }
        // An address that only docker can bind is docker's to judge.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{Mapping, published, taken};

    fn mapping(port: u16) -> Mapping {
        Mapping { host_port: port, listen_address: "127.0.0.1".into(), protocol: "TCP".into() }
    }

    #[test]
    fn the_ports_are_those_of_every_node_that_kind_is_told() {
        let text = "kind: Cluster\nnodes:\n- role: control-plane\n  extraPortMappings:\n  \
             - { containerPort: 80, hostPort: 30080, listenAddress: 127.0.0.1, protocol: TCP }\n  \
             - { containerPort: 53, hostPort: 53, protocol: UDP }\n- role: worker\n  extraPortMappings:\n  \
             - { containerPort: 81 }\n  - { containerPort: 82, hostPort: 82 }\n";
        let everywhere = Mapping { listen_address: "0.0.0.0".into(), ..mapping(82) };
        assert_eq!(published(text).unwrap(), [mapping(30080), everywhere]);
        assert_eq!(published("kind: Cluster\n").unwrap(), []);
    }

    #[test]
    fn a_taken_port_is_told_with_who_has_it() {
        let there = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = mapping(there.local_addr().unwrap().port());
        assert!(taken(&port, None).unwrap().contains("another program listens there"));
        let why = taken(&port, Some("shop-control-plane")).unwrap();
        assert!(why.contains("`gauntlet cluster down --name shop`"), "{why}");
        drop(there);
        assert_eq!(taken(&port, None), None);
        assert!(taken(&port, Some("web")).unwrap().contains("`docker stop web`"));
    }
}
