//! What a container of the tools does while nobody asks it anything.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// What makes the `gauntlet` binary the container that idles.
pub const WORD: &str = "__idle";

/// Waits until it is told to end, and ends at once.
pub async fn run() -> io::Result<()> {
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}
