//! A run of its own for each test: real processes on private ports, gone when the test ends, however it ends.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use gauntlet::{
    layout::Layout,
    ports,
    record::{Ground, Holder, RECORD_FORMAT, Record},
    target::local::LocalTarget,
    witness::LocalWitness,
};
use gauntlet_core::{
    act::{Act, Place, Signal, Unit},
    name::Name,
    port::{Target, Trouble, Witness},
    proof::Query,
    receipt::Prepared,
    system::System,
};
use serde_json::{Value, json};

/// One run.
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) system: Arc<System>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) target: LocalTarget,
    pub(crate) witness: LocalWitness,
}

static RUNS: AtomicU32 = AtomicU32::new(0);

/// The records of all test runs of this checkout, so that runs of several test processes share no port.
pub(crate) fn state() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("state")
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn replica(component: &str, index: u16) -> Place {
    Place::replica(&name(component), index)
}

pub(crate) fn system(components: Value, secrets: Value) -> System {
    let first = components.as_object().unwrap().iter().next().unwrap();
    let endpoint = json!({ "component": first.0, "port": first.1["ports"][0] });
    let system = json!({
        "format": 1, "name": "stand-in", "secrets": secrets, "components": components, "endpoint": endpoint,
    });
    serde_json::from_value(system).unwrap()
}

impl Run {
    /// Claims ports and a name; nothing is started.
    pub(crate) fn new(system: System, root: &Path) -> Self {
        let run = format!("test-{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let private = PathBuf::from(format!("/var/tmp/gauntlet-{run}"));
        let (_, count) = Layout::plan(&system, &run, &private, root, 1);
        let record = |first| {
            let (layout, _) = Layout::plan(&system, &run, &private, root, first);
            let record = Record {
                format: RECORD_FORMAT,
                run: run.clone(),
                target: "local".into(),
                holder: Holder::me().unwrap(),
                lease: Duration::from_secs(5),
                journal: PathBuf::new(),
                system: system.clone(),
                ground: Ground::Local(layout.clone()),
            };
            record.create(&state()).map(|_| layout)
        };
        let layout = Arc::new(ports::claim(&state(), count, record).unwrap());
        let system = Arc::new(system);
        let target = LocalTarget::new(Arc::clone(&system), Arc::clone(&layout));
        let witness = LocalWitness::new(Arc::clone(&system), Arc::clone(&layout));
        Self { name: run, system, layout, target, witness }
    }

    /// With the ground made and every replica of every component started and ready.
    pub(crate) async fn up(system: System, root: &Path) -> Self {
        let run = Self::new(system, root);
        run.apply(&Act::Start { unit: Unit::Ground }).await;
        for replica in &run.layout.replicas {
            let at = Place::replica(&replica.component, replica.index);
            run.apply(&Act::Start { unit: at.unit.clone() }).await;
            run.await_reading(&Query::Ready { at }, "ready").await;
        }
        run
    }

    pub(crate) async fn apply(&self, act: &Act) {
        self.target.apply(act).await.unwrap_or_else(|e| panic!("{e}"));
    }

    pub(crate) async fn prepare(&self, act: &Act) -> Result<Prepared, Trouble> {
        self.target.prepare(act).await
    }

    pub(crate) async fn signal(&self, at: &Place, signal: Signal) -> Prepared {
        let prepared = self.prepare(&Act::Signal { at: at.clone(), signal }).await.unwrap();
        self.apply(&prepared.act).await;
        prepared
    }

    pub(crate) async fn process(&self, at: &Place) -> String {
        self.witness.look(&Query::Process { at: at.clone() }).await.unwrap().0
    }

    pub(crate) async fn ready(&self, at: &Place) -> String {
        self.witness.look(&Query::Ready { at: at.clone() }).await.unwrap().0
    }

    pub(crate) async fn sql(&self, at: &Place, statement: &str) -> String {
        let ask = Query::Sql { at: at.clone(), statement: statement.to_owned() };
        self.witness.look(&ask).await.unwrap_or_else(|e| panic!("{e}")).0
    }

    /// Waits until the witness reads it; answers how long that took.
    pub(crate) async fn await_reading(&self, ask: &Query, expected: &str) -> Duration {
        let begin = Instant::now();
        loop {
            let reading = self.witness.look(ask).await.unwrap().0;
            if reading == expected {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{ask}: last saw {reading}; {}", self.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn port(&self, component: &str, index: u16, port: &str) -> u16 {
        self.layout.replica(&name(component), index).unwrap().ports[&name(port)]
    }

    pub(crate) fn logs(&self) -> String {
        let logs = self.layout.replicas.iter().map(|replica| self.layout.log(replica));
        logs.filter_map(|log| std::fs::read_to_string(log).ok()).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let target = self.target.clone();
        let end = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(target.apply(&Act::Stop { at: Place::of(Unit::Ground) }))
        });
        let ended = end.join().unwrap();
        Record::remove(&state(), &self.name).unwrap();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}
