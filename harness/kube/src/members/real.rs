//! The sidecar against a real HAProxy with the configuration that is deployed.

use std::{fs, net::TcpListener, path::Path, process::Stdio, time::Instant};

use futures_util::stream;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::*;

/// Where a pod has its configuration.
const CONFIGURATION: &str = "/usr/local/etc/haproxy";
const SETS: [&str; 3] = ["service-baseline", "service-canary", "service-green"];

fn deploy(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)).unwrap()
}

/// The deployed configuration, on this machine's own ports and in a private folder.
fn config(folder: &Path) -> String {
    let mut text = deploy("base/ingress/haproxy.cfg");
    for deployed in [":8080", ":8404", "127.0.0.1:9999"] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(text.contains(deployed), "{deployed} is not in the configuration");
        text = text.replace(deployed, &free.to_string());
    }
    let folder = folder.display().to_string();
    text.replace("/run/haproxy", &folder).replace(CONFIGURATION, &folder)
}

fn start(folder: &Path) -> Child {
    let program =
        ["/usr/sbin/haproxy", "/usr/bin/haproxy"].into_iter().find(|p| Path::new(p).exists()).unwrap();
    fs::write(folder.join("haproxy.cfg"), config(folder)).unwrap();
    fs::write(folder.join("shares.map"), deploy("base/ingress/shares.map")).unwrap();
    let mut command = Command::new(program);
    command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg")).env("SAFE_ROUTES", "/ask");
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

fn slice(of: &[(u8, bool)]) -> EndpointSlice {
    slice_of("web", json!({}), of)
}

fn slice_of(service: &str, labels: Value, of: &[(u8, bool)]) -> EndpointSlice {
    let mut labels = labels;
    labels[SERVICE] = json!(service);
    let endpoints = of.iter().map(|(last, terminating)| {
        json!({
            "addresses": [format!("127.0.0.{last}")],
            "conditions": { "ready": !terminating, "serving": true, "terminating": terminating },
        })
    });
    serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": { "name": service, "labels": labels },
        "ports": [{ "name": "http", "port": 9 }],
        "endpoints": endpoints.collect::<Vec<_>>(),
    }))
    .unwrap()
}

/// What is in use, once it is what is wanted; the last answer when that takes too long.
async fn becomes(haproxy: &HAProxy, wanted: &[(&str, &str)]) {
    becomes_of(haproxy, (CHECKED, TRACKING), wanted).await;
}

async fn becomes_of(haproxy: &HAProxy, (checked, tracking): (&str, &str), wanted: &[(&str, &str)]) {
    let began = Instant::now();
    loop {
        let slots = haproxy.slots(checked, tracking).await;
        let used: Vec<(String, String)> = slots
            .as_ref()
            .map(|slots| slots.iter().filter(|slot| slot.used))
            .map(|slots| slots.map(|s| (s.name.clone(), format!("{:?}", s.address))).collect())
            .unwrap_or_default();
        let wanted: Vec<_> =
            wanted.iter().map(|(name, address)| ((*name).to_owned(), format!("Some({address})"))).collect();
        if slots.is_ok() && used == wanted {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "wanted {wanted:?}, got {used:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The draws of the canary; the others, whose Services are not there, have none.
async fn draws_become(haproxy: &HAProxy, map: &str, wanted: (u16, u16)) {
    let all = SETS.map(|set| entries(set, if set == SETS[1] { wanted } else { (0, 0) }));
    let wanted: Draws = all.into_iter().flatten().collect();
    let began = Instant::now();
    loop {
        let seen = haproxy.draws(map).await;
        if seen.as_ref().is_ok_and(|seen| *seen == wanted) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "wanted {wanted:?}, got {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn the_rules_in_a_cluster_are_those_of_local_processes() {
    let (local, cluster) = (deploy("haproxy.cfg"), deploy("base/ingress/haproxy.cfg"));
    let here: Vec<&str> = cluster.lines().map(str::trim).collect();
    // What differs is meant to: addresses, servers, and how long an end may take.
    let meant = ["#", "bind", "server ", "{%", "hard-stop-after", "stats socket"];
    let rules =
        local.lines().map(str::trim).filter(|line| !meant.iter().any(|start| line.starts_with(start)));
    // The template's lines of a set, and of whatever has backends.
    let of_each = |line: &str| -> Vec<String> {
        let line = line.replace("{{ dir }}", CONFIGURATION);
        let of = |behind: String| line.replace("{{ of }}", &behind);
        match (line.contains("{{ set.name }}"), line.contains("{{ of }}")) {
            (true, _) => SETS.iter().map(|set| line.replace("{{ set.name }}", set)).collect(),
            (_, true) => {
                std::iter::once(of(String::new())).chain(SETS.map(|set| of(format!("-{set}")))).collect()
            }
            _ => vec![line],
        }
    };
    let missing: Vec<String> =
        rules.flat_map(of_each).filter(|line| !here.contains(&line.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
    // And of each backend: what one of them has all have.
    let backend = |named: &str| -> Vec<&str> {
        let lines = here.iter().skip_while(|line| **line != format!("backend {named}")).skip(1);
        lines
            .take_while(|line| !line.is_empty())
            .filter(|line| !line.starts_with('#') && !line.starts_with("server "))
            .copied()
            .collect()
    };
    for (of, set) in ["retried", "once"].into_iter().flat_map(|of| SETS.map(|set| (of, set))) {
        assert_eq!(backend(&format!("{of}-{set}")), backend(of), "{of}-{set}");
    }
    let safe = "/api/v1/";
    let routes = |text: &str, of: &str| -> String {
        let line = text.lines().find(|line| line.contains(of)).unwrap();
        line[line.find(safe).unwrap()..].split([' ', '}']).next().unwrap().to_owned()
    };
    assert_eq!(
        routes(&deploy("system.yml"), "SAFE_ROUTES:"),
        routes(&deploy("base/ingress/deployment.yml"), "SAFE_ROUTES,")
    );
}

#[tokio::test]
async fn a_proxy_follows_the_endpoints_and_is_told_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let mut proxy = start(folder.path());
    let (tell, heard) = tokio::sync::mpsc::unbounded_channel();
    let events =
        stream::unfold(heard, |mut heard| async { heard.recv().await.map(|event| (Ok(event), heard)) });
    let map = folder.path().join("shares.map").display().to_string();
    let options = Options {
        service: "web".into(),
        port: "http".into(),
        socket: socket.clone(),
        sets: SETS.map(str::to_owned).into(),
        map: Some(map.clone()),
    };
    let sidecar = tokio::spawn(async move { keep(events, &options).await });
    let haproxy = HAProxy::new(&socket);

    for event in [
        watcher::Event::Init,
        watcher::Event::InitApply(slice(&[(1, false), (2, false)])),
        watcher::Event::InitDone,
    ] {
        tell.send(event).unwrap();
    }
    becomes(&haproxy, &[("s1", "127.0.0.1:9"), ("s2", "127.0.0.2:9")]).await;

    // The first one goes, and another comes.
    tell.send(watcher::Event::Apply(slice(&[(1, true), (2, false), (3, false)]))).unwrap();
    becomes(&haproxy, &[("s2", "127.0.0.2:9"), ("s3", "127.0.0.3:9")]).await;

    // A set comes, and gets a share.
    let canary = slice_of(SETS[1], json!({ FROM: "0", UPTO: "2500" }), &[(4, false)]);
    tell.send(watcher::Event::Apply(canary)).unwrap();
    let of_canary = ("retried-service-canary", "once-service-canary");
    becomes_of(&haproxy, of_canary, &[("s1", "127.0.0.4:9")]).await;
    draws_become(&haproxy, &map, (0, 2_500)).await;

    proxy.kill().await.unwrap();
    let _again = start(folder.path());
    becomes(&haproxy, &[("s1", "127.0.0.2:9"), ("s2", "127.0.0.3:9")]).await;
    becomes_of(&haproxy, of_canary, &[("s1", "127.0.0.4:9")]).await;
    draws_become(&haproxy, &map, (0, 2_500)).await;

    // It goes with its Service.
    tell.send(watcher::Event::Delete(slice_of(SETS[1], json!({}), &[]))).unwrap();
    draws_become(&haproxy, &map, (0, 0)).await;
    becomes_of(&haproxy, of_canary, &[]).await;

    // Its watch is over, which is an error: a sidecar that hears nothing must not look well.
    drop(tell);
    assert!(matches!(sidecar.await.unwrap(), Err(MembersError::Ended)));
}
