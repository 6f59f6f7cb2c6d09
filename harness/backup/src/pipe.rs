//! Programs joined to parts. Parts are blocking streams on threads of their own; a pipe in memory of some pages lies between.

use std::io::{self, Read, Write};

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
};

/// Bytes of the pipe.
const PIPE: usize = 4 * CHUNK;

/// A part that is being written elsewhere.
pub(crate) struct Filling {
    /// Where its content is written to.
    pub(crate) pipe: DuplexStream,
    done: JoinHandle<io::Result<Part>>,
}

impl Filling {
    pub(crate) fn start(mut writer: PartWriter) -> Self {
        let (pipe, from) = duplex(PIPE);
        let from = SyncIoBridge::new(from);
        let done = spawn_blocking(move || {
            copy(from, &mut writer)?;
            writer.finish()
        });
        Self { pipe, done }
    }

    /// The end of its content.
    pub(crate) async fn finish(mut self) -> io::Result<Part> {
        // A writer that failed has hung up; its own error says more than the broken pipe.
        let _ = self.pipe.shutdown().await;
        drop(self.pipe);
        self.done.await.map_err(io::Error::other)?
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

/// Runs a call whose output becomes a part. The file's error goes first: a full disk also breaks the program's pipe.
pub(crate) async fn fill(programs: &dyn Programs, call: &Call, writer: PartWriter) -> Result<Part, Error> {
    let mut filling = Filling::start(writer);
    let ended = programs.run(call, None, Some(&mut filling.pipe)).await;
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
    let mut draining = Draining::start(reader);
    let ended = programs.run(call, Some(&mut draining.pipe), Some(output)).await;
    let drained = draining.finish().await;
    let ended = ended?;
    drained.map_err(|why| {
        Error::at(&call.program, format!("its input: {why}"), "verify the set; it changed while it was read")
    })?;
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
