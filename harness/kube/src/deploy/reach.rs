//! Where a deployed system is reached.

use gauntlet_core::{
    act::Place,
    port::{Trouble, Witness},
    proof::Query,
    system::{Kube, System, kubernetes::COMPONENT_LABEL},
};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, api::ListParams};

use crate::api::patience::ask;

/// The Services of the endpoint's component, and whether the system file's endpoint answers from here.
pub(super) async fn reached(
    client: &Client,
    system: &System,
    kube: &Kube,
    namespace: &str,
    witness: &dyn Witness,
) -> Vec<String> {
    let component = &system.endpoint.component;
    let mut lines = match services(client, namespace, &format!("{COMPONENT_LABEL}={component}")).await {
        Ok(services) => services.iter().map(|service| told(service, namespace)).collect(),
        Err(trouble) => vec![trouble.to_string()],
    };
    let way = Query::Way { at: Place::replica(component, 1) };
    let reading = match witness.look(&way).await {
        Ok(reading) if reading.0 == "ready" => "something answers there".to_owned(),
        Ok(reading) => format!("not reached there: {}", reading.0),
        Err(trouble) => format!("not reached there: {trouble}"),
    };
    lines.push(format!("from here, as `kube.endpoint` says: {}; {reading}", kube.endpoint));
    lines
}

async fn services(client: &Client, namespace: &str, select: &str) -> Result<Vec<Service>, Trouble> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let of_component = ListParams::default().labels(select);
    Ok(ask("find where it is reached", || services.list(&of_component)).await?.items)
}

fn told(service: &Service, namespace: &str) -> String {
    let name = service.metadata.name.as_deref().unwrap_or("?");
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.iter().flatten().map(|port| match port.node_port {
        Some(node) => format!("port {}, node port {node}", port.port),
        None => format!("port {}", port.port),
    });
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let outside = balancer.into_iter().flat_map(|balancer| balancer.ingress.iter().flatten());
    let outside = outside.filter_map(|at| at.hostname.as_ref().or(at.ip.as_ref())).cloned();
    let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
    let place =
        std::iter::once(format!("{name}.{namespace}.svc")).chain(outside).collect::<Vec<_>>().join(", ");
    format!("Service {name} ({kind}): {place}, {}", ports.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::told;

    #[test]
    fn a_service_tells_all_ways_to_it() {
        let service = |spec: serde_json::Value, status: serde_json::Value| {
            let service = json!({ "metadata": { "name": "web" }, "spec": spec, "status": status });
            told(&serde_json::from_value(service).unwrap(), "shop")
        };
        assert_eq!(
            service(json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30080 }] }), json!({})),
            "Service web (NodePort): web.shop.svc, port 80, node port 30080"
        );
        let balanced = json!({ "loadBalancer": { "ingress": [{ "hostname": "lb.example.com" }] } });
        assert_eq!(
            service(json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }] }), balanced),
            "Service web (LoadBalancer): web.shop.svc, lb.example.com, port 80"
        );
    }
}
