//! What every target must do, whatever it is made of: the same body runs over this machine and over a cluster.

use std::{
    io::{Read, Write},
    time::Duration,
};

use gauntlet_core::{
    act::{Ability, Act, Artefact, Object, Place, Program, Revision, Signal, Unit},
    port::{Artefacts, Target, Trouble, Witness},
    proof::Query,
};
use tokio::time::{Instant, sleep};

/// A replica that is up and ready, and who acts and sees there.
pub(crate) struct Subject<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) witness: &'a dyn Witness,
    pub(crate) at: Place,
    /// Another revision of its component.
    pub(crate) revision: Revision,
    /// How long a change may take until it is seen.
    pub(crate) patience: Duration,
}

impl Subject<'_> {
    async fn look(&self, ask: &Query) -> String {
        self.witness.look(ask).await.map_or_else(|trouble| trouble.to_string(), |reading| reading.0)
    }

    async fn sees(&self, ask: Query, expected: &str) {
        let deadline = Instant::now() + self.patience;
        loop {
            let last = self.look(&ask).await;
            if last == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{ask}: wanted {expected}, last saw {last}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn is_well(&self) {
        self.sees(Query::Process { at: self.at.clone() }, "running").await;
        self.sees(Query::Ready { at: self.at.clone() }, "ready").await;
    }

    async fn apply(&self, act: &Act) {
        self.target.apply(act).await.unwrap_or_else(|trouble| panic!("{trouble}"));
    }

    /// Twice: an act and an undo are idempotent.
    async fn apply_all(&self, acts: &[Act]) {
        for act in acts.iter().chain(acts) {
            self.apply(act).await;
        }
    }

    fn signal(&self, signal: Signal) -> Act {
        Act::Signal { at: self.at.clone(), signal }
    }
}

fn object(act: &Act) -> Object {
    match act {
        Act::Signal { at, .. } | Act::Stop { at } | Act::Exec { at, .. } => at.object.clone().unwrap(),
        Act::Start { .. } | Act::Configure { .. } | Act::Scale { .. } | Act::Weigh { .. } => {
            panic!("{act} is pinned to nothing")
        }
    }
}

/// Everything that a target must do to one replica.
pub(crate) async fn conforms(subject: &Subject<'_>) {
    subject.is_well().await;
    says_what_it_can(subject).await;
    only_reads_when_it_prepares(subject).await;
    pauses_and_resumes(subject).await;
    kills_one_life_only(subject).await;
    stops_and_starts(subject).await;
    rolls_out_and_back(subject).await;
    scales_in_and_back(subject).await;
}

async fn says_what_it_can(subject: &Subject<'_>) {
    use Ability::{Configure, Exec, Kill, Pause, Scale, Start};
    let can = subject.target.abilities().await.unwrap();
    assert!(
        [Start, Kill, Pause, Configure, Scale, Exec].iter().all(|ability| can.contains(ability)),
        "{can:?}"
    );
    assert!(!subject.target.leftovers().await.unwrap().is_empty(), "what stands bears the mark");
}

async fn only_reads_when_it_prepares(subject: &Subject<'_>) {
    let pinned = object(&subject.target.prepare(&subject.signal(Signal::Kill)).await.unwrap().act);
    for act in [
        Act::Start { unit: subject.at.unit.clone() },
        Act::Stop { at: subject.at.clone() },
        subject.signal(Signal::Kill),
        subject.signal(Signal::Pause),
    ] {
        let (one, other) =
            (subject.target.prepare(&act).await.unwrap(), subject.target.prepare(&act).await.unwrap());
        assert_eq!(one, other, "{act}");
        assert!(one.touches.iter().all(|unit| *unit == subject.at.unit), "{act} touches {:?}", one.touches);
    }
    assert_eq!(subject.look(&Query::Process { at: subject.at.pinned(pinned) }).await, "running");
    let start = subject.target.prepare(&Act::Start { unit: subject.at.unit.clone() }).await.unwrap();
    assert!(start.idle && start.back().is_empty(), "what runs needs no start: {start:?}");
}

async fn pauses_and_resumes(subject: &Subject<'_>) {
    let pause = subject.target.prepare(&subject.signal(Signal::Pause)).await.unwrap();
    let very = Query::Process { at: subject.at.pinned(object(&pause.act)) };
    subject.apply_all(std::slice::from_ref(&pause.act)).await;
    subject.sees(very.clone(), "paused").await;
    subject.sees(Query::Ready { at: subject.at.clone() }, "silent").await;
    subject.apply_all(pause.back()).await;
    subject.sees(very, "running").await;
    subject.is_well().await;
}

async fn kills_one_life_only(subject: &Subject<'_>) {
    let kill = subject.target.prepare(&subject.signal(Signal::Kill)).await.unwrap();
    let first = object(&kill.act);
    subject.apply(&kill.act).await;
    subject.sees(Query::Process { at: subject.at.pinned(first.clone()) }, "absent").await;
    subject.apply_all(kill.back()).await;
    subject.is_well().await;
    let second = object(&subject.target.prepare(&subject.signal(Signal::Kill)).await.unwrap().act);
    assert_ne!(first, second);
    // The old act again, and what a resume of the old life would do: the successor is left alone.
    subject.apply(&kill.act).await;
    subject.apply(&Act::Signal { at: subject.at.pinned(first), signal: Signal::Pause }).await;
    assert_eq!(subject.look(&Query::Process { at: subject.at.pinned(second) }).await, "running");
    subject.is_well().await;
}

async fn stops_and_starts(subject: &Subject<'_>) {
    let stop = subject.target.prepare(&Act::Stop { at: subject.at.clone() }).await.unwrap();
    let very = Query::Process { at: subject.at.pinned(object(&stop.act)) };
    subject.apply_all(std::slice::from_ref(&stop.act)).await;
    subject.sees(very, "absent").await;
    subject.apply_all(stop.back()).await;
    subject.is_well().await;
}

async fn rolls_out_and_back(subject: &Subject<'_>) {
    let component = subject.at.unit.component().unwrap().clone();
    let revision = || Query::Revision { at: Place::component(&component) };
    let act = |revision: &Revision| {
        let unit = Unit::Component { component: component.clone() };
        Act::Configure { unit, revision: revision.clone() }
    };
    subject.sees(revision(), Revision::ORIGINAL).await;
    let there = subject.target.prepare(&act(&Revision::original())).await.unwrap();
    assert!(there.idle && there.back().is_empty(), "what runs needs no rollout: {there:?}");
    let prepared = subject.target.prepare(&act(&subject.revision)).await.unwrap();
    assert_eq!(prepared, subject.target.prepare(&act(&subject.revision)).await.unwrap());
    assert_eq!(prepared.back(), [act(&Revision::original())]);
    subject.sees(revision(), Revision::ORIGINAL).await;
    subject.apply_all(std::slice::from_ref(&prepared.act)).await;
    subject.sees(revision(), subject.revision.name.as_str()).await;
    subject.is_well().await;
    let back = subject.target.prepare(&act(&Revision::original())).await.unwrap();
    assert_eq!(back.back(), std::slice::from_ref(&prepared.act), "the way back is what runs now");
    subject.apply_all(prepared.back()).await;
    subject.sees(revision(), Revision::ORIGINAL).await;
    subject.is_well().await;
}

async fn scales_in_and_back(subject: &Subject<'_>) {
    let component = subject.at.unit.component().unwrap().clone();
    let count = || Query::Replicas { at: Place::component(&component) };
    let unit = Unit::Component { component: component.clone() };
    let before: u16 = subject.look(&count()).await.parse().unwrap();
    let scale = |replicas| Act::Scale { unit: unit.clone(), replicas };
    let there = subject.target.prepare(&scale(before)).await.unwrap();
    assert!(there.idle && there.back().is_empty(), "so many run already: {there:?}");
    let prepared = subject.target.prepare(&scale(before - 1)).await.unwrap();
    assert_eq!(prepared.back(), [scale(before)]);
    assert_eq!(prepared.touches, std::slice::from_ref(&unit));
    subject.sees(count(), &before.to_string()).await;
    subject.apply_all(std::slice::from_ref(&prepared.act)).await;
    subject.sees(count(), &(before - 1).to_string()).await;
    subject.apply_all(prepared.back()).await;
    subject.sees(count(), &before.to_string()).await;
    subject.is_well().await;
}

/// A database that is ready, and who acts and sees there; what programs write and read is kept here.
pub(crate) struct Runs<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) witness: &'a dyn Witness,
    pub(crate) artefacts: &'a dyn Artefacts,
    pub(crate) at: Place,
}

impl Runs<'_> {
    fn psql(&self, more: &[&str], within: Duration) -> Program {
        let all = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"];
        let argv = all.iter().chain(more).map(ToString::to_string).collect();
        Program { argv, stdin: None, stdout: None, stderr: None, within }
    }

    async fn run(&self, program: Program) -> Result<(), Trouble> {
        self.target.apply(&Act::Exec { at: self.at.clone(), program }).await
    }

    async fn count(&self) -> String {
        let statement = "select count(*) from made".to_owned();
        self.witness.look(&Query::Sql { at: self.at.clone(), statement }).await.unwrap().0
    }

    fn kept(&self, artefact: &Artefact) -> Option<Vec<u8>> {
        let mut bytes = vec![];
        self.artefacts.read(artefact).ok()?.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }
}

/// A program runs with the replica's environment; what it did is seen by SQL, what it wrote is kept, why it failed is told.
pub(crate) async fn runs_programs(on: &Runs<'_>) {
    let minute = Duration::from_secs(60);
    let artefact = |name: &str| Artefact(name.parse().unwrap());
    let (script, answer) = (artefact("script"), artefact("answer"));
    // More than any buffer on the way holds, and in and out at once.
    let lines: String = (0..20_000).map(|line| format!("select repeat('x', 50), {line};\n")).collect();
    let mut whole = on.artefacts.write(&script).unwrap();
    whole.write_all(b"create table if not exists made (x int primary key);\n").unwrap();
    whole.write_all(b"insert into made values (1), (2), (3) on conflict do nothing;\n").unwrap();
    whole.write_all(lines.as_bytes()).unwrap();
    whole.keep().unwrap();
    let program =
        Program { stdin: Some(script), stdout: Some(answer.clone()), ..on.psql(&["--file", "-"], minute) };
    let exec = Act::Exec { at: on.at.clone(), program };
    let prepared = on.target.prepare(&exec).await.unwrap();
    assert_eq!(prepared.undo, None, "nobody can read what takes it back");
    assert_eq!(prepared.touches, std::slice::from_ref(&on.at.unit));
    let very = object(&prepared.act);
    assert_eq!(on.kept(&answer), None, "preparing only reads");
    on.target.apply(&prepared.act).await.unwrap();
    assert_eq!(on.count().await, "3");
    let answered = String::from_utf8(on.kept(&answer).unwrap()).unwrap();
    assert_eq!(answered.lines().count(), 20_000);
    assert_eq!(answered.lines().last().unwrap(), format!("{}|19999", "x".repeat(50)));

    let wrong = Program { stdout: Some(answer.clone()), ..on.psql(&["--command", "select 1 / 0"], minute) };
    let told = on.run(wrong).await.unwrap_err().to_string();
    assert!(told.contains("exit code 1") && told.contains("division by zero"), "{told}");
    assert_eq!(on.kept(&answer).map(|bytes| bytes.len()), Some(answered.len()), "the older artefact stays");
    let nothing = Program { stdin: Some(artefact("nothing")), ..on.psql(&["--file", "-"], minute) };
    let told = on.run(nothing).await.unwrap_err().to_string();
    assert!(told.contains("artefact nothing"), "{told}");
    let argv = vec!["no-such-program".to_owned()];
    let told = on
        .run(Program { argv, stdin: None, stdout: None, stderr: None, within: minute })
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("no-such-program"), "{told}");
    let begun = Instant::now();
    let slow = on.psql(&["--command", "select pg_sleep(60)"], Duration::from_secs(2));
    let told = on.run(slow).await.unwrap_err().to_string();
    assert!(told.contains("did not end within 2s") && begun.elapsed() < minute, "{told}");
    // The life that it was meant for is over: nothing is done to its successor.
    let gone = Place { object: Some(Object(very.0.replace(['1', '2', '3', '4'], "5"))), ..on.at.clone() };
    let late = Act::Exec { at: gone, program: on.psql(&["--command", "delete from made"], minute) };
    assert!(on.target.apply(&late).await.is_err());
    assert_eq!(on.count().await, "3");
}
