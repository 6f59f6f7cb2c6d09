//! The canary's judge graded on simulated streams: false alarms, power and time to detect, beside Kayenta's judge.
//!
//! `cargo run --release -p gauntlet-core --example evaluate_canary [FOLDER] [TABLE]` prints Markdown tables, or one of
//! them by its number from 1; with a folder it writes `canary.tsv` there, one row a kind of stream. Everything is
//! seeded: the same numbers every time. Fails where more false alarms came than are promised.

mod draw;
mod kayenta;
mod streams;
mod tables;
mod trial;

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut rows = vec![tables::HEAD.to_owned()];
    let only: Option<usize> = std::env::args().nth(2).and_then(|number| number.parse().ok());
    for (_, table) in (1..).zip(tables::ALL).filter(|(number, _)| only.is_none_or(|only| only == *number)) {
        writeln!(out, "{}", table(&mut rows))?;
        out.flush()?;
    }
    if let Some(folder) = std::env::args().nth(1) {
        fs::write(Path::new(&folder).join("canary.tsv"), rows.join("\n") + "\n")?;
    }
    match tables::broken(&rows).as_slice() {
        [] => Ok(()),
        broken => Err(io::Error::other(format!("more false alarms than promised: {}", broken.join("; ")))),
    }
}
