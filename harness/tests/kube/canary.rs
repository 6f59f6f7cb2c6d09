//! Sets on a cluster: they start, get their share of the traffic, keep it when the ingress is replaced, and go.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use gauntlet_core::{
    act::{Act, Place, Revision, Signal, Unit},
    name::Name,
    port::{Target, Witness},
    proof::Query,
    system::{self, Shares},
};
use gauntlet_kube::{KubeTarget, KubeWitness, Mode, Site, connect};

use crate::{
    cluster::{here, kubeconfig, kubectl, left_of_run},
    own::{Own, PORTS},
    stage::{Stage, root},
    target::{Gone, all_up, awaits},
};

const PORT: u16 = PORTS[2];
const ASKED: u32 = 400;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Who answers one request by the users' way; nobody while an ingress comes or goes.
fn answered() -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let header = answer.lines().find_map(|line| line.strip_prefix("x-replica: "))?;
    Some(header.trim().to_owned())
}

/// How many of many requests the set answered, once all are answered.
fn answered_by(set: &Name) -> Option<u32> {
    let prefix = format!("{set}-");
    (0..ASKED).map(|_| answered().map(|replica| u32::from(replica.starts_with(&prefix)))).sum()
}

/// Draws are independent: seven standard errors are not left by chance.
fn is_share(count: u32, share: f64) -> bool {
    let (n, count) = (f64::from(ASKED), f64::from(count));
    (count - n * share).abs() <= 7.0 * (n * share * (1.0 - share)).sqrt()
}

/// A run's system with a set of its service, up but for the set.
struct Up {
    target: KubeTarget,
    witness: KubeWitness,
    namespace: String,
    _gone: Gone,
}

impl Up {
    async fn new(set: &Name) -> Self {
        let own = Own::new(PORT, &[], "");
        let run = format!("sets-{}", std::process::id());
        let site = Arc::new(Site {
            namespace: format!("gauntlet-{run}"),
            run,
            kubeconfig: Some(kubeconfig()),
            context: None,
            mode: Mode::Provision { overlay: own.overlay() },
        });
        let namespace = site.namespace.clone();
        let gone = Gone(namespace.clone());
        let text = std::fs::read_to_string(own.system()).unwrap();
        let system = system::read(text).unwrap();
        let v2 = system.components[&name("service")].revision(&name("v2")).unwrap();
        let system = Arc::new(system.with_set(set, 1, &name("service"), v2));
        let client = connect(site.kubeconfig.as_deref(), None).await.unwrap();
        let witness = KubeWitness::new(client.clone(), system.clone(), site.clone());
        let target = KubeTarget::new(client, system.clone(), site);
        let up = Self { target, witness, namespace, _gone: gone };
        up.apply(&Act::Start { unit: Unit::Ground }).await;
        all_up(&up.target, &up.witness, &system).await;
        up.sees(Query::Way { at: Place::replica(&name("ingress"), 1) }, "ready").await;
        up
    }

    async fn apply(&self, act: &Act) {
        self.target.apply(act).await.unwrap_or_else(|trouble| panic!("{act}: {trouble}"));
    }

    async fn sees(&self, ask: Query, expected: &str) {
        awaits(&self.witness, ask, expected).await;
    }

    async fn look(&self, ask: &Query) -> String {
        self.witness.look(ask).await.map_or_else(|trouble| trouble.to_string(), |reading| reading.0)
    }

    fn kubectl(&self, words: &[&str]) -> String {
        kubectl(&[words, &["-n", &self.namespace]].concat())
    }

    /// Until the set gets its share; an ingress checks a new member before it lets it serve.
    async fn gets(&self, set: &Name, share: f64) {
        let mut count = None;
        for _ in 0..20 {
            count = answered_by(set);
            if count.is_some_and(|count| is_share(count, share)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("{set} answered {count:?} of {ASKED}, its share is {share}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test-kube"]
async fn a_set_gets_its_share_and_keeps_it_when_the_ingress_is_replaced() {
    let (service, set) = (name("service"), name("service-canary"));
    let up = Up::new(&set).await;
    let asks = Query::Shares { at: Place::component(&service) };
    let unit = Unit::Component { component: service.clone() };
    let weigh = |share: u16| Act::Weigh {
        unit: unit.clone(),
        shares: Shares([(set.clone(), share)].into_iter().filter(|(_, share)| *share > 0).collect()),
    };
    let at = Place::replica(&set, 1);
    let start = Act::Start { unit: at.unit.clone() };
    assert_eq!(up.look(&asks).await, "no set");
    let told = up.target.prepare(&weigh(2_500)).await.unwrap_err().to_string();
    assert!(told.contains("service-canary has no Service"), "{told}");
    let started = up.target.prepare(&start).await.unwrap();
    assert_eq!(started.back(), [Act::Stop { at: at.clone() }]);
    assert_eq!(up.look(&Query::Process { at: at.clone() }).await, "absent");
    assert_eq!(up.kubectl(&["get", "deploy,svc", "-l", "app.kubernetes.io/component=service-canary"]), "");
    up.apply(&start).await;
    up.apply(&start).await;
    // Ready is who reaches the database, which a policy guards.
    up.sees(Query::Ready { at: at.clone() }, "ready").await;
    up.sees(Query::Revision { at: Place::component(&set) }, "v2").await;
    up.sees(Query::Revision { at: Place::component(&service) }, Revision::ORIGINAL).await;
    assert_eq!(up.look(&Query::Replicas { at: Place::component(&service) }).await, "3");
    up.gets(&set, 0.0).await;

    let weighed = up.target.prepare(&weigh(2_500)).await.unwrap();
    assert_eq!(weighed.back(), [weigh(0)]);
    assert_eq!(up.look(&asks).await, "no set");
    up.apply(&weighed.act).await;
    up.apply(&weighed.act).await;
    up.sees(asks.clone(), "service-canary 25%").await;
    assert!(up.target.prepare(&weigh(2_500)).await.unwrap().idle);
    up.gets(&set, 0.25).await;

    // A new pod has nothing but what the cluster says.
    up.kubectl(&["delete", "pod", "-l", "app.kubernetes.io/component=ingress", "--wait=true"]);
    up.sees(Query::Way { at: Place::replica(&name("ingress"), 1) }, "ready").await;
    up.sees(asks.clone(), "service-canary 25%").await;
    up.gets(&set, 0.25).await;

    // Nor has a new process in the same pod.
    let ingress = Place::replica(&name("ingress"), 1);
    up.apply(&Act::Signal { at: ingress.clone(), signal: Signal::Kill }).await;
    up.sees(Query::Ready { at: ingress }, "ready").await;
    up.sees(asks.clone(), "service-canary 25%").await;
    up.gets(&set, 0.25).await;

    up.apply(&Act::Stop { at: at.clone() }).await;
    up.sees(Query::Process { at: at.clone() }, "absent").await;
    up.sees(asks.clone(), "service-canary 25%").await;
    up.gets(&set, 0.0).await;
    for undo in weighed.back().iter().chain(weighed.back()).chain(started.back()) {
        up.apply(undo).await;
    }
    up.sees(asks, "no set").await;
    up.apply(&Act::Stop { at: Place::of(Unit::Ground) }).await;
    up.sees(Query::Process { at: Place::of(Unit::Ground) }, "absent").await;
    assert_eq!(up.target.leftovers().await.unwrap(), []);
    assert_eq!(left_of_run(up.namespace.trim_start_matches("gauntlet-")), Vec::<String>::new());
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn in_a_namespace_that_the_run_did_not_make_no_canary_and_no_drill_is_planned() {
    let mine = "`--target local`, or `--target kube` without `--namespace`";
    let destroys = format!("a drill destroys, so it needs a system that the run itself has made: {mine}");
    for (scenario, told) in [
        ("canary/same-version", format!("the target kube cannot weigh; take {mine}")),
        ("drill/logical", format!("the target kube cannot exec; {destroys}")),
        ("drill/point-in-time", format!("the target kube cannot exec; {destroys}")),
        ("drill/redis", format!("the target kube cannot exec; {destroys}")),
    ] {
        let scenario = root().join(format!("scenarios/{scenario}.yml")).display().to_string();
        let at = here();
        let words = ["plan", &scenario, "--namespace", "causal"].into_iter();
        let ended = Stage::new().gauntlet(&words.chain(at.iter().map(String::as_str)).collect::<Vec<_>>());
        assert_eq!(ended.code, 2, "{}", ended.text);
        assert!(ended.text.contains(&told), "{}", ended.text);
    }
}
