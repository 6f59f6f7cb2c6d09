//! The recorder: stamps what happens with the run's clock, writes it to the journal, shows it on the console.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gauntlet_core::evidence::{Class, Event, Operation, Request, Sample, What};

use super::{
    faults::chain,
    gates::Gates,
    screen::Screen,
    stop::{Early, Stop},
    world::Tell,
};
use crate::{
    journal::{Journal, JournalError},
    report::console::Console,
};

/// Where all that happens in a run ends up. A journal that cannot be written ends the run.
pub(super) struct Recorder {
    began: Instant,
    journal: Journal,
    screen: Mutex<Option<Screen<Console>>>,
    stop: Stop,
    broken: OnceLock<String>,
    gates: Arc<Gates>,
    acknowledged: AtomicU64,
}

impl Recorder {
    /// Starts the run's clock.
    pub(super) fn new(journal: Journal, console: Console, gates: Gates, stop: Stop) -> io::Result<Self> {
        let screen = Mutex::new(Some(Screen::new(console)?));
        Ok(Self {
            began: Instant::now(),
            journal,
            screen,
            stop,
            broken: OnceLock::new(),
            gates: Arc::new(gates),
            acknowledged: AtomicU64::new(0),
        })
    }

    /// How many writes had a right answer so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The judges that are asked in mid-run: they see what the journal gets.
    pub(super) fn gates(&self) -> Arc<Gates> {
        self.gates.clone()
    }

    /// Microseconds since the run began.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Appends readings of metrics.
    pub(super) fn samples(&self, samples: &[Sample]) {
        self.gates.samples(samples);
        let written = self.journal.samples(samples);
        self.note(written);
    }

    /// Appends requests, and counts them on the console.
    pub(super) fn rows(&self, rows: Vec<Request>) {
        let shown = rows.clone();
        self.gates.rows(&shown);
        let written = |row: &&Request| row.class == Class::Ok && row.operation == Operation::Write;
        let written = shown.iter().filter(written).count() as u64;
        self.acknowledged.fetch_add(written, Ordering::Relaxed);
        self.show(move |console| console.rows(&shown));
        let written = self.journal.rows(rows);
        self.note(written);
    }

    /// Redraws the console.
    pub(super) fn tick(&self) {
        let elapsed = Duration::from_micros(self.now_us());
        self.show(move |console| console.tick(elapsed));
    }

    /// Ends the journal. Answers why it is incomplete, if it is.
    pub(super) fn close(&self) -> Option<String> {
        let closed = self.journal.close();
        self.note(closed);
        self.broken.get().cloned()
    }

    /// The console, for the verdict; nothing is shown behind its back any more.
    pub(super) fn console(&self) -> Option<Console> {
        lock(&self.screen).take()?.close()
    }

    fn show(&self, work: impl FnOnce(&mut Console) + Send + 'static) {
        if let Some(screen) = &*lock(&self.screen) {
            screen.show(work);
        }
    }

    fn note(&self, written: Result<(), JournalError>) {
        if let Err(error) = written {
            let why = chain(&error);
            if self.broken.set(why.clone()).is_ok() {
                tracing::error!(why, "the journal cannot be written: the run cannot pass, healing");
            }
            self.stop.say(Early::Broken);
        }
    }
}

impl Tell for Recorder {
    fn tell(&self, what: What) {
        let event = Event { at_us: self.now_us(), what };
        let written = self.journal.event(&event);
        self.note(written);
        self.gates.event(&event);
        self.show(move |console| console.event(&event));
    }
}

/// A panic of another holder loses a line at most; healing must go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
