//! How traffic is split: what every HAProxy in front of a component says itself, over the runtime API of its pod.

use std::{collections::BTreeMap, io, time::Duration};

use gauntlet_core::{
    name::Name,
    port::Trouble,
    proof::Query,
    system::{Shares, Weighs},
};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{ABSENT, KubeWitness, forward::connect};

/// No answer within this is silence: two round trips through two servers.
const SILENT_AFTER: Duration = Duration::from_secs(2);

impl KubeWitness {
    /// The split as all of them have it; where they differ, each split once.
    pub(super) async fn shares(&self, ask: &Query) -> Result<String, Trouble> {
        let (name, _) = self.component(ask, ask.at())?;
        let splits = self.system.components.iter().find_map(|(front, spec)| {
            Some((front, spec.weighs.as_ref().filter(|weighs| weighs.component == *name)?))
        });
        let Some((front, weighs)) = splits else { return Ok("nothing splits it".to_owned()) };
        let port = weighs.port.ok_or_else(|| {
            Trouble::refused(ask, format!("the system file names no `weighs.port` of {front}"))
        })?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.site.namespace);
        let mut seen = Vec::new();
        for replica in self.pods.replicas(front).await? {
            let asked = timeout(SILENT_AFTER, split(&pods, &replica.pod, port, weighs)).await;
            seen.push(match asked {
                Ok(Ok(shares)) => shares.to_string(),
                Ok(Err(why)) => why,
                Err(_) => "silent".to_owned(),
            });
        }
        seen.sort();
        seen.dedup();
        Ok(if seen.is_empty() { ABSENT.to_owned() } else { seen.join("; ") })
    }
}

async fn split(pods: &Api<Pod>, pod: &str, port: u16, weighs: &Weighs) -> Result<Shares, String> {
    let maps = ask(pods, pod, port, "show map").await?;
    let path = path(&maps, &weighs.map).ok_or_else(|| format!("{pod} has no map {}", weighs.map))?;
    Ok(shares(&ask(pods, pod, port, &format!("show map {path}")).await?))
}

/// One line and its answer; `absent` where nobody answers.
async fn ask(pods: &Api<Pod>, pod: &str, port: u16, line: &str) -> Result<String, String> {
    let stream = connect(pods, pod, port).await.map_err(|_| ABSENT.to_owned())?;
    exchange(stream, line).await.ok().filter(|answer| !answer.is_empty()).ok_or_else(|| ABSENT.to_owned())
}

/// An answer ends with an empty line: the end of the connection does not always come through a port-forward.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, line: &str) -> io::Result<String> {
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !(answer.ends_with(b"\n\n") || answer == b"\n") && stream.read_buf(&mut answer).await? > 0 {}
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The whole name of a map, out of lines such as `0 (/etc/haproxy/shares.map) pattern loaded from file ...`.
fn path<'a>(maps: &'a str, file: &str) -> Option<&'a str> {
    let mut paths =
        maps.lines().filter_map(|line| line.split_once('(')?.1.split_once(')')).map(|(path, _)| path);
    paths.find(|path| path.rsplit('/').next() == Some(file))
}

/// Out of lines such as `0x55d2 service-canary.upto 500`.
fn shares(map: &str) -> Shares {
    let words = |line: &str| -> Option<(String, u16)> {
        let mut words = line.split_whitespace().skip(1);
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    };
    let ends: BTreeMap<String, u16> = map.lines().filter_map(words).collect();
    let share = |(key, upto): (&String, &u16)| -> Option<(Name, u16)> {
        let set = key.strip_suffix(".upto")?;
        let from = ends.get(&format!("{set}.from")).copied().unwrap_or_default();
        Some((set.parse().ok()?, upto.saturating_sub(from)))
    };
    Shares(ends.iter().filter_map(share).filter(|(_, share)| *share > 0).collect())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::{exchange, path, shares};

    #[tokio::test]
    async fn an_answer_ends_with_an_empty_line_though_the_connection_does_not() {
        for (pieces, whole) in [(vec!["# id\n", "0 (m)\n", "\n"], "# id\n0 (m)\n\n"), (vec!["\n"], "\n")] {
            let (here, mut there) = tokio::io::duplex(64);
            let asked = tokio::spawn(async move { exchange(here, "show map").await });
            for piece in pieces {
                there.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            assert_eq!(asked.await.unwrap().unwrap(), whole);
        }
    }

    #[test]
    fn a_map_is_found_by_its_file_and_a_split_is_read_from_the_draws_of_each_set() {
        let maps = "# id (file) description\n0 (/x/others.map) pattern loaded from file '/x/others.map' used by map\n\
                    1 (/etc/shares.map) pattern loaded from file '/etc/shares.map' used by map at file 'x' line 3\n\n";
        assert_eq!(path(maps, "shares.map"), Some("/etc/shares.map"));
        assert_eq!(path(maps, "hares.map"), None);
        let map = "0x1 a.from 0\n0x2 a.upto 500\n0x3 b.from 500\n0x4 b.upto 500\n0x5 c.upto 250\n\n";
        assert_eq!(shares(map).to_string(), "a 5%, c 2.5%");
        assert_eq!(shares("Unknown map identifier.\n").to_string(), "no set");
    }
}
