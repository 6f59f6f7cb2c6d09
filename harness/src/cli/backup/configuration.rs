//! `gauntlet backup configuration`: what a system needs besides its data; always sealed.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use gauntlet_backup::{
    LocalPrograms, Made, Seal, Source,
    call::Call,
    form::configuration::{Packed, Reading, StreamKind},
};
use gauntlet_core::outcome::Outcome;

use super::{
    making::{Making, STOPPED},
    programs::{Tools, argument},
    report::directory,
    trouble::{Trouble, blocking},
};

/// Backs up configuration: a directory, a tar archive, or objects as YAML. Refused without a recipient: secrets are in it.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The directory that sets are put into.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    from: Content,
    /// Where it comes from, in words [default: the path].
    #[arg(long, value_name = "WORDS")]
    of: Option<String>,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    tools: Tools,
}

#[derive(Debug, Parser)]
#[group(required = true, multiple = false)]
struct Content {
    /// All that a directory holds.
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// A tar archive; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    tar: Option<PathBuf>,
    /// YAML documents, each an object with apiVersion, kind and metadata.name; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    yaml: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking(STOPPED, async {
            let seal = self.making.seal(true)?;
            let programs = self.tools.as_account(None)?;
            let made = self.made(&seal, &programs).await?;
            self.making.end(made).await
        })
    }

    async fn made(&self, seal: &Seal, programs: &LocalPrograms) -> Result<(Made, Duration), Trouble> {
        let of = |path: &Path| self.of.clone().unwrap_or_else(|| path.display().to_string());
        if let Some(dir) = &self.from.files {
            let dir = &directory(dir)?;
            let call = Call::new("tar", ["-C", &argument(dir)?, "-cf", "-", "."]);
            let packed = Packed { of: of(dir), kind: StreamKind::Tar, call };
            return self.making.make(Source::Packed(packed), &self.into, seal, programs).await;
        }
        let (path, kind) = match (&self.from.tar, &self.from.yaml) {
            (Some(tar), _) => (tar, StreamKind::Tar),
            (None, Some(yaml)) => (yaml, StreamKind::Yaml),
            (None, None) => return Err(Trouble::mistake("say --files, --tar or --yaml")),
        };
        let reading = Reading { of: of(path), kind, content: open(path)? };
        self.making.make(Source::Reading(reading), &self.into, seal, programs).await
    }
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, Trouble> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = File::open(path).map_err(|error| Trouble::mistake(format!("{}: {error}", path.display())))?;
    Ok(Box::new(file))
}
