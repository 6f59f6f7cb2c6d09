//! Whether a replica answers its readiness check. The target asks by itself, to pace a roll out; what it hears proves
//! nothing to a run, for that is the witness' part.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use gauntlet_core::{name::Name, system::Ready};

use crate::layout::{Layout, Replica};

/// What takes longer is no answer.
const LIMIT: Duration = Duration::from_millis(250);

/// One round trip.
pub(super) fn answers(layout: &Layout, replica: &Replica, ready: &Ready) -> bool {
    let asked = match ready {
        Ready::Http { port, path, status } => http(layout, replica, port, path, *status),
        Ready::Tcp { port, send, answer } => tcp(layout, replica, port, send, answer),
        // That it is accepted is all that can be said without a session.
        Ready::Postgres { port, .. } => connect(layout, replica, port).map(|_| true),
    };
    asked.unwrap_or(false)
}

fn connect(layout: &Layout, replica: &Replica, port: &Name) -> io::Result<TcpStream> {
    let number = replica.ports.get(port).ok_or(io::ErrorKind::NotFound)?;
    let host = layout.host.parse().map_err(io::Error::other)?;
    let stream = TcpStream::connect_timeout(&SocketAddr::new(host, *number), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn http(layout: &Layout, replica: &Replica, port: &Name, path: &str, status: u16) -> io::Result<bool> {
    let ask = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", layout.host);
    let head = said(connect(layout, replica, port)?, &ask, "HTTP/1.1 200".len())?;
    let head = String::from_utf8_lossy(&head);
    Ok(head.split(' ').nth(1).is_some_and(|word| word == status.to_string()))
}

fn tcp(layout: &Layout, replica: &Replica, port: &Name, send: &str, answer: &str) -> io::Result<bool> {
    let heard = said(connect(layout, replica, port)?, send, answer.len())?;
    Ok(heard == answer.as_bytes())
}

/// What it says first, so many bytes at most.
fn said(mut stream: TcpStream, ask: &str, length: usize) -> io::Result<Vec<u8>> {
    stream.write_all(ask.as_bytes())?;
    let mut heard = Vec::with_capacity(length);
    stream.take(length as u64).read_to_end(&mut heard)?;
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io::{Read, Write},
        net::TcpListener,
    };

    use gauntlet_core::system::Ready;

    use super::answers;
    use crate::layout::{Layout, Replica};

    /// What is heard of a server that says this to whoever asks.
    fn heard(says: &'static str, ready: serde_json::Value) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(says.as_bytes());
        });
        let (component, http) = ("web".parse().unwrap(), "http".parse().unwrap());
        let replica = Replica { component, index: 1, ports: BTreeMap::from([(http, port)]) };
        let layout = Layout {
            run: String::new(),
            private: "/".into(),
            root: "/".into(),
            host: "127.0.0.1".into(),
            replicas: vec![],
        };
        let ready: Ready = serde_json::from_value(ready).unwrap();
        answers(&layout, &replica, &ready)
    }

    #[test]
    fn an_answer_counts_when_it_is_the_one_that_the_system_file_names() {
        let http = || serde_json::json!({ "http": { "port": "http", "path": "/" } });
        assert!(heard("HTTP/1.1 200 OK\r\n\r\n", http()));
        assert!(!heard("HTTP/1.1 503 Service Unavailable\r\n\r\n", http()));
        assert!(!heard("", http()));
        let tcp = || serde_json::json!({ "tcp": { "port": "http", "send": "PING", "answer": "+PONG" } });
        assert!(heard("+PONG\r\n", tcp()));
        assert!(!heard("-ERR\r\n", tcp()));
    }
}
