//! The users' way: the round trip of readiness from here, over the address that users take, and who answered it. Where the
//! answer names its replica, it must be one of this deployment: there is one address in a system file, and whoever attaches
//! to another namespace would load a stranger.

use gauntlet_core::{
    port::Trouble,
    proof::Query,
    system::{Audit, Component, Expr, Piece, Ready},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use tokio::{net::TcpStream, time::timeout};

use super::{
    ANSWERS_WITHIN, KubeWitness,
    http::{self, Got},
    ready::{SILENT_AFTER, in_a_word, over_tcp},
};
use crate::api::told::within;

/// A key that nobody wrote: the audit's question about it finds nothing and changes nothing.
const NOBODY: &str = "who-answers";
const READY: &str = "ready";

impl KubeWitness {
    /// `ready`, or what came instead. A way that leads to another deployment is refused: waiting mends nothing.
    pub(super) async fn way(
        &self,
        ask: &Query,
        component: &Component,
        endpoint: &str,
    ) -> Result<String, Trouble> {
        let header = self.system.arm_header.as_deref();
        let (reading, arm) = by_the_way(&component.ready, endpoint, header).await;
        let Some(header) = header.filter(|_| reading == READY) else { return Ok(reading) };
        let arm = match arm {
            Some(arm) => Some(arm),
            // An ingress may answer for its own health.
            None => match self.system.audit.as_ref().and_then(question) {
                Some(path) => asked(endpoint, &path).await.ok().and_then(|got| arm_of(got.as_ref(), header)),
                None => None,
            },
        };
        match arm {
            Some(arm) if !self.is_own(&arm, header).await? => {
                Err(Trouble::refused(ask, self.strange(&arm, endpoint).await))
            }
            _ => Ok(reading),
        }
    }

    /// Whether a pod of the namespace is called so, or calls itself so: what the header names may be a version.
    async fn is_own(&self, arm: &str, header: &str) -> Result<bool, Trouble> {
        if self.pods.has(arm).await? {
            return Ok(true);
        }
        for (name, component) in &self.system.components {
            for replica in self.pods.replicas(name).await? {
                if self.access(name, component, &replica).arm(header).await.as_deref() == Some(arm) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn strange(&self, arm: &str, endpoint: &str) -> String {
        let who = match self.home(arm).await {
            Some(namespace) => format!("{namespace}/{arm}"),
            None => arm.chars().take(100).collect(),
        };
        format!(
            "answered by {who}, not a pod of {}: {endpoint} leads to another deployment; name the address of this one \
             with --endpoint, or as `kube.endpoint` of the system file",
            self.site.namespace
        )
    }

    /// The namespace of a pod of that name, where the account may look.
    async fn home(&self, pod: &str) -> Option<String> {
        if !pod.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
            return None;
        }
        let everywhere: Api<Pod> = Api::all(self.client.clone());
        let named = ListParams::default().fields(&format!("metadata.name={pod}"));
        let found = within(ANSWERS_WITHIN, "find who answered", everywhere.list(&named)).await.ok()?;
        found.items.into_iter().next()?.metadata.namespace
    }
}

/// What a replica is asked, asked from here; with it who answered, as far as the answer says.
async fn by_the_way(ready: &Ready, endpoint: &str, header: Option<&str>) -> (String, Option<String>) {
    let reading = match ready {
        Ready::Http { path, status, .. } => match asked(endpoint, path).await {
            Ok(got) => {
                let arm = header.and_then(|header| arm_of(got.as_ref(), header));
                return (in_a_word(got.as_ref(), *status), arm);
            }
            Err(why) => why,
        },
        Ready::Tcp { send, answer, .. } => match connected(endpoint).await {
            Ok(connection) => timeout(SILENT_AFTER, over_tcp(connection, send, answer))
                .await
                .unwrap_or_else(|_| "silent".to_owned()),
            Err(why) => why,
        },
        // That it is accepted is all that can be said without a session.
        Ready::Postgres { .. } => connected(endpoint).await.map_or_else(|why| why, |_| READY.to_owned()),
    };
    (reading, None)
}

/// A GET from here; nothing: no answer in time.
async fn asked(endpoint: &str, path: &str) -> Result<Option<Got>, String> {
    let connection = connected(endpoint).await?;
    Ok(timeout(SILENT_AFTER, http::get(connection, path)).await.ok())
}

async fn connected(endpoint: &str) -> Result<TcpStream, String> {
    match timeout(SILENT_AFTER, TcpStream::connect(endpoint)).await {
        Err(_) => Err("silent".to_owned()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err("refused".to_owned()),
        Ok(Err(error)) => Err(format!("broken: {error}")),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// Who answered, as the answer says.
pub(super) fn arm_of(got: Option<&Got>, header: &str) -> Option<String> {
    let Some(Got::Answer { headers, .. }) = got else { return None };
    Some(String::from_utf8_lossy(headers.get(header)?.as_bytes()).into_owned())
}

/// The path of the audit's question about a key that nobody wrote; none where it wants more than a key.
fn question(audit: &Audit) -> Option<String> {
    let pieces = audit.path.pieces().iter().map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Value(Expr::Key) => Some(NOBODY),
        Piece::Value(_) => None,
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use gauntlet_core::system::{Audit, Ready};
    use serde_json::{from_value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{by_the_way, question};

    /// Answers one question, and where.
    async fn answers(text: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(text.as_bytes()).await;
        });
        at
    }

    async fn seen(answer: &'static str, header: Option<&str>) -> (String, Option<String>) {
        let ready: Ready = from_value(json!({ "http": { "port": "http", "path": "/health" } })).unwrap();
        by_the_way(&ready, &answers(answer).await, header).await
    }

    #[tokio::test]
    async fn an_answer_says_who_gave_it_where_a_header_is_declared() {
        let named = "HTTP/1.1 200 OK\r\nX-Replica: web-1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(seen(named, Some("x-replica")).await, ("ready".into(), Some("web-1".into())));
        assert_eq!(seen(named, None).await, ("ready".into(), None));
        let bare = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(seen(bare, Some("x-replica")).await, ("ready".into(), None));
        let busy = "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(seen(busy, Some("x-replica")).await.0, "status 503");
    }

    #[test]
    fn the_audit_asks_for_a_key_that_nobody_wrote() {
        let path = |path: &str| {
            let audit = json!({ "path": path, "found": { "list": "/items", "value": "/note" } });
            question(&from_value::<Audit>(audit).unwrap())
        };
        assert_eq!(path("/items?name={{key}}").unwrap(), "/items?name=who-answers");
        assert_eq!(path("/items/{{uuid}}?name={{key}}"), None);
    }
}
