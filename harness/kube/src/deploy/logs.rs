//! Logs of containers, kept without secrets.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    time::Duration,
};

use gauntlet_core::{port::Trouble, secrets::Secrets};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, api::LogParams};

use crate::api::told::within;

/// How long one log may take.
const LOGGED_WITHIN: Duration = Duration::from_secs(10);
/// Of a log, at most this much is kept.
const LOG_LIMIT: i64 = 16 << 20;

/// The log of a container, or of its life before; none while it has none.
pub(crate) async fn log(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    previous: bool,
    tail: Option<i64>,
) -> Result<Option<String>, Trouble> {
    let params = LogParams {
        container: Some(container.to_owned()),
        limit_bytes: tail.is_none().then_some(LOG_LIMIT),
        previous,
        tail_lines: tail,
        ..LogParams::default()
    };
    // A container that waits for its image has none.
    let none =
        |error: &kube::Error| matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 404));
    let read = async {
        match pods.logs(pod, &params).await {
            Err(error) if none(&error) => Ok(None),
            other => other.map(Some),
        }
    };
    within(LOGGED_WITHIN, format!("read the log of {pod}"), read).await
}

/// Writes a text without secrets, whole or not at all.
pub(crate) fn write(file: &Path, text: &str, secrets: &Secrets) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut to = BufWriter::new(File::create(&new)?);
    secrets.copy(&mut text.as_bytes(), &mut to)?;
    to.flush()?;
    fs::rename(new, file)
}

/// Every value of Secrets, as `SECRET/KEY`: as it is, without blanks around it, and as manifests show it.
pub(crate) fn values(secrets: &[Secret]) -> Secrets {
    let mut values = BTreeMap::new();
    for secret in secrets {
        let name = secret.metadata.name.as_deref().unwrap_or("?");
        for (key, value) in secret.data.iter().flatten() {
            if let Ok(serde_json::Value::String(encoded)) = serde_json::to_value(value) {
                values.insert(format!("{name}/{key}, encoded"), encoded);
            }
            if let Ok(text) = str::from_utf8(&value.0) {
                values.insert(format!("{name}/{key}"), text.to_owned());
                values.insert(format!("{name}/{key}, trimmed"), text.trim().to_owned());
            }
        }
    }
    Secrets::new(values)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::{values, write};

    #[test]
    fn every_value_of_every_secret_is_hidden_in_what_is_written() {
        let secret: Secret =
            serde_json::from_value(json!({ "metadata": { "name": "keys" }, "data": { "pass": "czNjcjN0" } }))
                .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        write(&file, "url u://s3cr3t@h, encoded czNjcjN0\n", &values(&[secret])).unwrap();
        let kept = std::fs::read_to_string(file).unwrap();
        assert_eq!(kept, "url u://[secret:keys/pass]@h, encoded [secret:keys/pass, encoded]\n");
    }
}
