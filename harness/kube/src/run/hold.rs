//! Holding a run on a cluster: a Lease that is renewed while the harness lives. When it is not, the janitor takes it.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_core::port::Trouble;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        coordination::v1::{Lease, LeaseSpec},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::{
    api::patience::{ask, ask_gone, is_conflict},
    run::{
        ledger::KubeLedger,
        site::{RUN_LABEL, Site, TOOLS},
    },
};

/// The Deployment of the janitor.
const JANITOR: &str = "janitor";
/// Of two that change a lease at once one is second, and looks again.
const ROUNDS: usize = 5;

/// A run's lease.
#[derive(Clone)]
pub struct Hold {
    leases: Api<Lease>,
    ledger: KubeLedger,
    run: String,
    holder: String,
}

impl Hold {
    /// The lease of a run, held by (or to be taken by) that holder. Nothing is asked of the API server yet.
    pub fn of(client: Client, run: &str, holder: &str) -> Self {
        Self {
            leases: Api::namespaced(client.clone(), TOOLS),
            ledger: KubeLedger::new(client, run),
            run: run.to_owned(),
            holder: holder.to_owned(),
        }
    }

    /// Begins a run: makes its ledger with what is needed to heal it, then its lease. A run that no janitor watches
    /// does not begin.
    pub async fn begin(
        client: Client,
        run: &str,
        holder: &str,
        record: &str,
        lease: Duration,
    ) -> Result<Self, Trouble> {
        watched(client.clone()).await?;
        let hold = Self::of(client, run, holder);
        hold.ledger.create(record).await?;
        let made = hold.create(lease).await;
        if made.is_err() {
            hold.ledger.remove().await?;
        }
        made.map(|()| hold)
    }

    async fn create(&self, lease: Duration) -> Result<(), Trouble> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(Site::object(&self.run)),
                labels: Some(BTreeMap::from([(RUN_LABEL.to_owned(), self.run.clone())])),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.holder.clone()),
                lease_duration_seconds: i32::try_from(lease.as_secs()).ok(),
                acquire_time: Some(now()),
                renew_time: Some(now()),
                ..LeaseSpec::default()
            }),
        };
        let params = PostParams::default();
        ask(self.what("make"), || self.leases.create(&params, &lease)).await.map(|_| ())
    }

    /// A beat. `Fenced` once another holder has it, or it was removed.
    pub async fn renew(&self) -> Result<(), Trouble> {
        self.change(|spec| {
            if spec.holder_identity.as_ref() != Some(&self.holder) {
                return Err(Trouble::Fenced);
            }
            spec.renew_time = Some(now());
            Ok(())
        })
        .await
    }

    /// Takes it from whoever holds it: the old holder's next beat tells it so.
    pub async fn take(&self) -> Result<(), Trouble> {
        self.change(|spec| {
            spec.holder_identity = Some(self.holder.clone());
            spec.acquire_time = Some(now());
            spec.renew_time = Some(now());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
            Ok(())
        })
        .await
    }

    /// Ends the run: nothing of it is in force any more.
    pub async fn end(&self) -> Result<(), Trouble> {
        let name = Site::object(&self.run);
        // The ledger first: a lease without one is removed by the janitor.
        self.ledger.remove().await?;
        let params = DeleteParams::default();
        ask_gone(self.what("remove"), || self.leases.delete(&name, &params)).await
    }

    /// The lease's version: another one after each beat. None: the run has ended.
    pub async fn version(&self) -> Result<Option<String>, Trouble> {
        Ok(self.read().await?.and_then(|lease| lease.metadata.resource_version))
    }

    async fn read(&self) -> Result<Option<Lease>, Trouble> {
        let name = Site::object(&self.run);
        ask(self.what("read"), || self.leases.get_opt(&name)).await
    }

    fn what(&self, doing: &str) -> String {
        format!("{doing} the lease {TOOLS}/{}", Site::object(&self.run))
    }

    async fn change(&self, change: impl Fn(&mut LeaseSpec) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let name = Site::object(&self.run);
        for _ in 0..ROUNDS {
            let mut lease = self.read().await?.ok_or(Trouble::Fenced)?;
            change(lease.spec.get_or_insert_default())?;
            match self.leases.replace(&name, &PostParams::default(), &lease).await {
                Ok(_) => return Ok(()),
                Err(error) if is_conflict(&error) => {}
                Err(error) => {
                    return Err(Trouble::failed(self.what("renew"), crate::api::told::told(&error)));
                }
            }
        }
        Err(Trouble::failed(self.what("renew"), format!("others were faster {ROUNDS} times")))
    }
}

/// Whether a janitor is up.
async fn watched(client: Client) -> Result<(), Trouble> {
    let deployments: Api<Deployment> = Api::namespaced(client, TOOLS);
    let what = format!("find the janitor {TOOLS}/{JANITOR}");
    let janitor = ask(&what, || deployments.get_opt(JANITOR)).await?;
    let available = janitor.and_then(|janitor| janitor.status?.available_replicas).unwrap_or(0);
    if available > 0 {
        return Ok(());
    }
    Err(Trouble::failed(
        what,
        "none is up, so nobody would heal a run that dies: run `gauntlet cluster install`",
    ))
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}
