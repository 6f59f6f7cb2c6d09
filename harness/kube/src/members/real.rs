//! The sidecar against a real HAProxy with the configuration that is deployed.

use std::{fs, net::TcpListener, path::Path, process::Stdio, time::Instant};

use futures_util::stream;
use tokio::process::{Child, Command};

use super::*;

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
    text.replace("/run/haproxy", &folder.display().to_string())
}

fn start(folder: &Path) -> Child {
    let program =
        ["/usr/sbin/haproxy", "/usr/bin/haproxy"].into_iter().find(|p| Path::new(p).exists()).unwrap();
    fs::write(folder.join("haproxy.cfg"), config(folder)).unwrap();
    let mut command = Command::new(program);
    command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg")).env("SAFE_ROUTES", "/ask");
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

fn slice(of: &[(u8, bool)]) -> EndpointSlice {
    let endpoints = of.iter().map(|(last, terminating)| {
        serde_json::json!({
            "addresses": [format!("127.0.0.{last}")],
            "conditions": { "ready": !terminating, "serving": true, "terminating": terminating },
        })
    });
    serde_json::from_value(serde_json::json!({
        "addressType": "IPv4",
        "metadata": { "name": "a" },
        "ports": [{ "name": "http", "port": 9 }],
        "endpoints": endpoints.collect::<Vec<_>>(),
    }))
    .unwrap()
}

/// What is in use, once it is what is wanted; the last answer when that takes too long.
async fn becomes(haproxy: &HAProxy, wanted: &[(&str, &str)]) {
    let began = Instant::now();
    loop {
        let slots = haproxy.slots(CHECKED, TRACKING).await;
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

#[test]
fn the_rules_in_a_cluster_are_those_of_local_processes() {
    let (local, cluster) = (deploy("haproxy.cfg"), deploy("base/ingress/haproxy.cfg"));
    let here: Vec<&str> = cluster.lines().map(str::trim).collect();
    // What differs is meant to: addresses, servers, and how long an end may take.
    let meant = ["#", "bind", "server ", "{%", "hard-stop-after"];
    let rules =
        local.lines().map(str::trim).filter(|line| !meant.iter().any(|start| line.starts_with(start)));
    let missing: Vec<&str> = rules.filter(|line| !here.contains(line)).collect();
    assert_eq!(missing, Vec::<&str>::new());
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
    let sidecar = tokio::spawn(keep(events, Endpoints::new("http"), HAProxy::new(&socket)));
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

    proxy.kill().await.unwrap();
    let _again = start(folder.path());
    becomes(&haproxy, &[("s1", "127.0.0.2:9"), ("s2", "127.0.0.3:9")]).await;

    // Its watch is over, which is an error: a sidecar that hears nothing must not look well.
    drop(tell);
    assert!(matches!(sidecar.await.unwrap(), Err(MembersError::Ended)));
}
