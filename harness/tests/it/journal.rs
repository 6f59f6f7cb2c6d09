//! The journal: what is written is read back, what is damaged is refused, what failed is told.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use gauntlet::{
    journal::{EVENTS, Journal, JournalError, METRICS, REQUESTS, Recorded},
    report::{FORMATS, Story},
};
use gauntlet_core::evidence::{Event, Evidence, What};
use proptest::prelude::*;

use crate::synthetic::Run;

fn began(run: &Run) -> &Event {
    run.events.first().unwrap()
}

fn written() -> (Run, tempfile::TempDir) {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    run.write(dir.path()).unwrap();
    (run, dir)
}

fn segment(dir: &Path, number: usize) -> std::path::PathBuf {
    dir.join(REQUESTS).join(format!("{number:05}.parquet"))
}

/// Asks again and again until the thread that writes the table has told its failure.
fn failure(journal: &Journal, run: &Run) -> JournalError {
    journal.rows(run.rows.clone()).unwrap();
    journal.close().unwrap_err()
}

#[test]
fn what_is_written_is_read_back() {
    let (mut run, dir) = written();
    let recorded = Recorded::open(dir.path()).unwrap();
    assert!(recorded.events() == run.events, "the events differ");
    assert!(recorded.samples() == run.samples, "the samples differ");
    run.rows.sort_by_key(|row| row.intended_us);
    let by_content = |rows: &[gauntlet_core::evidence::Request]| {
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| (a.intended_us, a.done_us, &a.key).cmp(&(b.intended_us, b.done_us, &b.key)));
        rows
    };
    assert!(by_content(recorded.requests()) == by_content(&run.rows), "the rows differ");
    assert!(recorded.torn.is_empty(), "{:?}", recorded.torn);
}

#[test]
fn evidence_comes_as_events_then_samples_then_requests_by_intended_start() {
    let (_, dir) = written();
    let recorded = Recorded::open(dir.path()).unwrap();
    let order: Vec<(u8, u64)> = recorded
        .evidence()
        .map(|evidence| match evidence {
            Evidence::Event(event) => (0, event.at_us),
            Evidence::Metric(sample) => (1, sample.at_us),
            Evidence::Request(row) => (2, row.intended_us),
        })
        .collect();
    assert!(order.is_sorted());
    assert_eq!(order.len(), recorded.events().len() + recorded.samples().len() + recorded.requests().len());
}

#[test]
fn a_second_journal_in_the_same_directory_is_refused() {
    let (_, dir) = written();
    let error = Journal::create(dir.path()).unwrap_err();
    assert!(matches!(error, JournalError::Exists { .. }), "{error:?}");
}

#[test]
fn another_format_is_refused_with_the_file_and_both_numbers() {
    let (_, dir) = written();
    let path = dir.path().join(EVENTS);
    let text = fs::read_to_string(&path).unwrap().replacen("\"format\":1", "\"format\":7", 1);
    fs::write(&path, text).unwrap();
    let error = Recorded::open(dir.path()).unwrap_err();
    assert!(matches!(error, JournalError::Format { found: 7, known: 1, .. }), "{error:?}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_directory_without_a_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Recorded::open(dir.path()).unwrap_err();
    assert!(matches!(error, JournalError::NoBeginning { .. }), "{error:?}");
}

#[test]
fn a_torn_last_line_is_left_out_and_noted() {
    let (run, dir) = written();
    for file in [EVENTS, METRICS] {
        let path = dir.path().join(file);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 5]).unwrap();
    }
    let recorded = Recorded::open(dir.path()).unwrap();
    assert_eq!(recorded.events(), &run.events[..run.events.len() - 1]);
    assert_eq!(recorded.samples().len(), run.samples.len() - 1);
    assert_eq!(recorded.torn.len(), 2, "{:?}", recorded.torn);
}

#[test]
fn a_run_that_was_killed_opens_and_says_what_it_lacks() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let journal = Journal::create(dir.path()).unwrap();
    journal.event(began(&run)).unwrap();
    journal.rows(run.rows.clone()).unwrap();
    // Never closed, and its last segment is not there: what SIGKILL leaves behind.
    let recorded = Recorded::open(dir.path()).unwrap();
    assert!(recorded.requests().is_empty());
    assert_eq!(recorded.torn.len(), 2, "{:?}", recorded.torn);
}

#[test]
fn a_last_segment_that_was_taken_away_is_noted_and_a_middle_one_refused() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let journal = Journal::create(dir.path()).unwrap();
    journal.event(began(&run)).unwrap();
    journal.rows(run.rows[..500].to_vec()).unwrap();
    wait_for(&segment(dir.path(), 1));
    journal.rows(run.rows[500..].to_vec()).unwrap();
    journal.event(&Event { at_us: 9, what: What::Ended }).unwrap();
    journal.close().unwrap();
    assert_eq!(Recorded::open(dir.path()).unwrap().torn, [""; 0]);
    let last = fs::read(segment(dir.path(), 2)).unwrap();
    fs::remove_file(segment(dir.path(), 2)).unwrap();
    let recorded = Recorded::open(dir.path()).unwrap();
    assert_eq!((recorded.requests().len(), recorded.torn.len()), (500, 1), "{:?}", recorded.torn);
    fs::write(segment(dir.path(), 2), last).unwrap();
    fs::remove_file(segment(dir.path(), 1)).unwrap();
    let error = Recorded::open(dir.path()).unwrap_err();
    assert!(matches!(&error, JournalError::Gap { path } if *path == segment(dir.path(), 1)), "{error:?}");
}

/// A segment gathers for five seconds; it is there at once after its rename.
fn wait_for(path: &Path) {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    for _ in 0..200 {
        if path.exists() {
            return;
        }
        let _ = wait.recv_timeout(Duration::from_millis(50));
    }
    drop(done);
    panic!("{} did not come within 10 s", path.display());
}

#[test]
fn a_damaged_segment_is_refused_with_its_name() {
    let (_, dir) = written();
    let path = segment(dir.path(), 1);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = Recorded::open(dir.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("00001.parquet"), "{error}");
}

#[test]
fn sha256sum_checks_a_whole_journal() {
    let (_, dir) = written();
    let mut check = std::process::Command::new("sha256sum");
    check.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(dir.path().join(REQUESTS));
    assert!(check.status().unwrap().success());
}

#[test]
fn a_segment_without_a_digest_is_refused_and_a_journal_without_any_is_an_older_one() {
    let (_, dir) = written();
    let sums = dir.path().join(REQUESTS).join("SHA256SUMS");
    fs::write(&sums, "").unwrap();
    let error = Recorded::open(dir.path()).unwrap_err();
    assert!(matches!(&error, JournalError::Damaged { sums: named, .. } if *named == sums), "{error:?}");
    fs::remove_file(&sums).unwrap();
    assert!(Recorded::open(dir.path()).is_ok());
}

#[test]
fn a_disk_that_is_full_for_the_requests_is_told_by_close_and_ever_after() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let journal = Journal::create(dir.path()).unwrap();
    journal.event(began(&run)).unwrap();
    symlink("/dev/full", segment(dir.path(), 1).with_extension("parquet.part")).unwrap();
    let error = failure(&journal, &run);
    assert!(matches!(error, JournalError::Table { .. } | JournalError::Io { .. }), "{error:?}");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(source.contains("No space left on device"), "{source}");
    assert!(journal.event(&Event { at_us: 1, what: What::Interrupted }).is_err());
    assert!(journal.close().is_err());
}

#[test]
fn a_directory_that_is_taken_away_is_told_with_its_path() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let journal = Journal::create(dir.path()).unwrap();
    journal.event(began(&run)).unwrap();
    fs::remove_dir(dir.path().join(REQUESTS)).unwrap();
    let error = failure(&journal, &run);
    assert!(
        matches!(&error, JournalError::Io { doing: "create", path, .. } if path.starts_with(dir.path())),
        "{error:?}"
    );
}

#[test]
fn nothing_is_written_before_the_run_began_or_after_it_was_closed() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let early = Journal::create(dir.path()).unwrap();
    assert!(matches!(early.rows(run.rows.clone()), Err(JournalError::NoBeginning { .. })));
    let dir = tempfile::tempdir().unwrap();
    let late = Journal::create(dir.path()).unwrap();
    late.event(began(&run)).unwrap();
    late.close().unwrap();
    assert!(matches!(late.rows(run.rows.clone()), Err(JournalError::Closed { .. })));
}

#[test]
fn many_tasks_may_append_at_once() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let journal = Journal::create(dir.path()).unwrap();
    journal.event(began(&run)).unwrap();
    std::thread::scope(|scope| {
        for portion in run.rows.chunks(500) {
            let journal = journal.clone();
            scope.spawn(move || {
                journal.rows(portion.to_vec()).unwrap();
                journal.event(&Event { at_us: 1, what: What::Interrupted }).unwrap();
            });
        }
    });
    journal.close().unwrap();
    let recorded = Recorded::open(dir.path()).unwrap();
    assert_eq!(recorded.requests().len(), run.rows.len());
    assert_eq!(recorded.events().len(), 1 + run.rows.chunks(500).count());
}

#[test]
fn a_value_that_is_no_number_is_no_sample() {
    let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
    let journal = Journal::create(dir.path()).unwrap();
    journal.event(began(&run)).unwrap();
    let mut samples = run.samples[..3].to_vec();
    samples[1].value = f64::NAN;
    journal.samples(&samples).unwrap();
    journal.close().unwrap();
    assert_eq!(Recorded::open(dir.path()).unwrap().samples().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flipped_bytes_are_refused_or_read_and_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
        let journal = Journal::create(dir.path()).unwrap();
        run.events.iter().for_each(|event| journal.event(event).unwrap());
        journal.close().unwrap();
        let path = dir.path().join(EVENTS);
        let mut bytes = fs::read(&path).unwrap();
        for (place, flip) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
        }
        fs::write(&path, &bytes).unwrap();
        match Recorded::open(dir.path()) {
            // What is read can be judged and shown, whatever it says.
            Ok(recorded) => {
                let (verdict, story) = (recorded.judge(), Story::of(&recorded));
                FORMATS.iter().for_each(|format| drop((format.render)(&story, &verdict)));
            }
            Err(error) => prop_assert!(error.to_string().contains(EVENTS), "{}", error),
        }
    }

    #[test]
    fn flipped_bytes_of_a_segment_are_always_refused(flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        let (run, dir) = (Run::of("benchmarks"), tempfile::tempdir().unwrap());
        let journal = Journal::create(dir.path()).unwrap();
        journal.event(began(&run)).unwrap();
        journal.rows(run.rows[..300].to_vec()).unwrap();
        journal.close().unwrap();
        let path = segment(dir.path(), 1);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        for (place, flip) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
        }
        fs::write(&path, &bytes).unwrap();
        match Recorded::open(dir.path()) {
            // Two flips of one byte can undo each other.
            Ok(_) => prop_assert_eq!(bytes, whole),
            Err(error) => prop_assert!(error.to_string().contains("00001.parquet is damaged"), "{}", error),
        }
    }
}
