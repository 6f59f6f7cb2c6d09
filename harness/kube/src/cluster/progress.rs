//! Progress as a person reads it: a line for every stage.

use std::{future::Future, time::Instant};

use gauntlet_core::port::Trouble;

/// Where progress goes, a line at a time.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);

/// One stage: its name, what came of it, and how long it took, in one line.
pub(crate) async fn stage<T>(
    say: Say<'_>,
    name: &str,
    work: impl Future<Output = Result<(String, T), Trouble>>,
) -> Result<T, Trouble> {
    let began = Instant::now();
    let (note, done) = work.await?;
    say(format!("{name:<16} {note:<56} {:>6.1} s", began.elapsed().as_secs_f64()));
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::stage;

    #[tokio::test]
    async fn a_stage_is_one_line() {
        let said = Mutex::new(vec![]);
        let say = |line| said.lock().unwrap().push(line);
        stage(&say, "load", async { Ok(("2 images".to_owned(), ())) }).await.unwrap();
        let lines = said.into_inner().unwrap();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].starts_with("load             2 images") && lines[0].ends_with("0.0 s"),
            "{lines:?}"
        );
    }
}
