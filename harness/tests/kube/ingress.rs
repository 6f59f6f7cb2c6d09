//! The ingress of the cluster: how soon a frozen replica is out of the rotation, and how soon a new one is in it. What HAProxy
//! knows is read from its own socket, every 20 ms.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use gauntlet_core::{
    act::{Act, Place, Signal, Unit},
    port::{Target, Witness},
    proof::Query,
    system,
};
use gauntlet_kube::{KubeTarget, KubeWitness, Mode, Site, connect};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    cluster::{kubeconfig, kubectl, left_of_run},
    own::{Own, PORTS},
    target::{Gone, all_up, awaits},
};

/// What the configuration allows: two checks of 150 ms, 50 ms apart, and the pause before the first.
const OUT: Duration = Duration::from_millis(600);
/// From a ready pod to its slot, and from a pod that is told to end to none.
const FOLLOWS: Duration = Duration::from_secs(2);
/// A machine that others use too may take as long again.
const SLACK: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(30);

/// HAProxy's command line in a pod, over a port of this machine, for as long as it lives.
struct Socket {
    kubectl: Child,
    /// It tells of every connection, and ends where nobody reads.
    _told: BufReader<ChildStdout>,
    stream: TcpStream,
}

impl Socket {
    async fn of(namespace: &str) -> Self {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(kubeconfig()).args(["port-forward", "-n", namespace]);
        let mut kubectl =
            kubectl.args(["deployment/ingress", ":9999"]).stdout(Stdio::piped()).spawn().unwrap();
        // `Forwarding from 127.0.0.1:41235 -> 9999`
        let mut line = String::new();
        let mut told = BufReader::new(kubectl.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        let port = line.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("no port in {line:?}"));
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut socket = Self { kubectl, _told: told, stream };
        socket.ask("prompt").await;
        socket.ask("set timeout cli 60s").await;
        socket
    }

    /// What comes before the next prompt.
    async fn ask(&mut self, command: &str) -> String {
        self.stream.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let mut text = vec![];
        while !text.ends_with(b"\n> ") {
            let mut part = [0; 4096];
            let count = timeout(PATIENCE, self.stream.read(&mut part)).await.unwrap().unwrap();
            assert!(count > 0, "the connection ended: {}", String::from_utf8_lossy(&text));
            text.extend(&part[..count]);
        }
        String::from_utf8(text).unwrap()
    }

    /// The addresses of the servers that get requests.
    async fn serving(&mut self) -> BTreeSet<String> {
        let text = self.ask("show servers state retried").await;
        let fields = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        // Address, state (2: up), what an administrator said (4: that the configuration began with it disabled).
        let serving = fields.filter(|of| of.len() > 6 && of[5] == "2" && ["0", "4"].contains(&of[6]));
        serving.map(|of| of[4].to_owned()).collect()
    }

    /// Until so many get requests.
    async fn until(&mut self, count: usize, what: &str) -> Duration {
        let begun = Instant::now();
        loop {
            let serving = self.serving().await;
            if serving.len() == count {
                println!("{what}: {:.2} s", begun.elapsed().as_secs_f64());
                return begun.elapsed();
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {serving:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test-kube"]
async fn a_frozen_replica_is_out_of_the_rotation_and_a_new_one_in_it_in_time() {
    let own = Own::new(PORTS[2], &[], "");
    let run = format!("rotation-{}", std::process::id());
    let namespace = format!("gauntlet-{run}");
    let site = Arc::new(Site {
        namespace: namespace.clone(),
        run: run.clone(),
        kubeconfig: Some(kubeconfig()),
        context: None,
        mode: Mode::Provision { overlay: own.overlay() },
    });
    let _gone = Gone(namespace.clone());
    let client = connect(site.kubeconfig.as_deref(), None).await.unwrap();
    let system = Arc::new(system::read(fs::read_to_string(own.system()).unwrap()).unwrap());
    let witness = KubeWitness::new(client.clone(), system.clone(), site.clone());
    let target = KubeTarget::new(client, system.clone(), site);
    target.apply(&Act::Start { unit: Unit::Ground }).await.unwrap();
    all_up(&target, &witness, &system).await;
    // It answers before the kubelet has said so, and kubectl asks the API server.
    kubectl(&["rollout", "status", "deployment/ingress", "-n", &namespace, "--timeout=60s"]);
    let mut ingress = Socket::of(&namespace).await;
    ingress.until(3, "all are in the rotation").await;

    let at = Place::replica(&"service".parse().unwrap(), 2);
    let pause = target.prepare(&Act::Signal { at, signal: Signal::Pause }).await.unwrap();
    let (frozen, out) =
        tokio::join!(target.apply(&pause.act), ingress.until(2, "a frozen replica is out of it"));
    frozen.unwrap();
    for back in pause.back() {
        target.apply(back).await.unwrap();
    }
    ingress.until(3, "it is back").await;
    assert!(out < OUT * SLACK, "{out:?}");

    let scale = |to: u16| Act::Scale {
        unit: Unit::Component { component: "service".parse().unwrap() },
        replicas: to,
    };
    target.apply(&scale(4)).await.unwrap();
    awaits(&witness, Query::Replicas { at: Place::component(&"service".parse().unwrap()) }, "4").await;
    let fourth = Place::replica(&"service".parse().unwrap(), 4);
    while witness.look(&Query::Ready { at: fourth.clone() }).await.unwrap().0 != "ready" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let joined = ingress.until(4, "a replica that is ready is in it").await;
    let (scaled, left) =
        (scale(3), async { ingress.until(3, "a replica that is told to end is out of it").await });
    let (scaled, left) = tokio::join!(target.apply(&scaled), left);
    scaled.unwrap();
    assert!(joined < FOLLOWS * SLACK && left < FOLLOWS * SLACK, "{joined:?}, {left:?}");

    target.apply(&Act::Stop { at: Place::of(Unit::Ground) }).await.unwrap();
    awaits(&witness, Query::Process { at: Place::of(Unit::Ground) }, "absent").await;
    assert_eq!(left_of_run(&run), Vec::<String>::new());
    let left = kubectl(&["get", "namespaces", "-o", "name"]);
    assert!(!left.contains(&namespace), "{left}");
}
