//! The probe: opens TCP connections from where it stands, inside a pod, and says which of them were answered. Policies
//! apply to it as they do to the pod. It is asked over a line; nothing is sent over what it opens.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::node::desk;

/// What makes the `gauntlet` binary a probe.
pub const WORD: &str = "__probe";
/// Longer than the first SYN that is lost and the second.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// Names included.
const ANSWERED_WITHIN: Duration = Duration::from_millis(2_500);
const SILENT: &str = "silent";

/// What a probe is asked: whether these answer (`HOST:PORT`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Where to.
    pub to: Vec<String>,
}

/// What a probe saw, in the order of the question: `open`, `refused`, `silent`, `unreachable`, or `unknown` (the name has
/// no address).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// One for each destination.
    pub seen: Vec<String>,
}

/// Plays the probe on standard input and output until the line is closed.
pub fn run() -> io::Result<()> {
    desk::serve(|question: Question| Ok::<Seen, String>(look(&question.to)))
}

fn look(to: &[String]) -> Seen {
    let until = Instant::now() + ANSWERED_WITHIN;
    let (tell, told) = channel();
    for (index, to) in to.iter().enumerate() {
        let (tell, to) = (tell.clone(), to.clone());
        // Whoever asks for a name may be kept waiting longer than anybody listens.
        thread::spawn(move || tell.send((index, opened(&to))));
    }
    drop(tell);
    let mut seen = vec![SILENT.to_owned(); to.len()];
    loop {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((index, word)) => seen[index] = word.to_owned(),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Seen { seen },
        }
    }
}

fn opened(to: &str) -> &'static str {
    let Ok(addresses) = to.to_socket_addrs() else { return "unknown" };
    let mut last = "unknown";
    for address in addresses {
        last = match TcpStream::connect_timeout(&address, SILENT_AFTER) {
            Ok(_) => return "open",
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => "refused",
                io::ErrorKind::TimedOut => SILENT,
                _ => "unreachable",
            },
        };
    }
    last
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::look;

    #[test]
    fn what_listens_is_open_and_what_does_not_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().to_string();
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap().to_string()
        };
        let seen = look(&[open.clone(), closed, "no.such.host.invalid:1".into(), open]).seen;
        assert_eq!((seen[0].as_str(), seen[1].as_str(), seen[3].as_str()), ("open", "refused", "open"));
        assert!(["unknown", "silent"].contains(&seen[2].as_str()), "{seen:?}");
    }
}
