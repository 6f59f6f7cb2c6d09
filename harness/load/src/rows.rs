//! Rows on their way out: chunks, the queue to the one writer, and what the generator counts of itself.

use std::{
    io::Write,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError},
    },
    time::Duration,
};

use gauntlet_core::evidence::{Frame, LoadCounts, Request};

use crate::{codec::encode, error::LoadError};

/// The rows of one thread that are not handed over yet.
pub(crate) struct Rows {
    chunk: Mutex<Chunk>,
    writer: SyncSender<Frame>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Chunk {
    rows: Vec<Request>,
    text: usize,
}

/// What the generator counts of itself, over all its threads.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Arrivals of the schedule.
    pub(crate) scheduled: Counter,
    /// Requests that were sent, without the audit's.
    pub(crate) sent: Counter,
    /// Arrivals over the cap.
    pub(crate) capped: Counter,
    /// Rows that the writer refused.
    pub(crate) refused: Counter,
    /// Connections opened.
    pub(crate) connections: Counter,
    in_flight: AtomicU64,
    peak: AtomicU64,
}

/// A count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

/// One arrival's place among those in flight; given back when dropped.
pub(crate) struct InFlight(Arc<Tally>);

/// Chunks that may wait for the writer.
pub(crate) const QUEUE: usize = 256;
/// How long rows wait at most before they are handed over.
pub(crate) const CHUNK_AGE: Duration = Duration::from_millis(100);
const CHUNK_ROWS: usize = 512;
/// Keys and values in a chunk, in bytes: far below the limit of a frame, since one row may add some MiB.
const CHUNK_TEXT: usize = 4 << 20;

impl Rows {
    pub(crate) fn new(writer: SyncSender<Frame>, tally: Arc<Tally>) -> Self {
        Self { chunk: Mutex::default(), writer, tally }
    }

    /// Adds a row. Never waits.
    pub(crate) fn push(&self, row: Request) {
        let mut chunk = self.chunk();
        chunk.text += row.key.len() + row.value.len() + row.arm.len();
        chunk.rows.push(row);
        if chunk.rows.len() >= CHUNK_ROWS || chunk.text >= CHUNK_TEXT {
            let full = mem::take(&mut *chunk);
            drop(chunk);
            self.hand_over(full.rows);
        }
    }

    /// Hands over what there is. Never waits: rows that find the queue full are lost, and counted.
    pub(crate) fn flush(&self) {
        let rows = mem::take(&mut *self.chunk()).rows;
        self.hand_over(rows);
    }

    /// Hands over what there is when nothing is in flight any more: waits for the writer.
    pub(crate) async fn settle(&self) {
        let mut frame = Frame::Rows(mem::take(&mut *self.chunk()).rows);
        while let Err(TrySendError::Full(back)) = self.writer.try_send(frame) {
            frame = back;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn hand_over(&self, rows: Vec<Request>) {
        if rows.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(Frame::Rows(lost)) | TrySendError::Disconnected(Frame::Rows(lost))) =
            self.writer.try_send(Frame::Rows(rows))
        {
            self.tally.refused.add(lost.len() as u64);
        }
    }

    fn chunk(&self) -> MutexGuard<'_, Chunk> {
        self.chunk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// A place among those in flight; none when the cap is reached.
    pub(crate) fn enter(self: &Arc<Self>, cap: u64) -> Option<InFlight> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let place = InFlight(Arc::clone(self));
        // A refused place is given back by its drop.
        if now > cap {
            return None;
        }
        self.peak.fetch_max(now, Ordering::Relaxed);
        Some(place)
    }

    /// For the last frame.
    pub(crate) fn counts(&self, cap: u64) -> LoadCounts {
        LoadCounts {
            scheduled: self.scheduled.get(),
            sent: self.sent.get(),
            capped: self.capped.get(),
            in_flight_cap: cap,
            in_flight_peak: self.peak.load(Ordering::Relaxed),
            rows_refused: self.refused.get(),
            connections: self.connections.get(),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes frames until all senders are gone.
pub(crate) fn write_frames(mut output: impl Write, frames: Receiver<Frame>) -> Result<(), LoadError> {
    for frame in frames {
        output.write_all(&encode(&frame)?).map_err(LoadError::Output)?;
    }
    output.flush().map_err(LoadError::Output)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc::sync_channel};

    use gauntlet_core::evidence::{Class, Frame, Operation, Request};

    use super::{CHUNK_ROWS, Rows, Tally, write_frames};
    use crate::codec::Decoder;

    fn row(intended_us: u64, value: &str) -> Request {
        Request {
            intended_us,
            sent_us: 0,
            done_us: 0,
            step: 0,
            arm: String::new(),
            status: 200,
            class: Class::Ok,
            bytes: 0,
            operation: Operation::None,
            key: String::new(),
            value: value.into(),
        }
    }

    #[test]
    fn a_full_queue_costs_rows_that_are_counted_and_does_not_wait() {
        let (sender, receiver) = sync_channel(1);
        let tally = Arc::<Tally>::default();
        let rows = Rows::new(sender, Arc::clone(&tally));
        (0..CHUNK_ROWS as u64 * 3 + 7).for_each(|n| rows.push(row(n, "")));
        rows.flush();
        assert_eq!(tally.counts(0).rows_refused, CHUNK_ROWS as u64 * 2 + 7);
        drop(rows);
        let mut written = Vec::new();
        write_frames(&mut written, receiver).unwrap();
        let mut decoder = Decoder::default();
        decoder.push(&written);
        let Ok(Some(Frame::Rows(first))) = decoder.next() else { panic!() };
        assert!(first.iter().zip(0..).all(|(row, n)| row.intended_us == n) && first.len() == CHUNK_ROWS);
        assert_eq!(decoder.next(), Ok(None));
    }

    #[test]
    fn long_values_make_short_chunks() {
        let (sender, receiver) = sync_channel(100);
        let rows = Rows::new(sender, Arc::default());
        let long = "x".repeat(1 << 20);
        (0..10).for_each(|n| rows.push(row(n, &long)));
        rows.flush();
        drop(rows);
        let sizes: Vec<usize> = receiver
            .into_iter()
            .map(|frame| if let Frame::Rows(rows) = frame { rows.len() } else { 0 })
            .collect();
        assert_eq!(sizes, [4, 4, 2]);
    }

    #[test]
    fn the_cap_holds_and_places_come_back() {
        let tally = Arc::<Tally>::default();
        let first = tally.enter(2).unwrap();
        let _second = tally.enter(2).unwrap();
        assert!(tally.enter(2).is_none());
        drop(first);
        assert!(tally.enter(2).is_some());
        assert_eq!(tally.counts(2).in_flight_peak, 2);
    }
}
