//! What ends the load process badly.

use std::io;

use gauntlet_core::{name::Name, system::template::NotATemplate};

use crate::codec::CodecError;

/// Why the load process could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Standard input gave no job.
    #[error("the job could not be read")]
    Input(#[source] io::Error),
    /// The first line is no job.
    #[error("the first line of the input is no load job")]
    NotAJob(#[source] serde_json::Error),
    /// The plan cannot be run.
    #[error("the load plan cannot be run")]
    Plan(#[from] PlanError),
    /// The address of the service is not known.
    #[error("{authority} is no address that requests can go to")]
    Address {
        /// What the job said.
        authority: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The operating system refused something that the generator needs.
    #[error("the generator could not get a {what}")]
    Resource {
        /// What was asked for.
        what: &'static str,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// Frames could not be written.
    #[error("the reader of the frames is gone")]
    Output(#[source] io::Error),
    /// A frame could not be made.
    #[error("a frame could not be made")]
    Frame(#[from] CodecError),
    /// A thread of the generator panicked.
    #[error("a generator thread ended by a panic")]
    Panicked,
}

/// A plan that cannot be run: where, and why.
#[derive(Debug, thiserror::Error)]
#[error("{place} is wrong")]
pub struct PlanError {
    /// Where in the plan.
    pub place: String,
    /// What is wrong there.
    #[source]
    pub fault: PlanFault,
}

/// What is wrong with a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFault {
    /// A template does not parse.
    #[error("not a template")]
    Template(#[from] NotATemplate),
    /// An expression names what is not known at that place.
    #[error("`{{{{{0}}}}}` is not known here")]
    Unknown(String),
    /// A data set was not handed over.
    #[error("the data set `{0}` is missing")]
    NoData(Name),
    /// A data set has no items.
    #[error("the data set `{0}` is empty")]
    EmptyData(Name),
    /// An item of a data set lacks a field.
    #[error("item {item} of the data set `{data}` has nothing at {pointer:?}")]
    NoField {
        /// The data set.
        data: Name,
        /// The item's place, from 0.
        item: usize,
        /// What was looked for.
        pointer: String,
    },
    /// Steps fill one pool with different fields.
    #[error("the pool `{0}` is filled with different fields")]
    MixedPool(Name),
    /// A path does not begin with a slash.
    #[error("{0:?} is no path: it does not begin with `/`")]
    NotAPath(String),
    /// A header that cannot be sent, or that the generator sets itself.
    #[error("{0:?} is no header that a request may set")]
    NotAHeader(String),
    /// A bound without a distance, or the other way round.
    #[error("`near` and `within` go together")]
    NearWithin,
    /// Something that must be a number is none.
    #[error("{0} is no number")]
    NotANumber(String),
    /// A rate that is negative or endless.
    #[error("{0} is no rate")]
    NotARate(f64),
    /// A behaviour or step that the plan does not hold.
    #[error("the plan has no behaviour or step {0}")]
    NoSuch(usize),
    /// Shares that are negative, or sum to nothing.
    #[error("the shares of the mix are no shares")]
    NotAMix,
}

impl LoadError {
    /// The error and all that caused it, in one line.
    pub fn chain(&self) -> String {
        let mut told = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            told.push_str(": ");
            told.push_str(&error.to_string());
            cause = error.source();
        }
        told
    }
}

impl PlanFault {
    /// Says where it is.
    pub(crate) fn at(self, place: impl Into<String>) -> PlanError {
        PlanError { place: place.into(), fault: self }
    }
}

#[cfg(test)]
mod tests {
    use super::{LoadError, PlanFault};

    #[test]
    fn a_failure_is_told_in_one_line_with_its_place_and_cause() {
        let error = LoadError::from(PlanFault::Unknown("captured/id".into()).at("step 2 (look-up), path"));
        let told = "the load plan cannot be run: step 2 (look-up), path is wrong: `{{captured/id}}` is not known here";
        assert_eq!(error.chain(), told);
    }
}
