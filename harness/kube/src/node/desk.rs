//! The far end of a line: one JSON question a line on standard input, one JSON answer a line on standard output. It says
//! nothing of acting or seeing, so both parts use it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::fd::AsFd,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use serde::{Serialize, de::DeserializeOwned};

/// A connection that broke without a word leaves its process waiting: it ends by itself after this.
const SILENCE: Duration = Duration::from_secs(300);
/// A longer question is none of ours.
const LONGEST: u64 = 256 * 1024;

/// What goes back when there is no answer.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

/// Answers what standard input asks until it ends or is silent for too long.
pub(crate) fn serve<Q: DeserializeOwned, A: Serialize>(
    answer: impl FnMut(Q) -> Result<A, String>,
) -> io::Result<()> {
    let stdin = io::stdin();
    let quiet = Quiet { input: stdin.lock(), limit: SILENCE };
    answer_all(BufReader::new(quiet), io::stdout().lock(), answer)
}

fn answer_all<Q: DeserializeOwned, A: Serialize>(
    mut questions: impl BufRead,
    mut answers: impl Write,
    mut answer: impl FnMut(Q) -> Result<A, String>,
) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        let read = questions.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.pop() != Some(b'\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a question has no end"));
        }
        let answered = match serde_json::from_slice(&line) {
            Ok(question) => answer(question),
            Err(error) => Err(format!("no question: {error}")),
        };
        let mut text = match answered {
            Ok(answer) => serde_json::to_vec(&answer)?,
            Err(error) => serde_json::to_vec(&Refusal { error: &error })?,
        };
        text.push(b'\n');
        answers.write_all(&text)?;
        answers.flush()?;
    }
}

// Input that counts as ended once nothing came for a while.
struct Quiet<R> {
    input: R,
    limit: Duration,
}

impl<R: Read + AsFd> Read for Quiet<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = Timespec { tv_sec: self.limit.as_secs().cast_signed(), tv_nsec: 0 };
        let ready = loop {
            let mut inputs = [PollFd::new(&self.input, PollFlags::IN)];
            match poll(&mut inputs, Some(&limit)) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        if ready == 0 { Ok(0) } else { self.input.read(buffer) }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::fd::OwnedFd, time::Duration};

    use super::{LONGEST, Quiet, answer_all};

    fn asked(questions: &[u8]) -> (std::io::Result<()>, String) {
        let mut answers = vec![];
        let twice = |number: u32| if number == 0 { Err("nothing".to_owned()) } else { Ok(number * 2) };
        let ended = answer_all(questions, &mut answers, twice);
        (ended, String::from_utf8(answers).unwrap())
    }

    #[test]
    fn every_question_has_one_answer() {
        let (ended, answers) = asked(b"1\n0\nx\n3\n");
        ended.unwrap();
        let lines: Vec<_> = answers.lines().collect();
        assert_eq!((lines[0], lines[1], lines[3]), ("2", r#"{"error":"nothing"}"#, "6"));
        assert!(lines[2].starts_with(r#"{"error":"no question: "#), "{answers}");
    }

    #[test]
    fn a_question_that_never_ends_ends_the_line() {
        let endless = vec![b'1'; usize::try_from(LONGEST).unwrap() + 1];
        assert_eq!(asked(&endless).0.unwrap_err().to_string(), "a question has no end");
        assert_eq!(asked(b"1").0.unwrap_err().to_string(), "a question has no end");
    }

    #[test]
    fn silence_ends_the_line() {
        let (far, near): (OwnedFd, OwnedFd) = rustix::pipe::pipe().unwrap();
        let mut quiet = Quiet { input: File::from(far), limit: Duration::ZERO };
        assert_eq!(quiet.read(&mut [0; 8]).unwrap(), 0);
        rustix::io::write(&near, b"1\n").unwrap();
        assert_eq!(quiet.read(&mut [0; 8]).unwrap(), 2);
    }
}
