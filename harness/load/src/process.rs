//! The process: a job on its input, frames on its output. End of file on the input stops it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    mem,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use gauntlet_core::{
    evidence::Frame,
    plan::load::{LoadJob, LoadPlan},
};
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use tokio::{runtime, sync::watch};

use crate::{
    audit::audit,
    bindings::Salt,
    client::{Client, Run},
    codec::encode,
    compile::{Compiled, compile},
    connections::Connections,
    error::LoadError,
    generator::{Shard, offer},
    recall::Pools,
    rows::{QUEUE, Rows, Tally, write_frames},
    schedule::arrivals,
};

/// A job that can be run.
struct Ready {
    plan: LoadPlan,
    compiled: Compiled,
    address: SocketAddr,
    salt: Salt,
    runtimes: Vec<runtime::Runtime>,
}

/// How long the last frames may take once the load was stopped.
const STOP_LIMIT: Duration = Duration::from_millis(400);
/// The priority of generator threads, where it may be set.
const NICE: i32 = -10;
/// Files that are open besides connections.
const OTHER_FILES: u64 = 64;

/// Runs the job on standard input; writes frames, and nothing else, to standard output.
///
/// Returns when the load has ended, or within a second after the end of the input. A thread may then still wait for
/// standard input: the process is expected to end.
pub fn run() -> Result<(), LoadError> {
    let output = io::stdout().as_fd().try_clone_to_owned().map_err(LoadError::Output)?;
    // Around the buffer of `Stdout`, which looks for line ends in frames.
    serve(io::stdin(), File::from(output))
}

/// Runs the job on `input`, writes frames to `output`.
pub fn serve(
    input: impl Read + Send + 'static,
    mut output: impl Write + Send + 'static,
) -> Result<(), LoadError> {
    let mut input = BufReader::new(input);
    let ready = match read_job(&mut input).and_then(|job| Ready::new(job, shards())) {
        Ok(ready) => ready,
        Err(error) => {
            let told =
                output.write_all(&encode(&Frame::Failed(error.chain()))?).and_then(|()| output.flush());
            return told.map_err(LoadError::Output).and(Err(error));
        }
    };
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    let at_end = Arc::clone(&stop);
    thread::spawn(move || {
        // Whatever else is on the input means nothing; an error ends it too.
        let _ = io::copy(&mut input, &mut io::sink());
        at_end.send_replace(true);
    });
    output.write_all(&encode(&Frame::Began)?).and_then(|()| output.flush()).map_err(LoadError::Output)?;
    let zero = Instant::now();
    let (frames, written) = start_writer(output, stop);
    let outcome = ready.offer(zero, &frames, &stopped);
    if let Err(error) = &outcome {
        send(&frames, Frame::Failed(error.chain()), &stopped);
    }
    drop(frames);
    await_writer(&written, &stopped).and(outcome)
}

fn read_job(input: &mut impl BufRead) -> Result<LoadJob, LoadError> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line).map_err(LoadError::Input)?;
    serde_json::from_slice(&line).map_err(LoadError::NotAJob)
}

impl Ready {
    fn new(job: LoadJob, shards: u64) -> Result<Self, LoadError> {
        let compiled = compile(&job)?;
        let refused = |source| LoadError::Address { authority: job.authority.clone(), source };
        let mut found = job.authority.to_socket_addrs().map_err(refused)?;
        let address = found.next().ok_or_else(|| refused(io::ErrorKind::NotFound.into()))?;
        let salt = Salt::draw().map_err(|e| resource("random seed")(io::Error::other(e)))?;
        let runtimes = (0..shards).map(|_| runtime()).collect::<Result<_, _>>()?;
        Ok(Self { plan: job.plan, compiled, address, salt, runtimes })
    }

    /// Offers the load, audits what was written, and says so in the last frame.
    fn offer(self, zero: Instant, frames: &SyncSender<Frame>, stopped: &Stopped) -> Result<(), LoadError> {
        let Self { plan, compiled, address, salt, runtimes } = self;
        let cap = plan.in_flight.min(files().saturating_sub(OTHER_FILES));
        let tally = Arc::<Tally>::default();
        let pools = Pools::new(compiled.pools);
        let written = Mutex::default();
        let run = Run { plan: compiled, pools, salt, tally: Arc::clone(&tally), cap, zero, written };
        let run = Arc::new(run);
        let client = || {
            Arc::new(Client {
                run: Arc::clone(&run),
                connections: Arc::new(Connections::new(address, Arc::clone(&tally))),
                rows: Rows::new(frames.clone(), Arc::clone(&tally)),
            })
        };
        offer_all(runtimes, &plan, client, stopped)?;
        let keys = mem::take(&mut *run.written.lock().unwrap_or_else(PoisonError::into_inner));
        audit_all(&client(), keys, stopped)?;
        let counts = tally.counts(cap);
        tracing::info!(?counts, stopped = *stopped.borrow(), "the load has ended");
        send(frames, Frame::Ended(counts), stopped);
        Ok(())
    }
}

/// How many threads offer load here.
fn shards() -> u64 {
    Shard::count(thread::available_parallelism().map_or(1, Into::into))
}

type Stopped = watch::Receiver<bool>;

/// One thread for each runtime.
fn offer_all(
    runtimes: Vec<runtime::Runtime>,
    plan: &LoadPlan,
    client: impl Fn() -> Arc<Client>,
    stopped: &Stopped,
) -> Result<(), LoadError> {
    let of = runtimes.len() as u64;
    thread::scope(|scope| {
        let start = |(runtime, number): (runtime::Runtime, u64)| {
            let (client, schedule, shard) = (client(), arrivals(plan), Shard { number, of });
            scope.spawn(move || {
                come_first();
                let offered = until_stopped(&runtime, stopped, offer(Arc::clone(&client), schedule, shard));
                // A stopped load still hands over the rows that it has.
                client.rows.flush();
                runtime.shutdown_background();
                offered.transpose().map_err(resource("timer"))
            })
        };
        let threads: Vec<_> = runtimes.into_iter().zip(0..).map(start).collect();
        let mut ends = threads.into_iter().map(|thread| thread.join().unwrap_or(Err(LoadError::Panicked)));
        ends.try_for_each(|end| end.map(drop))
    })
}

fn audit_all(client: &Arc<Client>, keys: BTreeSet<String>, stopped: &Stopped) -> Result<(), LoadError> {
    if !keys.is_empty() && !*stopped.borrow() {
        let runtime = runtime()?;
        until_stopped(&runtime, stopped, audit(Arc::clone(client), keys.into_iter().collect()));
        client.rows.flush();
        runtime.shutdown_background();
    }
    Ok(())
}

/// Drives a future to its end, or until the load is stopped.
fn until_stopped<T>(
    runtime: &runtime::Runtime,
    stopped: &Stopped,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut stopped = stopped.clone();
    runtime.block_on(async move {
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = stopped.wait_for(|stopped| *stopped) => None,
        }
    })
}

fn runtime() -> Result<runtime::Runtime, LoadError> {
    // Timers and sockets are looked at often, so that a burst of answers does not delay the next arrival.
    let built = runtime::Builder::new_current_thread().enable_all().event_interval(16).build();
    built.map_err(resource("runtime"))
}

fn resource(what: &'static str) -> impl FnOnce(io::Error) -> LoadError {
    move |source| LoadError::Resource { what, source }
}

/// Puts this thread before the service's on a machine that they share: it needs little, and must not be late. Only a
/// privileged user may; for others the schedule is kept as well as the machine allows, and lag is in the rows.
fn come_first() {
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!(%error, "the generator runs at ordinary priority");
    }
}

/// How many files may be open, after asking for as many as are allowed.
fn files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = if raised.is_ok() { limit.maximum } else { limit.current };
    now.unwrap_or(u64::MAX)
}

/// The one writer. When its reader is gone, the load stops.
fn start_writer(
    output: impl Write + Send + 'static,
    stop: Arc<watch::Sender<bool>>,
) -> (SyncSender<Frame>, Receiver<Result<(), LoadError>>) {
    let (frames, queue) = sync_channel(QUEUE);
    let (done, written) = channel();
    thread::spawn(move || {
        let end = write_frames(output, queue);
        if end.is_err() {
            stop.send_replace(true);
        }
        // Nobody waits for it after a stop.
        let _ = done.send(end);
    });
    (frames, written)
}

/// Queues a last frame; after a stop it waits for a stuck reader no longer than the limit.
fn send(frames: &SyncSender<Frame>, mut frame: Frame, stopped: &Stopped) {
    let mut patience = Patience::default();
    while let Err(std::sync::mpsc::TrySendError::Full(back)) = frames.try_send(frame) {
        frame = back;
        if !patience.wait(stopped) {
            return;
        }
    }
}

fn await_writer(written: &Receiver<Result<(), LoadError>>, stopped: &Stopped) -> Result<(), LoadError> {
    let mut patience = Patience::default();
    loop {
        match written.recv_timeout(Patience::STEP) {
            Ok(end) => return end,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Err(LoadError::Panicked),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) if patience.is_over(stopped) => return Ok(()),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Endless while the load may go on; short once it was stopped.
#[derive(Default)]
struct Patience {
    stopped: Option<Instant>,
}

impl Patience {
    const STEP: Duration = Duration::from_millis(5);

    fn is_over(&mut self, stopped: &Stopped) -> bool {
        *stopped.borrow() && self.stopped.get_or_insert_with(Instant::now).elapsed() > STOP_LIMIT
    }

    fn wait(&mut self, stopped: &Stopped) -> bool {
        thread::park_timeout(Self::STEP);
        !self.is_over(stopped)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::sync_channel, time::Instant};

    use gauntlet_core::evidence::{Class, Frame};
    use serde_json::json;
    use tokio::sync::watch;

    use super::{Patience, Ready, STOP_LIMIT};
    use crate::{compile::tests::job, schedule::arrivals};

    #[test]
    fn threads_share_the_schedule_without_gaps_and_without_doubles() {
        let mut job = job(vec![json!({"method": "GET", "path": "/"})]);
        // Nobody is let in, so every arrival leaves a row at once.
        job.plan.in_flight = 0;
        job.plan.streams[0].segments.iter_mut().for_each(|s| (s.from, s.to) = (500.0, 2_000.0));
        let expected: Vec<u64> = arrivals(&job.plan).map(|arrival| arrival.at_us).collect();
        let (frames, queue) = sync_channel(1_000);
        let (_stop, stopped) = watch::channel(false);
        Ready::new(job, 3).unwrap().offer(Instant::now(), &frames, &stopped).unwrap();
        drop(frames);
        let (mut seen, mut counts) = (Vec::new(), None);
        for frame in queue {
            assert!(counts.is_none(), "a frame behind the last");
            match frame {
                Frame::Rows(rows) => {
                    assert!(rows.iter().all(|row| row.class == Class::Capped));
                    assert!(rows.is_sorted_by_key(|row| row.done_us), "rows of one thread come as they end");
                    seen.extend(rows.iter().map(|row| row.intended_us));
                }
                Frame::Ended(last) => counts = Some(last),
                other => panic!("{other:?}"),
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, expected);
        assert_eq!(counts.unwrap().scheduled, expected.len() as u64);
    }

    #[test]
    fn patience_is_endless_until_the_load_is_stopped() {
        let (stop, stopped) = watch::channel(false);
        let mut patience = Patience::default();
        assert!((0..10).all(|_| patience.wait(&stopped)));
        stop.send_replace(true);
        let from = Instant::now();
        while patience.wait(&stopped) {}
        assert!(from.elapsed() >= STOP_LIMIT);
    }
}
