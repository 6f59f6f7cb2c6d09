//! Which draws are a set's: a map of HAProxy, kept equal to what the cluster says.

use std::collections::BTreeMap;

/// The label of a set's Service, and so of its slices: the first of its draws, of 10,000.
pub(crate) const FROM: &str = "gauntlet.dev/draws-from";
/// And the first that is not its own any more.
pub(crate) const UPTO: &str = "gauntlet.dev/draws-upto";

/// What the map holds, or is to hold.
pub(super) type Draws = BTreeMap<String, u16>;

/// The two entries of a set.
pub(super) fn entries(set: &str, (from, upto): (u16, u16)) -> [(String, u16); 2] {
    [(format!("{set}.from"), from), (format!("{set}.upto"), upto)]
}

/// Out of lines such as `0x55d2 service-canary.upto 500`.
pub(super) fn read(map: &str) -> Draws {
    let entry = |line: &str| match line.split(' ').collect::<Vec<_>>().as_slice() {
        [_, key, value] => Some(((*key).to_owned(), value.parse().ok()?)),
        _ => None,
    };
    map.lines().filter_map(entry).collect()
}

/// What makes the map hold what it is to hold, in one line; none: it does already.
pub(super) fn command(map: &str, present: &Draws, wanted: &Draws) -> Option<String> {
    let differ = wanted.iter().filter(|(key, value)| present.get(*key) != Some(*value));
    // HAProxy sets only what is there.
    let word = |key: &String| if present.contains_key(key) { "set" } else { "add" };
    let lines: Vec<String> =
        differ.map(|(key, value)| format!("{} map {map} {key} {value}", word(key))).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::{Draws, command, entries, read};

    #[test]
    fn only_what_differs_is_told_and_once_told_nothing_more() {
        let present = read("0x1 a.from 0\n0x2 a.upto 500\n0x3 b.from 0\n0x4 b.upto 0\n\n");
        let wanted: Draws =
            [entries("a", (0, 500)), entries("b", (500, 1_000))].into_iter().flatten().collect();
        let told = command("/m", &present, &wanted);
        assert_eq!(told.as_deref(), Some("set map /m b.from 500; set map /m b.upto 1000"));
        assert_eq!(command("/m", &wanted, &wanted), None);
        // A set that the file of the map does not name.
        let told = command("/m", &Draws::new(), &entries("c", (0, 10_000)).into_iter().collect());
        assert_eq!(told.as_deref(), Some("add map /m c.from 0; add map /m c.upto 10000"));
        assert_eq!(read("Unknown map identifier. Please use #<id> or <name>.\n"), Draws::new());
    }
}
