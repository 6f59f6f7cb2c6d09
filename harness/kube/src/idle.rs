//! What a container of the tools does while nobody asks it anything.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

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
