//! The API server.
//!
//! - [`client`]: how it is reached; [`documents`]: objects are read from manifests
//! - [`apply`]: objects are put into a cluster and taken out; [`wait`]: rollouts are awaited; `watch`: what is watched for ever
//! - `patience`, `retry`: one question, asked again while the server is away; `told`: errors as a person reads them
//! - `events`: what controllers say of a namespace

pub mod apply;
pub mod client;
pub mod documents;
pub(crate) mod events;
pub(crate) mod patience;
pub(crate) mod retry;
pub(crate) mod told;
pub mod wait;
pub(crate) mod watch;
