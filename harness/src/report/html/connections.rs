//! Who reached what, as a table of sources and destinations.

use std::collections::BTreeSet;

use super::section;
use crate::report::{Story, escape::Text, story::ConnectionStory};

pub(super) fn table(story: &Story) -> String {
    let all = &story.connections;
    if all.is_empty() {
        return String::new();
    }
    let to: BTreeSet<&str> = all.iter().map(|one| one.to.as_str()).collect();
    let mut from: Vec<&str> = all.iter().map(|one| one.from.as_str()).collect();
    from.dedup();
    let heads: String = to.iter().map(|to| format!("<th scope=\"col\">{}</th>", Text(to))).collect();
    let rows: String = from
        .iter()
        .map(|from| {
            let found = |to: &&str| all.iter().find(|one| one.from == *from && one.to == **to);
            let cells: String = to.iter().map(|to| format!("<td>{}</td>", cell(found(to)))).collect();
            format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", Text(from))
        })
        .collect();
    let about = "Rows tried to connect to columns before the load began. Bold is open; a colour says that it must not be so.";
    let html = format!(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">from</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    );
    section("Connections", about, &html)
}

fn cell(one: Option<&ConnectionStory>) -> String {
    let Some(one) = one else { return "–".to_owned() };
    let seen = one.seen.as_deref().unwrap_or("not looked at");
    match (one.is_right(), one.wanted_open) {
        (true, true) => "<strong>open</strong>".to_owned(),
        (true, false) => "closed".to_owned(),
        (false, open) => {
            let must = if open { "open" } else { "closed" };
            format!("<span class=\"state bad\">{}, must be {must}</span>", Text(seen))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cell;
    use crate::report::story::ConnectionStory;

    #[test]
    fn a_cell_says_what_is_and_what_must_be_where_they_differ() {
        let one = |wanted_open, seen: Option<&str>| {
            let seen = seen.map(str::to_owned);
            cell(Some(&ConnectionStory { from: "a".into(), to: "b".into(), wanted_open, seen }))
        };
        assert_eq!(one(true, Some("open")), "<strong>open</strong>");
        assert_eq!(one(false, Some("silent")), "closed");
        assert!(one(false, Some("open")).contains("open, must be closed"));
        assert!(one(true, Some("refused")).contains("refused, must be open"));
        assert!(one(true, None).contains("not looked at, must be open"));
        assert_eq!(cell(None), "–");
    }
}
