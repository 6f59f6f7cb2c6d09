//! From bytes to a tree. Whatever is no single, small, plain document is refused here.

use serde_saphyr::{DefaultMessageFormatter, DuplicateKeyPolicy, Error, MessageFormatter};

use super::{Mistake, Node, Place, Value};

/// Most bytes that are read: a megabyte holds any file that a person writes.
pub const LIMIT: usize = 1 << 20;
const DEPTH: usize = 48;
const NODES: usize = 100_000;

/// The tree of a file.
pub fn tree(bytes: &[u8]) -> Result<Node, Mistake> {
    if bytes.len() > LIMIT {
        let what = format!("the file has {} bytes, and at most {LIMIT} are read", bytes.len());
        return Err(whole(what).mend("give the file that you meant: one that a person wrote is far smaller"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| not_text(bytes, error.valid_up_to()))?;
    let says_something = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !text.trim_start_matches('\u{feff}').lines().any(says_something) {
        return Err(whole("the file is empty").mend("start from an example, such as the gate's files"));
    }
    let mut node: Node =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| refused(&error))?;
    node.spell(text);
    match node.value {
        Value::Map(_) => Ok(node),
        _ => {
            Err(located(Mistake::at("", "the file is no map"), node.place).mend("write `field: value` lines"))
        }
    }
}

fn options() -> serde_saphyr::Options {
    let budget = serde_saphyr::budget! { max_depth: DEPTH, max_nodes: NODES, max_documents: 2 };
    serde_saphyr::options! {
        budget: budget,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: NODES },
        duplicate_keys: DuplicateKeyPolicy::Error,
        // Otherwise `is: on` would be a truth value and no text.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn whole(what: impl Into<String>) -> Mistake {
    located(Mistake::at("", what), Place { line: 1, column: 1 })
}

fn located(mistake: Mistake, place: Place) -> Mistake {
    Mistake { line: place.line, column: place.column, ..mistake }
}

fn not_text(bytes: &[u8], at: usize) -> Mistake {
    let before = bytes.get(..at).unwrap_or_default();
    let line_begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let count = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
    let column = String::from_utf8_lossy(before.get(line_begin..).unwrap_or_default()).chars().count();
    let place =
        Place { line: count(before.iter().filter(|byte| **byte == b'\n').count()), column: count(column) };
    let byte = bytes.get(at).copied().unwrap_or_default();
    located(Mistake::at("", format!("byte 0x{byte:02x} is not UTF-8")), place).mend("save the file as UTF-8")
}

fn refused(error: &Error) -> Mistake {
    let place = error.location().map(Place::from).unwrap_or(Place { line: 1, column: 1 });
    let mut cause = error.without_snippet();
    while let Error::AliasError { error, .. } = cause {
        cause = error.without_snippet();
    }
    let mistake = match cause {
        Error::MultipleDocuments { .. } => Mistake::at("", "a second document begins")
            .mend("keep one document: remove `---` and what follows"),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("a field");
            Mistake::at(key, format!("`{key}` is written twice")).mend("keep one of them")
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => too_much(&plain(cause)),
        other => {
            let reason = plain(other);
            // The parser's own limit comes before that of the budget.
            if reason.contains("recursion limit") { too_much(&reason) } else { no_yaml(&reason) }
        }
    };
    located(mistake, place)
}

fn too_much(reason: &str) -> Mistake {
    Mistake::at("", format!("nested or repeated too much: {reason}"))
        .mend("write it flatter, with fewer aliases")
}

fn no_yaml(reason: &str) -> Mistake {
    Mistake::at("", format!("this is no YAML: {reason}")).mend("check indentation and quotes here")
}

fn plain(error: &Error) -> String {
    DefaultMessageFormatter.format_message(error).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, tree};
    use crate::yaml::Value;

    fn told(text: &str) -> String {
        tree(text.as_bytes()).unwrap_err().show("x.yml")
    }

    #[test]
    fn places_are_those_of_the_values_and_keys() {
        let root = tree(b"a: 1\nb:\n  - x: yes please\n").unwrap();
        let Value::Map(entries) = &root.value else { panic!("{root:?}") };
        assert_eq!((entries[1].place.line, entries[1].place.column), (2, 1));
        let Value::List(items) = &root.get("b").unwrap().value else { panic!("{root:?}") };
        let x = items[0].get("x").unwrap();
        assert_eq!((x.place.line, x.place.column), (3, 8));
    }

    #[test]
    fn a_number_keeps_its_spelling_and_on_is_a_text() {
        let root = tree(b"version: 1.10\nfsync: on\n").unwrap();
        let Value::Number(_, spelling) = &root.get("version").unwrap().value else { panic!("{root:?}") };
        assert_eq!(spelling, "1.10");
        assert_eq!(root.get("fsync").unwrap().value, Value::Text("on".into()));
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_change_nothing() {
        let root = tree("\u{feff}version: 1.10\r\nname: x\r\n".as_bytes()).unwrap();
        let Value::Number(_, spelling) = &root.get("version").unwrap().value else { panic!("{root:?}") };
        assert_eq!((spelling.as_str(), root.get("name").unwrap().place.line), ("1.10", 2));
    }

    #[test]
    fn merged_keys_come_from_the_anchor_and_own_keys_win() {
        let root = tree(b"a: &a { x: 1, y: 2 }\nb:\n  <<: *a\n  y: three\n").unwrap();
        let b = root.get("b").unwrap();
        assert!(matches!(b.get("x").unwrap().value, Value::Number(..)));
        assert_eq!(b.get("y").unwrap().value, Value::Text("three".into()));
    }

    #[test]
    fn what_is_no_single_plain_document_is_refused_with_place_and_mend() {
        insta::assert_snapshot!(told("# nothing\n\n"), @"x.yml:1:1: the file is empty; start from an example, such as the gate's files");
        insta::assert_snapshot!(told("a: 1\n---\nb: 2\n"), @"x.yml:3:1: a second document begins; keep one document: remove `---` and what follows");
        insta::assert_snapshot!(told("a: 1\na: 2\n"), @"x.yml:2:1: `a` is written twice; keep one of them");
        insta::assert_snapshot!(told("a: [1, 2\nb: 3\n"), @"x.yml:2:2: this is no YAML: illegal placement of ':' indicator; check indentation and quotes here");
        insta::assert_snapshot!(told("- a\n- b\n"), @"x.yml:1:1: the file is no map; write `field: value` lines");
        insta::assert_snapshot!(told("a: *nobody\n"), @"x.yml:1:4: this is no YAML: alias references unknown anchor; check indentation and quotes here");
        insta::assert_snapshot!(told("a: !include other.yml\n"), @"x.yml:1:13: this is no YAML: unsupported tag `!include`; check indentation and quotes here");
        insta::assert_snapshot!(told(&"a".repeat(LIMIT + 1)), @"x.yml:1:1: the file has 1048577 bytes, and at most 1048576 are read; give the file that you meant: one that a person wrote is far smaller");
    }

    #[test]
    fn a_byte_that_is_no_utf_8_is_named_with_its_place() {
        let told = tree(b"name: ok\nhypothesis: caf\xe9\n").unwrap_err().show("x.yml");
        insta::assert_snapshot!(told, @"x.yml:2:16: byte 0xe9 is not UTF-8; save the file as UTF-8");
    }

    #[test]
    fn nesting_and_alias_bombs_are_refused_by_budget() {
        let nested = |depth| format!("a: {}1{}", "[".repeat(depth), "]".repeat(depth));
        insta::assert_snapshot!(told(&nested(60)), @"x.yml:1:51: nested or repeated too much: budget breached: Depth { depth: 49 }; write it flatter, with fewer aliases");
        insta::assert_snapshot!(told(&nested(5_000)), @"x.yml:1:259: nested or repeated too much: recursion limit exceeded; write it flatter, with fewer aliases");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..9 {
            let items = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{items}]\n");
        }
        assert!(told(&bomb).contains("too much"), "{}", told(&bomb));
    }
}
