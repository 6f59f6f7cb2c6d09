//! Ports: a run takes consecutive ones below the range from which the kernel gives ports to connections, and no two
//! runs take the same.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::record::{Record, RecordError};

/// Where runs take their ports, as far as the kernel leaves it alone.
const RANGE: Range<u16> = 20_000..32_000;

/// Why a run gets no ports.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// The records of other runs cannot be read, or the new one not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The lock on the range cannot be taken.
    #[error("{path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Every block is taken.
    #[error(
        "no {wanted} consecutive free ports in {from}..{to}; `gauntlet status` lists the runs that hold some"
    )]
    Exhausted {
        /// How many were asked for.
        wanted: u16,
        /// The range's first port.
        from: u16,
        /// The port after its last.
        to: u16,
    },
}

/// Finds consecutive ports that no live run uses and that can all be bound now, and calls `record` with the first of
/// them while no other run can choose: once the record is stored, the ports are this run's.
pub fn claim<T>(
    state: &Path,
    count: u16,
    record: impl FnOnce(u16) -> Result<T, RecordError>,
) -> Result<T, PortsError> {
    let _lock = lock(state)?;
    let taken = taken(state)?;
    let (range, count) = (range(), count.max(1));
    let first = blocks(&range, count, random()).find(|first| is_free(*first, count, &taken));
    let exhausted = || PortsError::Exhausted { wanted: count, from: range.start, to: range.end };
    Ok(record(first.ok_or_else(exhausted)?)?)
}

// Runs of another user look at other records, so two of them should not begin at the same place.
fn blocks(range: &Range<u16>, count: u16, begin: u16) -> impl Iterator<Item = u16> {
    let (start, blocks) = (range.start, (range.end - range.start) / count);
    (0..blocks).map(move |n| start + (begin % blocks + n) % blocks * count)
}

fn lock(state: &Path) -> Result<File, PortsError> {
    let path = state.join("ports.lock");
    let open = || {
        DirBuilder::new().recursive(true).mode(0o700).create(state)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    };
    open().map_err(|source| PortsError::Lock { path: path.clone(), source })
}

fn taken(state: &Path) -> Result<Vec<u16>, RecordError> {
    let mut taken = Vec::new();
    for (run, record) in Record::list(state)? {
        // What another version wrote cannot be read; whether its ports can be bound is still asked.
        let Ok(record) = record else { continue };
        let open = fs::read_dir(state.join(run).join("open"));
        let in_force = open.is_ok_and(|mut entries| entries.next().is_some());
        if in_force || record.holder_alive() {
            taken.extend(record.ground.ports());
        }
    }
    Ok(taken)
}

fn is_free(first: u16, count: u16, taken: &[u16]) -> bool {
    (first..first + count).all(|port| !taken.contains(&port) && binds(port))
}

fn binds(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn range() -> Range<u16> {
    let ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let first = ephemeral.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
    below(first.unwrap_or(32_768))
}

// A machine that gives nearly all ports to connections leaves us none below; then we share.
fn below(ephemeral: u16) -> Range<u16> {
    if ephemeral > RANGE.start + 1_000 { RANGE.start..RANGE.end.min(ephemeral) } else { RANGE }
}

fn random() -> u16 {
    let mut bytes = [0; 2];
    // Only spreads the runs; without it they begin at the same port.
    if getrandom::fill(&mut bytes).is_err() {
        return 0;
    }
    u16::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::TcpListener, path::Path, time::Duration};

    use gauntlet_core::system::System;

    use super::{PortsError, below, blocks, claim};
    use crate::{
        layout::Layout,
        record::{Ground, Holder, RECORD_FORMAT, Record},
    };

    fn record(run: &str, first: u16, holder: Holder) -> Record {
        let system: System = serde_json::from_value(serde_json::json!({
            "format": 1, "name": "tiny", "endpoint": { "component": "web", "port": "http" },
            "components": { "web": { "ports": ["http", "metrics"], "ready": { "tcp": { "port": "http" } } } },
        }))
        .unwrap();
        let (layout, _) = Layout::plan(&system, run, Path::new("/var/tmp/x"), Path::new("/"), first);
        let (format, target, lease) = (RECORD_FORMAT, "local".into(), Duration::from_secs(5));
        let ground = Ground::Local(layout);
        Record { format, run: run.into(), target, holder, lease, journal: "/".into(), system, ground }
    }

    #[test]
    fn every_block_is_tried_once_wherever_it_begins() {
        for begin in [0, 1, 3, 65_535] {
            let tried: Vec<u16> = blocks(&(100..110), 3, begin).collect();
            assert_eq!(tried.iter().collect::<BTreeSet<_>>(), [100, 103, 106].iter().collect());
        }
    }

    #[test]
    fn runs_that_claim_at_once_share_no_port() {
        let state = tempfile::tempdir().unwrap();
        let me = Holder::me().unwrap();
        let claim_one = |run: usize| {
            let stored = |first| record(&format!("run-{run}"), first, me).create(state.path()).map(|_| first);
            claim(state.path(), 2, stored).unwrap()
        };
        let firsts: BTreeSet<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|run| scope.spawn(move || claim_one(run))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(firsts.len(), 8);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_passed_over() {
        let listener = (20_000..32_000).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!super::is_free(port - port % 2, 2, &[]));
    }

    #[test]
    fn a_record_counts_while_its_holder_lives_or_something_is_in_force() {
        let state = tempfile::tempdir().unwrap();
        let me = Holder::me().unwrap();
        let dead = Holder { started: me.started + 1, ..me };
        record("dead", 21_000, dead).create(state.path()).unwrap();
        assert!(super::taken(state.path()).unwrap().is_empty());
        std::fs::write(state.path().join("dead/open/1.json"), "{}").unwrap();
        assert_eq!(super::taken(state.path()).unwrap(), [21_000, 21_001]);
    }

    #[test]
    fn more_ports_than_there_are_is_an_error() {
        let state = tempfile::tempdir().unwrap();
        let told = claim(state.path(), 40_000, |_| Ok(())).unwrap_err();
        assert!(matches!(told, PortsError::Exhausted { wanted: 40_000, .. }));
    }

    #[test]
    fn the_range_ends_where_the_kernels_begins() {
        assert_eq!(below(32_768), 20_000..32_000);
        assert_eq!(below(25_000), 20_000..25_000);
        assert_eq!(below(1_024), 20_000..32_000);
    }
}
