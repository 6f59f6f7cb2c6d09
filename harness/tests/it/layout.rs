//! The walls and the budgets: who may import whom, how long files and functions are, how much is tested.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn all_sources() -> Vec<PathBuf> {
    [
        "harness/backup/src",
        "harness/core/src",
        "harness/kube/src",
        "harness/load/src",
        "harness/src",
        "service/engine/src",
        "service/src",
    ]
    .iter()
    .flat_map(|dir| sources(&root().join(dir)))
    .collect()
}

/// The part of a file that is not tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

/// Lines of a folder that name something forbidden.
fn naming(dir: &str, forbidden: &[&str]) -> Vec<String> {
    let mut found = vec![];
    for file in sources(&root().join(dir)) {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in product(&text).lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && forbidden.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {code}", file.display(), number + 1));
            }
        }
    }
    found
}

#[test]
fn the_core_names_no_clock_no_socket_no_file_and_no_runtime() {
    let forbidden = [
        "tokio",
        "std::net",
        "std::fs",
        "std::process",
        "SystemTime",
        "Instant",
        "std::thread",
        "goose",
        "kube::",
        "std::env",
    ];
    assert_eq!(naming("harness/core/src", &forbidden), Vec::<String>::new());
}

#[test]
fn judges_need_only_plans_and_evidence() {
    let forbidden = ["crate::kind", "crate::scenario", "crate::port", "crate::receipt"];
    assert_eq!(naming("harness/core/src/judge", &forbidden), Vec::<String>::new());
}

#[test]
fn reports_and_journals_never_act_or_see() {
    for dir in ["harness/src/report", "harness/src/journal"] {
        let forbidden = ["crate::run", "crate::target", "crate::witness", "crate::ledger", "crate::record"];
        assert_eq!(naming(dir, &forbidden), Vec::<String>::new());
    }
}

#[test]
fn what_sees_shares_nothing_with_what_acts() {
    assert_eq!(
        naming("harness/src/witness", &["crate::target", "crate::run", "crate::ledger"]),
        Vec::<String>::new()
    );
    let acts = naming(
        "harness/src/target/local",
        &["crate::witness", "crate::run", "crate::report", "crate::journal"],
    );
    assert_eq!(acts, Vec::<String>::new());
}

#[test]
fn an_eye_shares_nothing_with_an_agent() {
    for (part, other) in [("eye", "agent"), ("agent", "eye")] {
        let text = fs::read_to_string(root().join(format!("harness/kube/src/node/{part}.rs"))).unwrap();
        assert!(!text.contains(&format!("{other}::")), "{part} uses what belongs to the {other}");
    }
}

#[test]
fn what_sees_a_cluster_shares_nothing_with_what_acts_there() {
    let acts =
        ["target", "ground", "pods", "probes", "workload", "ledger"].map(|file| format!("run::{file}"));
    let forbidden: Vec<&str> = acts.iter().map(String::as_str).chain(["agent::"]).collect();
    assert_eq!(naming("harness/kube/src/witness", &forbidden), Vec::<String>::new());
}

#[test]
fn words_name_no_target() {
    assert_eq!(
        naming("harness/core/src/kind", &["\"local\"", "\"docker\"", "\"kube\""]),
        Vec::<String>::new()
    );
}

#[test]
fn the_harness_knows_nothing_of_causal_inference() {
    let words = ["causal", "Causal", "intervention", "treatment", "experiment"];
    for dir in
        ["harness/backup/src", "harness/core/src", "harness/kube/src", "harness/load/src", "harness/src"]
    {
        assert_eq!(naming(dir, &words), Vec::<String>::new());
    }
}

#[test]
fn the_engine_is_pure_and_the_service_does_not_know_the_harness() {
    assert_eq!(
        naming("service/engine/src", &["tokio", "std::net", "std::fs", "SystemTime"]),
        Vec::<String>::new()
    );
    assert_eq!(naming("service/src", &["gauntlet"]), Vec::<String>::new());
}

fn share(mut values: Vec<usize>, percent: usize) -> usize {
    values.sort_unstable();
    values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0)
}

#[test]
fn files_are_short() {
    let lengths: Vec<usize> = all_sources()
        .iter()
        .map(|file| product(&fs::read_to_string(file).unwrap()).lines().count())
        .collect();
    let (median, most) = (share(lengths.clone(), 50), share(lengths, 90));
    assert!(median <= 150, "median of lines per file: {median}");
    assert!(most <= 400, "90th percentile of lines per file: {most}");
}

/// Lines of every function, by indentation: rustfmt closes a function at the column where it began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = vec![];
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_fn = [
            "fn ",
            "pub fn ",
            "async fn ",
            "pub async fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "const fn ",
            "pub const fn ",
        ]
        .iter()
        .any(|word| code.starts_with(word));
        if !is_fn || line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[start..].iter().position(|line| *line == end) {
            found.push((code.to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut all = vec![];
    for file in all_sources() {
        for (name, length) in functions(product(&fs::read_to_string(&file).unwrap())) {
            assert!(length <= 70, "{}: {name} has {length} lines", file.display());
            all.push(length);
        }
    }
    let most = share(all, 90);
    assert!(most <= 25, "90th percentile of lines per function: {most}");
}

#[test]
fn there_are_fifteen_tests_for_every_thousand_lines() {
    let mut lines = 0;
    let mut tests = 0;
    for file in all_sources() {
        let text = fs::read_to_string(&file).unwrap();
        lines += product(&text).lines().count();
        tests += text.matches("#[test]").count() + text.matches("#[tokio::test").count();
    }
    for dir in [
        "harness/tests",
        "service/tests",
        "harness/backup/tests",
        "harness/load/tests",
        "harness/core/tests",
        "service/engine/tests",
    ] {
        let dir = root().join(dir);
        if dir.exists() {
            for file in sources(&dir) {
                let text = fs::read_to_string(file).unwrap();
                tests += text.matches("#[test]").count() + text.matches("#[tokio::test").count();
            }
        }
    }
    assert!(tests * 1000 >= lines * 15, "{tests} tests for {lines} lines");
}

#[test]
fn every_file_says_what_it_is() {
    for file in all_sources() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} opens without a `//!` line", file.display());
    }
}

#[test]
fn maps_at_the_door_fit_on_one_screen() {
    for map in [
        "harness/backup/src/lib.rs",
        "harness/core/src/lib.rs",
        "harness/kube/src/lib.rs",
        "harness/load/src/lib.rs",
        "harness/src/lib.rs",
        "service/src/lib.rs",
    ] {
        let length = fs::read_to_string(root().join(map)).unwrap().lines().count();
        assert!(length <= 60, "{map} has {length} lines");
    }
}

#[test]
fn every_test_file_is_listed() {
    let it = root().join("harness/tests/it");
    let main = fs::read_to_string(it.join("main.rs")).unwrap();
    for file in sources(&it) {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let nested = file.parent() != Some(it.as_path());
        assert!(
            nested || stem == "main" || main.contains(&format!("mod {stem};")),
            "{} is not listed",
            file.display()
        );
    }
}
