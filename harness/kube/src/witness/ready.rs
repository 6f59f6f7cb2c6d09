//! Readiness: one round trip to the pod, as the system file declares it.

use std::time::Duration;

use gauntlet_core::{
    name::Name,
    system::{Component, Ready, System},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, Client};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    http::{self, Got},
    pods::Replica,
    sql::{self, Login, SqlError},
    way::arm_of,
};
use crate::{
    api::{patience::is_forbidden, told},
    run::site::Site,
    witness::forward::{Connection, connect},
};

/// No answer within this, once connected, is silence. The way through two servers takes its time.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(1);
const SECRET_WITHIN: Duration = Duration::from_secs(5);

/// The way to one replica.
pub(super) struct Access<'a> {
    pub(super) client: &'a Client,
    pub(super) site: &'a Site,
    pub(super) system: &'a System,
    pub(super) pods: Api<Pod>,
    pub(super) name: &'a Name,
    pub(super) component: &'a Component,
    pub(super) replica: &'a Replica,
}

impl Access<'_> {
    /// `ready`, `refused`, `silent`, or what came instead.
    pub(super) async fn ready(&self) -> String {
        match &self.component.ready {
            Ready::Http { port, path, status } => match self.connect(port).await {
                Ok(connection) => {
                    let got = timeout(SILENT_AFTER, http::get(connection, path)).await;
                    in_a_word(got.ok().as_ref(), *status)
                }
                Err(why) => why,
            },
            Ready::Tcp { port, send, answer } => match self.connect(port).await {
                Ok(connection) => {
                    let asked = timeout(SILENT_AFTER, over_tcp(connection, send, answer)).await;
                    asked.unwrap_or_else(|_| "silent".to_owned())
                }
                Err(why) => why,
            },
            Ready::Postgres { .. } => match timeout(SILENT_AFTER * 3, self.sql("select 1")).await {
                Ok(Ok(value)) if value == "1" => "ready".to_owned(),
                Ok(Ok(value)) => format!("answer {value:?}"),
                // Who heals may have no right to read a password: the kubelet asks the same by the pod's own probe.
                Ok(Err(SqlError::Forbidden(_))) if self.replica.ready => "ready".to_owned(),
                Ok(Err(error)) => error.told(),
                Err(_) => "silent".to_owned(),
            },
        }
    }

    /// Who answers, as the answer to the readiness check says; none where nothing is said.
    pub(super) async fn arm(&self, header: &str) -> Option<String> {
        let Ready::Http { port, path, .. } = &self.component.ready else { return None };
        let connection = self.connect(port).await.ok()?;
        let got = timeout(SILENT_AFTER, http::get(connection, path)).await;
        arm_of(got.ok().as_ref(), header)
    }

    /// One value read with SQL.
    pub(super) async fn sql(&self, statement: &str) -> Result<String, SqlError> {
        let Ready::Postgres { port, user, password, database } = &self.component.ready else {
            return Err(SqlError::Broken(format!("{} is no PostgreSQL", self.name)));
        };
        let password = match password {
            None => None,
            Some(name) => Some(self.secret(name).await?),
        };
        let connection = self.connect(port).await.map_err(SqlError::Broken)?;
        sql::value(connection, &Login { user, password, database }, statement).await
    }

    async fn connect(&self, port: &Name) -> Result<Connection, String> {
        let number = self.replica.port(port)?;
        connect(&self.pods, &self.replica.pod, number).await.map_err(|trouble| format!("broken: {trouble}"))
    }

    /// The value of a secret of the system file: in the generated Secret, the key of its name.
    async fn secret(&self, name: &Name) -> Result<Vec<u8>, SqlError> {
        let broken = |why: &str| SqlError::Broken(format!("read secret {name}: {why}"));
        let asked = self.system.kube.as_ref().and_then(|kube| kube.secret.as_ref());
        let asked = asked.ok_or_else(|| broken("the system file has no `kube.secret`"))?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.site.namespace);
        let secret = match timeout(SECRET_WITHIN, secrets.get(&asked.name)).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(error)) if is_forbidden(&error) => return Err(SqlError::Forbidden(told::told(&error))),
            Ok(Err(error)) => return Err(broken(&told::told(&error))),
            Err(_) => return Err(broken(&format!("no answer within {SECRET_WITHIN:?}"))),
        };
        let value = secret.data.and_then(|mut data| data.remove(name.as_str()));
        value.map(|value| value.0).ok_or_else(|| broken(&format!("{} has no such key", asked.name)))
    }
}

/// An answer in a word; none came in time where there is none.
pub(super) fn in_a_word(got: Option<&Got>, wanted: u16) -> String {
    match got {
        None => "silent".to_owned(),
        Some(Got::Answer { status, .. }) if *status == wanted => "ready".to_owned(),
        Some(Got::Answer { status, .. }) => format!("status {status}"),
        // The kubelet closes the connection when nobody listens in the pod.
        Some(Got::Closed) => "refused".to_owned(),
        Some(Got::Broken(why)) => format!("broken: {why}"),
    }
}

/// Sends a text; `ready` when the wanted one comes back.
pub(super) async fn over_tcp(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    send: &str,
    wanted: &str,
) -> String {
    if connection.write_all(send.as_bytes()).await.is_err() {
        return "refused".to_owned();
    }
    let mut answer = Vec::new();
    while answer.len() < wanted.len() && wanted.as_bytes().starts_with(&answer) {
        match connection.read_buf(&mut answer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    match answer.as_slice() {
        answer if answer.starts_with(wanted.as_bytes()) => "ready".to_owned(),
        [] => "refused".to_owned(),
        answer => format!("answer {:?}", String::from_utf8_lossy(&answer[..answer.len().min(100)])),
    }
}
