//! Splitting a component's traffic between it and its sets: in HAProxy's map file first, so that a restart keeps it, then
//! by its runtime API.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use gauntlet_core::{
    name::Name,
    system::{Shares, System, Weighs},
};

use super::{account::Account, ground, replica::Local};
use crate::layout::{Layout, Replica};

/// How long HAProxy may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Whatever splits the traffic of one component.
pub(super) struct Balancer<'a> {
    system: &'a System,
    layout: &'a Layout,
    weighs: &'a Weighs,
    account: Option<Account>,
    replicas: Vec<&'a Replica>,
}

impl<'a> Balancer<'a> {
    /// The one in front of a component; none: nothing is.
    pub(super) fn of(system: &'a System, layout: &'a Layout, component: &Name) -> io::Result<Option<Self>> {
        let found = system.components.iter().find_map(|(name, spec)| {
            let weighs = spec.weighs.as_ref().filter(|weighs| weighs.component == *component)?;
            Some((name, spec, weighs))
        });
        let Some((name, spec, weighs)) = found else { return Ok(None) };
        let account = Account::of(spec.local.as_ref().and_then(|local| local.user.as_deref()))?;
        let replicas = layout.replicas.iter().filter(|replica| replica.component == *name).collect();
        Ok(Some(Self { system, layout, weighs, account, replicas }))
    }

    /// The split that a start would find.
    pub(super) fn present(&self) -> io::Result<Shares> {
        let Some(first) = self.replicas.first() else { return Ok(Shares::default()) };
        let text = fs::read_to_string(self.map(first))?;
        let draws: BTreeMap<&str, u16> = text.lines().filter_map(entry).collect();
        let sets = self.system.sets(&self.weighs.component);
        let share = |set: &Name| {
            let at = |end: &str| draws.get(format!("{set}.{end}").as_str()).copied().unwrap_or_default();
            at("upto").saturating_sub(at("from"))
        };
        let shares = sets.into_keys().map(|set| (set.clone(), share(set)));
        Ok(Shares(shares.filter(|(_, share)| *share > 0).collect()))
    }

    /// Splits it so, now and after every restart.
    pub(super) fn split(&self, shares: &Shares) -> io::Result<()> {
        for replica in &self.replicas {
            let (map, entries) = (self.map(replica), self.entries(shares));
            let text: String = entries.iter().map(|(key, value)| format!("{key} {value}\n")).collect();
            ground::write(&map, text.as_bytes())?;
            Account::own(self.account, &map)?;
            let local = Local::new(self.system, self.layout, replica);
            if local.root().is_some() {
                let lines =
                    entries.iter().map(|(key, value)| format!("set map {} {key} {value}", map.display()));
                let told = ask(&self.socket(replica), &lines.collect::<Vec<_>>().join("; "))?;
                if !told.trim().is_empty() {
                    return Err(io::Error::other(format!("HAProxy answered: {}", told.trim())));
                }
            }
        }
        Ok(())
    }

    /// Of every set, so that one that gets nothing is told so.
    fn entries(&self, shares: &Shares) -> Vec<(String, u16)> {
        let draws: BTreeMap<&Name, (u16, u16)> =
            shares.draws().map(|(set, from, upto)| (set, (from, upto))).collect();
        let sets = self.system.sets(&self.weighs.component).into_keys();
        let entries = sets.flat_map(|set| {
            let (from, upto) = draws.get(set).copied().unwrap_or_default();
            [(format!("{set}.from"), from), (format!("{set}.upto"), upto)]
        });
        entries.collect()
    }

    // As the configuration names it.
    fn map(&self, replica: &Replica) -> PathBuf {
        self.layout.dir(replica).join(&self.weighs.map)
    }

    fn socket(&self, replica: &Replica) -> PathBuf {
        self.layout.dir(replica).join(&self.weighs.socket)
    }
}

fn entry(line: &str) -> Option<(&str, u16)> {
    let (key, value) = line.split_once(' ')?;
    Some((key, value.trim().parse().ok()?))
}

fn ask(socket: &Path, line: &str) -> io::Result<String> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", socket.display()));
    let mut stream = UnixStream::connect(socket).map_err(told)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.set_write_timeout(Some(ANSWERS_WITHIN))?;
    stream.write_all(format!("{line}\n").as_bytes()).map_err(told)?;
    stream.shutdown(Shutdown::Write).map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(told)?;
    Ok(answer)
}
