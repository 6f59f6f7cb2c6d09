//! The values that a system's Secret holds, so that none of them is ever shown.

use std::time::Duration;

use gauntlet_core::{port::Trouble, secrets::Secrets, system::System};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::{api::told::within, deploy::logs, run::site::Site};

/// How long the question may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// The secrets of a run, as the cluster has them now.
pub(super) async fn of(client: &Client, system: &System, site: &Site) -> Result<Secrets, Trouble> {
    let Some(asked) = system.kube.as_ref().and_then(|kube| kube.secret.as_ref()) else {
        return Ok(Secrets::default());
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &site.namespace);
    let secret = within(ANSWERED_WITHIN, "read the secrets", secrets.get_opt(&asked.name)).await?;
    Ok(logs::values(secret.as_slice()))
}
