//! What goes wrong with backups, as an outcome; and the runtime on which they are made.

use std::future::Future;

use gauntlet_backup::{Error, Refusal};
use gauntlet_core::outcome::Outcome;

use crate::cli::{cluster::told_to_stop, complain};

/// Why a command ended without success.
pub(in crate::cli) enum Trouble {
    /// A mistake in the command.
    Mistake(String),
    /// It could not be done.
    Failed(Error),
}

/// What a command answers.
pub(in crate::cli) type Answer = Result<Outcome, Trouble>;

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Trouble {
    /// A mistake in the command.
    pub(in crate::cli) fn mistake(text: impl ToString) -> Self {
        Self::Mistake(text.to_string())
    }

    /// Tells it; what it means.
    pub(in crate::cli) fn told(self) -> Outcome {
        match self {
            Self::Mistake(text) => {
                complain(format!("error: {text}"));
                Outcome::BadScenario
            }
            Self::Failed(Error::Refused(refusals)) => refused(&refusals),
            Self::Failed(error) => {
                complain(format!("error: {error}"));
                if matches!(error, Error::NotEmpty { .. }) {
                    Outcome::BadScenario
                } else {
                    Outcome::SetupFailed
                }
            }
        }
    }
}

/// Tells every reason. Where nothing could be read, nothing is known of the set.
pub(in crate::cli) fn refused(refusals: &[Refusal]) -> Outcome {
    for refusal in refusals {
        let (name, text) = (refusal.name(), refusal.to_string());
        let text = text.strip_prefix(&format!("{}: ", name.replace('-', " "))).unwrap_or(&text);
        complain(format!("refused: {name}: {text}"));
        complain(format!("  {}", refusal.mend()));
    }
    verdict(refusals)
}

/// What refusals mean.
pub(in crate::cli) fn verdict(refusals: &[Refusal]) -> Outcome {
    let unknown = refusals.iter().all(|refusal| matches!(refusal, Refusal::Unreadable { .. }));
    match (refusals.is_empty(), unknown) {
        (true, _) => Outcome::Passed,
        (_, true) => Outcome::Inconclusive,
        _ => Outcome::Failed,
    }
}

/// Does it on a runtime of its own. Ctrl-C or SIGTERM end it, with what it started, and mean this.
pub(in crate::cli) fn blocking(stopped: (Outcome, &str), work: impl Future<Output = Answer>) -> Outcome {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format!("error: no runtime: {error}"));
            return Outcome::Broken;
        }
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => done,
            told = told_to_stop() => {
                complain(stopped.1);
                told.map(|()| stopped.0).map_err(|error| Trouble::Failed(Error::at("signals", error, "run it again")))
            }
        }
    });
    // Who was told to stop does not wait for a thread that reads a large part to its end.
    runtime.shutdown_background();
    done.unwrap_or_else(Trouble::told)
}

#[cfg(test)]
mod tests {
    use gauntlet_backup::Refusal;
    use gauntlet_core::outcome::Outcome;

    use super::verdict;

    #[test]
    fn what_could_not_be_read_is_no_verdict() {
        let unreadable =
            Refusal::Unreadable { place: "pg_restore".into(), why: "not on this machine".into() };
        let flipped = Refusal::Flipped { part: "database.dump".into() };
        assert_eq!(verdict(&[]), Outcome::Passed);
        assert_eq!(verdict(std::slice::from_ref(&unreadable)), Outcome::Inconclusive);
        assert_eq!(verdict(&[unreadable, flipped]), Outcome::Failed);
    }
}
