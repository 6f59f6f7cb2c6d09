//! Writing a journal: several tasks append through one shared handle; one thread owns the table of requests.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use gauntlet_core::evidence::{Event, Request, Sample, What};
use parquet::data_type::ByteArray;

use super::{EVENTS, JournalError, LOGS, METRICS, REQUESTS, lines::Lines, segment, sums, table};

/// How long a segment gathers rows. A killed run loses at most the rows of the segment that it was gathering.
const SEGMENT: Duration = Duration::from_secs(5);
/// Rows at which a segment is closed before its time.
const SEGMENT_ROWS: usize = 250_000;
/// Chunks of rows that may wait for the disk; then `rows` blocks, and the load process counts what it cannot hand over.
const WAITING: usize = 256;

/// A handle on a journal that is being written. Clones append to the same journal. Calls may wait for the disk.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    events: Mutex<Lines>,
    samples: Mutex<Lines>,
    requests: Mutex<Option<Requests>>,
    failure: Arc<Failure>,
}

/// The first failure stays.
#[derive(Debug, Default)]
struct Failure(Mutex<Option<JournalError>>);

/// The thread that owns the table.
#[derive(Debug)]
struct Requests {
    to: SyncSender<Order>,
    thread: JoinHandle<()>,
}

enum Order {
    Rows(Vec<Request>),
    Close,
}

impl Journal {
    /// Makes the directory and the empty journal in it.
    pub fn create(dir: &Path) -> Result<Self, JournalError> {
        let events = dir.join(EVENTS);
        if events.exists() {
            return Err(JournalError::Exists { path: dir.to_owned() });
        }
        for inner in [REQUESTS, LOGS] {
            let path = dir.join(inner);
            std::fs::create_dir_all(&path).map_err(JournalError::io("create", path))?;
        }
        Ok(Self(Arc::new(Shared {
            dir: dir.to_owned(),
            events: Mutex::new(Lines::open(&events)?),
            samples: Mutex::new(Lines::open(&dir.join(METRICS))?),
            requests: Mutex::new(None),
            failure: Arc::default(),
        })))
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The directory for the components' logs.
    pub fn logs(&self) -> PathBuf {
        self.0.dir.join(LOGS)
    }

    /// Appends an event; it is in the file when this returns. The first must be `began`.
    pub fn event(&self, event: &Event) -> Result<(), JournalError> {
        self.unless_failed(|shared| {
            let mut requests = lock(&shared.requests);
            match (&event.what, &*requests) {
                (What::Began(began), None) => {
                    *requests = Some(shared.begin(table::behaviours(&began.plan.load)))
                }
                (What::Began(_), Some(_)) => {
                    let line = lock(&shared.events).written() + 1;
                    return Err(JournalError::BeganTwice { path: shared.dir.join(EVENTS), line });
                }
                (_, None) => return Err(shared.not_open()),
                (_, Some(_)) => {}
            }
            drop(requests);
            lock(&shared.events).append([event], "an event")
        })
    }

    /// Appends samples. A value that is no number (NaN, infinity) says nothing and is left out.
    pub fn samples(&self, samples: &[Sample]) -> Result<(), JournalError> {
        self.unless_failed(|shared| {
            lock(&shared.samples).append(samples.iter().filter(|sample| sample.value.is_finite()), "a sample")
        })
    }

    /// Hands rows to the thread that writes the table; its failure is returned by the next call of any kind.
    pub fn rows(&self, rows: Vec<Request>) -> Result<(), JournalError> {
        self.unless_failed(|shared| {
            let to = lock(&shared.requests).as_ref().map(|requests| requests.to.clone());
            let to = to.ok_or_else(|| shared.not_open())?;
            to.send(Order::Rows(rows)).map_err(|_| shared.failure.get().unwrap_or_else(|| shared.not_open()))
        })
    }

    /// Closes the table and makes sure that the disk has all of it. Closing again only tells the same failure again.
    pub fn close(&self) -> Result<(), JournalError> {
        let requests = lock(&self.0.requests).take();
        if let Some(Requests { to, thread }) = requests {
            // A thread that has gone has left its failure behind.
            let _gone = to.send(Order::Close);
            drop(to);
            if thread.join().is_err() {
                self.0.failure.keep(JournalError::io("write", self.0.dir.join(REQUESTS))(
                    std::io::Error::other("the thread that writes the requests panicked"),
                ));
            }
        }
        self.unless_failed(|shared| {
            lock(&shared.samples).sync()?;
            lock(&shared.events).sync()
        })
    }

    fn unless_failed(
        &self,
        write: impl FnOnce(&Shared) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        if let Some(error) = self.0.failure.get() {
            return Err(error);
        }
        write(&self.0).map_err(|error| self.0.failure.keep(error))
    }
}

impl Shared {
    fn begin(&self, behaviours: Vec<ByteArray>) -> Requests {
        let (to, from) = sync_channel(WAITING);
        let table = Table { dir: self.dir.join(REQUESTS), behaviours, number: 0, rows: Vec::new() };
        let failure = self.failure.clone();
        let thread = std::thread::spawn(move || {
            if let Err(error) = table.run(&from) {
                failure.keep(error);
            }
        });
        Requests { to, thread }
    }

    /// Before `began` or after `close`.
    fn not_open(&self) -> JournalError {
        let begun = std::fs::metadata(self.dir.join(EVENTS)).is_ok_and(|file| file.len() > 0);
        if begun {
            JournalError::Closed { path: self.dir.clone() }
        } else {
            JournalError::NoBeginning { path: self.dir.join(EVENTS) }
        }
    }
}

impl Failure {
    fn get(&self) -> Option<JournalError> {
        lock(&self.0).clone()
    }

    /// Keeps the first, and answers it.
    fn keep(&self, error: JournalError) -> JournalError {
        lock(&self.0).get_or_insert(error).clone()
    }
}

/// The table that is being written, and the rows of its open segment.
struct Table {
    dir: PathBuf,
    behaviours: Vec<ByteArray>,
    number: usize,
    rows: Vec<Request>,
}

impl Table {
    fn run(mut self, from: &Receiver<Order>) -> Result<(), JournalError> {
        loop {
            let closes = Instant::now() + SEGMENT;
            while self.rows.len() < SEGMENT_ROWS {
                match from.recv_timeout(closes.saturating_duration_since(Instant::now())) {
                    Ok(Order::Rows(rows)) => self.rows.extend(rows),
                    Ok(Order::Close) => return self.write(true),
                    // Nobody closed it: the rows are kept, but nothing says that they are all.
                    Err(RecvTimeoutError::Disconnected) => return self.write_some(),
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            self.write_some()?;
        }
    }

    fn write_some(&mut self) -> Result<(), JournalError> {
        if self.rows.is_empty() { Ok(()) } else { self.write(false) }
    }

    fn write(&mut self, last: bool) -> Result<(), JournalError> {
        // Near rows have near times, which pack well.
        self.rows.sort_by_key(|row| row.intended_us);
        self.number += 1;
        let (whole, part) = segment::names(&self.dir, self.number);
        table::write(&part, &self.rows, &self.behaviours, last)?;
        self.rows.clear();
        sums::append(&self.dir, &part, &whole)?;
        std::fs::rename(&part, &whole).map_err(JournalError::io("close", whole))
    }
}

/// A task that panicked while it held the lock leaves a whole value: every change under it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
