//! HAProxy's runtime API: one line and one answer on each connection to its socket.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::{
    draws::{self, Draws},
    slots::{Change, Slot},
};

/// How long HAProxy may take to answer a line.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Forced into maintenance, in `srv_admin_state`. What the configuration said at the start (0x04) is kept there for ever.
const IN_MAINTENANCE: u32 = 0x01;

/// Why there is no answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silent {
    #[error("{path}: {source}")]
    Socket { path: PathBuf, source: io::Error },
    #[error("no answer within {ANSWERS_WITHIN:?}")]
    Late,
    #[error("an answer that cannot be read: {0}")]
    Unread(String),
}

/// One HAProxy, by its socket.
pub(super) struct HAProxy {
    socket: PathBuf,
}

impl HAProxy {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The slots as HAProxy has them now.
    pub(super) async fn slots(&self, checked: &str, tracking: &str) -> Result<Vec<Slot>, Silent> {
        let checked = self.ask(&format!("show servers state {checked}")).await?;
        let tracking = self.ask(&format!("show servers state {tracking}")).await?;
        slots(&checked, &tracking)
    }

    /// Makes one change in both backends.
    pub(super) async fn tell(
        &self,
        change: &Change,
        checked: &str,
        tracking: &str,
    ) -> Result<String, Silent> {
        let answer = self.ask(&commands(change, checked, tracking)).await?;
        Ok(answer.split('\n').filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "))
    }

    /// What a map holds now.
    pub(super) async fn draws(&self, map: &str) -> Result<Draws, Silent> {
        Ok(draws::read(&self.ask(&format!("show map {map}")).await?))
    }

    /// Says a line to which nothing is answered unless it is wrong.
    pub(super) async fn say(&self, line: &str) -> Result<(), Silent> {
        match self.ask(line).await?.trim() {
            "" => Ok(()),
            answer => Err(Silent::Unread(answer.to_owned())),
        }
    }

    async fn ask(&self, line: &str) -> Result<String, Silent> {
        match timeout(ANSWERS_WITHIN, self.exchange(line)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(Silent::Socket { path: self.socket.clone(), source }),
            Err(_) => Err(Silent::Late),
        }
    }

    async fn exchange(&self, line: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// The tracking server gets its address before the checked one is opened: it opens with it.
fn commands(change: &Change, checked: &str, tracking: &str) -> String {
    match change {
        Change::Leave { slot } => format!("set server {checked}/{slot} state maint"),
        Change::Join { slot, address } => {
            let (ip, port) = (address.ip(), address.port());
            format!(
                "set server {tracking}/{slot} addr {ip} port {port}; \
                 set server {checked}/{slot} addr {ip} port {port}; \
                 set server {checked}/{slot} state ready"
            )
        }
    }
}

fn slots(checked: &str, tracking: &str) -> Result<Vec<Slot>, Silent> {
    let mut followers: BTreeMap<_, _> = servers(tracking)?.into_iter().map(|s| (s.name, s.address)).collect();
    let slots = servers(checked)?.into_iter().map(|server| {
        let follower = followers.remove(&server.name).flatten();
        let address = server.address.filter(|address| follower == Some(*address));
        Slot { name: server.name, address, used: server.admin & IN_MAINTENANCE == 0 }
    });
    Ok(slots.collect())
}

struct Server {
    name: String,
    address: Option<SocketAddr>,
    admin: u32,
}

/// A version, a line of names behind `#`, then a server a line. Read by name: later versions add columns.
fn servers(state: &str) -> Result<Vec<Server>, Silent> {
    let unread = || Silent::Unread(state.lines().next().unwrap_or("nothing").to_owned());
    let mut lines = state.lines().map(str::trim).filter(|line| !line.is_empty());
    let names = lines.find_map(|line| line.strip_prefix("# ")).ok_or_else(unread)?;
    let names: Vec<&str> = names.split(' ').collect();
    let column = |name: &str| names.iter().position(|n| *n == name).ok_or_else(unread);
    let (name, ip) = (column("srv_name")?, column("srv_addr")?);
    let (port, admin) = (column("srv_port")?, column("srv_admin_state")?);
    let read = |line: &str| {
        let cells: Vec<&str> = line.split(' ').collect();
        let ip = cells.get(ip)?.parse::<IpAddr>().ok();
        let port = cells.get(port)?.parse().ok()?;
        Some(Server {
            name: (*cells.get(name)?).to_owned(),
            address: ip.map(|ip| SocketAddr::new(ip, port)),
            admin: cells.get(admin)?.parse().ok()?,
        })
    };
    lines.map(|line| read(line).ok_or_else(|| Silent::Unread(line.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
        srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
        srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port \
        srv_check_addr srv_agent_addr srv_agent_port\n";

    fn state(servers: &[(&str, &str, u32, u16)]) -> String {
        let lines = servers.iter().map(|(name, ip, admin, port)| {
            format!("3 retried 1 {name} {ip} 2 {admin} 1 1 9 6 3 4 6 0 0 0 - {port} - 0 0 - - 0\n")
        });
        HEAD.to_owned() + &lines.collect::<String>() + "\n"
    }

    #[test]
    fn the_state_is_read_by_the_names_of_its_columns() {
        let checked = state(&[("s1", "10.0.0.1", 4, 8000), ("s2", "0.0.0.0", 5, 0), ("s3", "-", 1, 0)]);
        let tracking = state(&[("s1", "10.0.0.1", 0, 8000), ("s2", "0.0.0.0", 2, 0), ("s3", "-", 2, 0)]);
        let slots = slots(&checked, &tracking).unwrap();
        assert_eq!(slots[0].address, Some("10.0.0.1:8000".parse().unwrap()));
        assert_eq!(slots.iter().map(|slot| slot.used).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(slots[2].address, None);
    }

    #[test]
    fn a_drained_server_holds_its_slot_and_one_that_differs_has_no_address() {
        let slots =
            slots(&state(&[("s1", "10.0.0.1", 8, 80)]), &state(&[("s1", "10.0.0.2", 0, 80)])).unwrap();
        assert_eq!(slots, [Slot { name: "s1".into(), address: None, used: true }]);
    }

    #[test]
    fn what_is_no_state_is_said_not_guessed() {
        let error = slots("Can't find backend.\n", &state(&[])).unwrap_err();
        assert!(error.to_string().contains("Can't find backend."), "{error}");
        assert!(slots(&format!("{HEAD}3 retried"), &state(&[])).is_err());
    }

    #[test]
    fn the_follower_has_its_address_before_the_door_opens() {
        let join = Change::Join { slot: "s2".into(), address: "[fd00::1]:8000".parse().unwrap() };
        assert_eq!(
            commands(&join, "retried", "once"),
            "set server once/s2 addr fd00::1 port 8000; set server retried/s2 addr fd00::1 port 8000; \
             set server retried/s2 state ready"
        );
        let leave = Change::Leave { slot: "s2".into() };
        assert_eq!(commands(&leave, "retried", "once"), "set server retried/s2 state maint");
    }
}
