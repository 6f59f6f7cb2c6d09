//! Programs joined to parts. Parts are blocking streams on threads of their own; a pipe in memory of some pages lies between.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::io::SyncIoBridge;

use crate::{
    call::{Call, Ended, Programs},
    digest::CHUNK,
    error::Error,
    manifest::Part,
    part::{PartReader, PartWriter},
    refusal::Refusal,
};

/// Bytes of the pipe.
const PIPE: usize = 4 * CHUNK;

/// The longest end of an output that may turn out not to belong to it.
const TAIL: usize = 64;

/// A part that is being written elsewhere.
pub(crate) struct Filling {
    /// Where its content is written to.
    pub(crate) pipe: DuplexStream,
    length: Arc<AtomicU64>,
    done: JoinHandle<io::Result<Part>>,
}

impl Filling {
    pub(crate) fn start(mut writer: PartWriter) -> Self {
        let (pipe, from) = duplex(PIPE);
        let (from, length) = (SyncIoBridge::new(from), Arc::new(AtomicU64::new(u64::MAX)));
        let wanted = length.clone();
        let done = spawn_blocking(move || {
            copy_some(from, &mut writer, &wanted)?;
            writer.finish()
        });
        Self { pipe, length, done }
    }

    /// The end of its content.
    pub(crate) async fn finish(mut self) -> io::Result<Part> {
        // A writer that failed has hung up; its own error says more than the broken pipe.
        let _ = self.pipe.shutdown().await;
        drop(self.pipe);
        self.done.await.map_err(io::Error::other)?
    }
}

// How long the content is may only be known at its end, so the last bytes are held back until then.
fn copy_some(mut from: impl Read, to: &mut impl Write, length: &AtomicU64) -> io::Result<()> {
    let (mut held, mut buffer, mut written) = (Vec::new(), vec![0; CHUNK], 0_u64);
    loop {
        let read = from.read(&mut buffer)?;
        held.extend_from_slice(&buffer[..read]);
        let wanted = length.load(Ordering::Acquire).saturating_sub(written);
        let ready = if read > 0 {
            held.len().saturating_sub(TAIL)
        } else {
            usize::try_from(wanted).unwrap_or(usize::MAX).min(held.len())
        };
        to.write_all(&held[..ready])?;
        held.drain(..ready);
        written += ready as u64;
        if read == 0 {
            return to.flush();
        }
    }
}

/// A part that is being read.
pub(crate) struct Draining {
    /// Where its content comes from.
    pub(crate) pipe: DuplexStream,
    done: JoinHandle<io::Result<()>>,
}

impl Draining {
    pub(crate) fn start(mut reader: PartReader) -> Self {
        let (pipe, to) = duplex(PIPE);
        let mut to = SyncIoBridge::new(to);
        let done = spawn_blocking(move || {
            // Whoever has read enough hangs up; the rest is read all the same, for its digest.
            match copy(&mut reader, &mut to) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => copy(reader, io::sink()),
                copied => copied,
            }
        });
        Self { pipe, done }
    }

    /// Whether the content was what the manifest says.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.pipe);
        self.done.await.map_err(io::Error::other)?
    }
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return to.flush();
        }
        to.write_all(&buffer[..read])?;
    }
}

/// Runs a call whose output becomes a part.
pub(crate) async fn fill(programs: &dyn Programs, call: &Call, writer: PartWriter) -> Result<Part, Error> {
    fill_first(programs, call, writer, |_| None).await
}

/// The same, for a program that says afterwards how many bytes of its output count. The file's error goes first: a full disk also breaks
/// the program's pipe.
pub(crate) async fn fill_first(
    programs: &dyn Programs,
    call: &Call,
    writer: PartWriter,
    length: impl Fn(&Ended) -> Option<u64> + Send,
) -> Result<Part, Error> {
    let mut filling = Filling::start(writer);
    let ended = programs.run(call, None, Some(&mut filling.pipe)).await;
    if let Some(length) = ended.as_ref().ok().and_then(length) {
        filling.length.store(length, Ordering::Release);
    }
    let part = filling.finish().await.map_err(|error| unwritten(&error))?;
    call.check(&ended?)?;
    Ok(part)
}

pub(crate) fn unwritten(error: &io::Error) -> Error {
    Error::file(std::path::Path::new("the new backup set"), error)
}

/// Runs a call that reads a part, and gives what it wrote.
pub(crate) async fn feed(
    programs: &dyn Programs,
    call: &Call,
    reader: PartReader,
) -> Result<(Ended, Vec<u8>), Error> {
    let mut output = Vec::new();
    let ended = feed_into(programs, call, reader, &mut output).await?;
    Ok((ended, output))
}

/// The same, its output to somewhere.
pub(crate) async fn feed_into(
    programs: &dyn Programs,
    call: &Call,
    reader: PartReader,
    output: &mut (dyn tokio::io::AsyncWrite + Send + Unpin),
) -> Result<Ended, Error> {
    let part = reader.name.clone();
    let mut draining = Draining::start(reader);
    let ended = programs.run(call, Some(&mut draining.pipe), Some(output)).await;
    let drained = draining.finish().await;
    let ended = ended?;
    let unsound = |why: io::Error| Refusal::Unsound { part, why: why.to_string() };
    drained.map_err(|why| Error::Refused(vec![unsound(why)]))?;
    Ok(ended)
}

/// Runs a call that must succeed on a part, such as one that unpacks it.
pub(crate) async fn unpack(programs: &dyn Programs, call: &Call, reader: PartReader) -> Result<(), Error> {
    let (ended, _) = feed(programs, call, reader).await?;
    call.check(&ended)
}

/// Runs a call with a text as its input, and gives the text that it wrote.
pub(crate) async fn ask(programs: &dyn Programs, call: &Call, input: &str) -> Result<String, Error> {
    let (mut output, mut input) = (Vec::new(), input.as_bytes());
    let ended = programs.run(call, Some(&mut input), Some(&mut output)).await?;
    call.check(&ended)?;
    String::from_utf8(output)
        .map_err(|_| Error::at(&call.program, "its answer is no UTF-8", "look at what it prints"))
}

/// Copies a stream into a part.
pub(crate) async fn pour(
    from: &mut (dyn tokio::io::AsyncRead + Send + Unpin),
    writer: PartWriter,
) -> Result<Part, Error> {
    let mut filling = Filling::start(writer);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer).await;
        let read = read.map_err(|why| Error::at("the stream", why, "look at what gives it"))?;
        // A writer that hung up says why below.
        if read == 0 || filling.pipe.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    filling.finish().await.map_err(|error| unwritten(&error))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::{CHUNK, copy_some};

    #[test]
    fn what_does_not_belong_to_an_output_is_left_out() {
        let all: Vec<u8> = (0..CHUNK * 2 + 100).map(|n| n as u8).collect();
        for (length, expected) in [(u64::MAX, all.len()), (all.len() as u64 - 40, all.len() - 40)] {
            let mut to = vec![];
            copy_some(all.as_slice(), &mut to, &AtomicU64::new(length)).unwrap();
            assert_eq!(to, all[..expected]);
        }
    }
}
