//! How traffic is split: what HAProxy itself says over its runtime API.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use gauntlet_core::{
    name::Name,
    system::{Shares, System},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use crate::layout::Layout;

/// No answer within this is silence.
const SILENT_AFTER: Duration = Duration::from_millis(500);

/// The split as all replicas of whatever is in front of the component have it; `absent` where one does not answer.
pub(super) async fn of(system: &System, layout: &Layout, component: &Name) -> String {
    let splits = system.components.iter().find_map(|(name, spec)| {
        Some((name, spec.weighs.as_ref().filter(|weighs| weighs.component == *component)?))
    });
    let Some((name, weighs)) = splits else { return "nothing splits it".to_owned() };
    let mut seen = Vec::new();
    for replica in layout.replicas.iter().filter(|replica| replica.component == *name) {
        let dir = layout.dir(replica);
        let shown = timeout(SILENT_AFTER, show(&dir.join(&weighs.socket), &dir.join(&weighs.map))).await;
        seen.push(match shown {
            Ok(Ok(text)) => read(&text).to_string(),
            Ok(Err(_)) => "absent".to_owned(),
            Err(_) => "silent".to_owned(),
        });
    }
    seen.dedup();
    seen.join("; ")
}

async fn show(socket: &Path, map: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("show map {}\n", map.display()).as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// Lines such as `0x55d2 service-canary.upto 500`.
fn read(text: &str) -> Shares {
    let mut draws: BTreeMap<&str, (u16, u16)> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(key), Some(Ok(value))) = (words.next(), words.next().map(str::parse)) else { continue };
        match key.rsplit_once('.') {
            Some((set, "from")) => draws.entry(set).or_default().0 = value,
            Some((set, "upto")) => draws.entry(set).or_default().1 = value,
            _ => {}
        }
    }
    let shares = draws
        .into_iter()
        .filter_map(|(set, (from, upto))| Some((set.parse().ok()?, upto.saturating_sub(from))));
    Shares(shares.filter(|(_, share)| *share > 0).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_split_is_read_from_the_draws_of_each_set() {
        let text = "0x1 a.from 0\n0x2 a.upto 500\n0x3 b.from 500\n0x4 b.upto 500\nsomething else\n\n";
        assert_eq!(super::read(text).to_string(), "a 5%");
        assert_eq!(super::read("").to_string(), "no set");
    }
}
