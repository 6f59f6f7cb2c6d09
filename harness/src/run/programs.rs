//! Programs of backups and restores, run where a replica is: each is a step of its own, with a receipt like any other.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use gauntlet_backup::{
    Error,
    call::{Call, Ended, Input, Later, Output, Programs},
};
use gauntlet_core::{
    act::{Act, Artefact, Place, Program, Unit},
    name::Name,
    port::{Keep, Trouble},
    step::{Begin, End, Step, StepId},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex};
use tokio_util::io::SyncIoBridge;

use super::{
    enter::{NotEntered, enter},
    faults::{chain, undo},
    world::World,
};
use crate::artefacts::Pipes;

/// Bytes that lie between a program and who reads or writes it.
const PIPE: usize = 256 << 10;

/// Runs programs at one place, for one step.
#[derive(Clone)]
pub(super) struct TargetPrograms {
    world: World,
    pipes: Arc<Pipes>,
    at: Place,
    step: StepId,
    count: Arc<AtomicU32>,
}

impl TargetPrograms {
    pub(super) fn new(world: &World, pipes: &Arc<Pipes>, at: Place, step: &StepId) -> Self {
        let (world, pipes, step) = (world.clone(), pipes.clone(), step.clone());
        Self { world, pipes, at, step, count: Arc::new(AtomicU32::new(1)) }
    }

    /// The same step's programs, at another place.
    pub(super) fn at(&self, place: &Place) -> Self {
        Self { at: place.clone(), ..self.clone() }
    }

    async fn run_there(&self, call: &Call, stdin: Input<'_>, stdout: Output<'_>) -> Result<Ended, Error> {
        if let Some(secret) = call.secrets.values().next() {
            let mend = "let the component's own environment hold it";
            return Err(Error::at(&call.program, format!("it wants the secret {secret}"), mend));
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let id = StepId(format!("{}.{number}", self.step));
        let pipe = |end: &'static str| Artefact(Name::numbered(end, number as usize));
        let (reads, writes, complains) = (pipe("pipe-in"), pipe("pipe-out"), pipe("pipe-err"));
        let complaints = Said::default();
        self.pipes.writes(&complains, Box::new(complaints.clone()));
        let fed = stdin.map(|from| {
            let (to, far) = duplex(PIPE);
            self.pipes.reads(&reads, Box::new(SyncIoBridge::new(far)));
            (from, to)
        });
        let drained = stdout.map(|to| {
            let (from, far) = duplex(PIPE);
            self.pipes.writes(&writes, Box::new(Outlet(SyncIoBridge::new(far))));
            (from, to)
        });
        let program = Program {
            argv: match self.at.unit {
                // It has no shell and no environment.
                Unit::Ground => [&call.program].into_iter().chain(&call.args).cloned().collect(),
                _ => argv(call, fed.is_some()),
            },
            stdin: fed.is_some().then(|| reads.clone()),
            stdout: drained.is_some().then(|| writes.clone()),
            stderr: Some(complains.clone()),
            within: call.within,
        };
        let step = Step {
            id: id.clone(),
            title: format!("{} for {}", call.program, self.step),
            begin: Begin::Then,
            acts: vec![Act::Exec { at: self.at.clone(), program }],
            // What a backup or a restore leaves half done is taken up by the next one, or goes with the ground.
            back: Some(vec![]),
            effect: vec![],
            gone: vec![],
            end: End::Keep,
        };
        let run = async {
            let entered = enter(&step, &self.world).await;
            // What the program did not take would be waited for.
            [&reads, &writes, &complains].into_iter().for_each(|pipe| self.pipes.forget(pipe));
            undo(&mut vec![id], &self.world).await;
            entered
        };
        let (entered, fed, drained) = tokio::join!(run, feed(fed), drain(drained));
        let told = |error: io::Error| Error::at(&call.program, error, "look at the disk and the log");
        match entered {
            Ok(()) => {
                fed.and(drained).map_err(told)?;
                Ok(Ended { status: Some(0), stderr: complaints.text() })
            }
            Err(NotEntered::Act(Trouble::Exited { code, said, .. })) => {
                Ok(Ended { status: Some(code), stderr: said })
            }
            Err(why) => Err(Error::at(&call.program, chain(&why), "look at the component's log")),
        }
    }
}

/// Sets variables, then becomes the program; what it is given it reads as words only. Small images have a shell and no `env`.
const WITH: &str = r#"while [ "$1" != -- ]; do export "$1"; shift; done; shift; exec "$@""#;
/// The same, and what the program does not read of its input is read for it: a cluster does not tell that a program has
/// ended before all of that is taken.
const FED: &str = r#"while [ "$1" != -- ]; do export "$1"; shift; done; shift; "$@" || code=$?; cat > /dev/null; exit ${code:-0}"#;

fn argv(call: &Call, fed: bool) -> Vec<String> {
    let before = ["sh", "-euc", if fed { FED } else { WITH }, "sh"].map(str::to_owned).into_iter();
    let variables = call.env.iter().map(|(name, value)| format!("{name}={value}"));
    let program = ["--".to_owned(), call.program.clone()];
    before.chain(variables).chain(program).chain(call.args.iter().cloned()).collect()
}

async fn feed(
    pipe: Option<(&mut (dyn tokio::io::AsyncRead + Send + Unpin), DuplexStream)>,
) -> io::Result<()> {
    let Some((from, mut to)) = pipe else { return Ok(()) };
    match copy(from, &mut to).await {
        // It needed no more than it read; whether that is well its exit code says.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let _ = to.shutdown().await;
    Ok(())
}

async fn drain(
    pipe: Option<(DuplexStream, &mut (dyn tokio::io::AsyncWrite + Send + Unpin))>,
) -> io::Result<()> {
    let Some((mut from, to)) = pipe else { return Ok(()) };
    let drained = async {
        copy(&mut from, to).await?;
        to.flush().await
    };
    let drained = drained.await;
    if drained.is_err() {
        // The program must not wait for somebody who takes no more.
        let mut rest = vec![0; 64 << 10];
        while from.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    }
    drained
}

impl Programs for TargetPrograms {
    fn run<'a>(
        &'a self,
        call: &'a Call,
        stdin: Input<'a>,
        stdout: Output<'a>,
    ) -> Later<'a, Result<Ended, Error>> {
        Box::pin(self.run_there(call, stdin, stdout))
    }
}

/// The program's side of a pipe.
struct Outlet(SyncIoBridge<DuplexStream>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Keep for Outlet {
    fn keep(mut self: Box<Self>) -> Result<(), Trouble> {
        self.0.shutdown().map_err(|error| Trouble::failed("end a pipe", error))
    }
}

/// What a program said, for one who waits for it.
#[derive(Clone, Default)]
pub(super) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Keep for Said {
    fn keep(self: Box<Self>) -> Result<(), Trouble> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process::Stdio};

    use gauntlet_backup::call::Call;

    use super::argv;

    #[test]
    fn a_program_has_its_variables_and_its_words_as_they_are() {
        let mut call = Call::new("printf", ["%s|", "a b", "$HOME", "--", "*"]);
        call.env.insert("VARIABLE".into(), "c d".into());
        let words = argv(&call, false);
        let run =
            |words: &[String]| std::process::Command::new(&words[0]).args(&words[1..]).output().unwrap();
        assert_eq!(String::from_utf8(run(&words).stdout).unwrap(), "a b|$HOME|--|*|");
        let mut shown = Call::shell(r#"printf "%s" "$VARIABLE""#, []);
        shown.env.insert("VARIABLE".into(), "c d".into());
        assert_eq!(String::from_utf8(run(&argv(&shown, false)).stdout).unwrap(), "c d");
    }

    #[test]
    fn a_program_that_reads_no_more_has_its_input_read_for_it_and_its_code_told() {
        let words = argv(&Call::shell("read -r first; echo \"$first\"; exit 3", []), true);
        let mut program = std::process::Command::new(&words[0]);
        let mut program =
            program.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = program.stdin.take().unwrap();
        input.write_all(b"first\n").unwrap();
        (0..100).try_for_each(|_| input.write_all(&[0; 64 << 10])).unwrap();
        drop(input);
        let ended = program.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(3), b"first\n".as_slice()));
    }
}
