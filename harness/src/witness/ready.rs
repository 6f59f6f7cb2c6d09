//! Readiness: one round trip, as the system file declares it.

use std::{io, time::Duration};

use gauntlet_core::system::{Component, Ready};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    address,
    http::{self, Got},
    sql::{Access, SqlError},
};
use crate::layout::{Layout, Replica};

/// No answer within this is silence.
const SILENT_AFTER: Duration = Duration::from_millis(250);

/// `ready`, `refused`, `silent`, or what came instead.
pub(super) async fn ask(layout: &Layout, component: &Component, replica: &Replica) -> String {
    let reading = timeout(SILENT_AFTER, once(layout, &component.ready, replica)).await;
    reading.unwrap_or_else(|_| "silent".to_owned())
}

async fn once(layout: &Layout, ready: &Ready, replica: &Replica) -> String {
    match ready {
        Ready::Http { port, path, status } => {
            let Some(address) = address(layout, replica, port) else { return no_port(port.as_str()) };
            over_http(&address, path, *status).await
        }
        Ready::Tcp { port, send, answer } => {
            let Some(address) = address(layout, replica, port) else { return no_port(port.as_str()) };
            over_tcp(&address, send, answer).await.unwrap_or_else(|error| broken(&error))
        }
        Ready::Postgres { port, user, password, database } => {
            let access = Access { layout, replica, port, user, password: password.as_ref(), database };
            match access.value("select 1").await {
                Ok(value) if value == "1" => "ready".to_owned(),
                Ok(value) => format!("answer {value:?}"),
                Err(SqlError::Refused) => "refused".to_owned(),
                Err(error) => error.told(),
            }
        }
    }
}

async fn over_http(address: &str, path: &str, wanted: u16) -> String {
    match http::get(address, path).await {
        Got::Refused => "refused".to_owned(),
        Got::Answer { status, .. } if status == wanted => "ready".to_owned(),
        Got::Answer { status, .. } => format!("status {status}"),
        Got::Broken(why) => format!("broken: {why}"),
    }
}

async fn over_tcp(address: &str, send: &str, wanted: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(send.as_bytes()).await?;
    let mut answer = Vec::new();
    while answer.len() < wanted.len() && wanted.as_bytes().starts_with(&answer) {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    if answer.starts_with(wanted.as_bytes()) {
        return Ok("ready".to_owned());
    }
    answer.truncate(100);
    Ok(format!("answer {:?}", String::from_utf8_lossy(&answer)))
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        _ => format!("broken: {error}"),
    }
}

fn no_port(port: &str) -> String {
    format!("the replica has no port {port:?}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::timeout,
    };

    use super::{over_http, over_tcp};

    // Waits for a question, if there should be one, and gives its answer.
    async fn server(question: bool, answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if question {
                    stream.read_buf(&mut Vec::new()).await.unwrap();
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn only_the_wanted_status_is_ready() {
        let address = server(true, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(over_http(&address, "/", 200).await, "status 503");
        assert_eq!(over_http(&address, "/", 503).await, "ready");
    }

    #[tokio::test]
    async fn another_answer_is_told() {
        let address = server(false, "-LOADING dataset\r\n").await;
        assert_eq!(over_tcp(&address, "", "+PONG").await.unwrap(), "answer \"-LOADING dataset\\r\\n\"");
        assert_eq!(over_tcp(&address, "", "-LOAD").await.unwrap(), "ready");
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        assert_eq!(over_http(&address, "/", 200).await, "refused");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_keeps_the_question_open() {
        let address = server(true, "").await;
        let asked = timeout(Duration::from_millis(30), over_tcp(&address, "PING\r\n", "+PONG")).await;
        assert!(asked.is_err());
    }
}
