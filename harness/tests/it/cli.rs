//! The command line as people read it: help, lists, a plan, mistakes. And the documentation: it knows every word, its
//! examples are right, its links lead somewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gauntlet::target::TARGETS;
use gauntlet_core::{
    judge::JUDGES,
    kind::{DRILLS, FAULTS, ROLLOUTS},
    system,
};
use serde_json::Value;

use crate::stage::root;

const COMMANDS: [&str; 19] = [
    "run", "gate", "drill", "plan", "replay", "list", "schema", "doctor", "status", "heal", "cluster",
    "images", "deploy", "undeploy", "diagnose", "backup", "verify", "restore", "compare",
];
/// Commands of commands.
const BENEATH: [(&str, &str); 13] = [
    ("cluster", "up"),
    ("cluster", "down"),
    ("cluster", "status"),
    ("cluster", "install"),
    ("cluster", "uninstall"),
    ("images", "build"),
    ("backup", "logical"),
    ("backup", "point-in-time"),
    ("backup", "follow"),
    ("backup", "extend"),
    ("backup", "redis"),
    ("backup", "configuration"),
    ("backup", "prune"),
];

/// A place of its own, and the command run there.
struct Shell(tempfile::TempDir);

impl Shell {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Exit code and everything that was printed.
    fn gauntlet(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.args(args).current_dir(root()).env("XDG_STATE_HOME", self.0.path()).stdin(Stdio::null());
        let output = command
            .env("NO_COLOR", "1")
            .env_remove("COLUMNS")
            .env_remove("RUST_LOG")
            .env_remove("GAUNTLET_ADDON")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), self.redact(&text))
    }

    fn right(&self, args: &[&str]) -> String {
        let (code, text) = self.gauntlet(args);
        assert_eq!(code, 0, "{args:?}: {text}");
        text
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// Replaces what differs from machine to machine.
    fn redact(&self, text: &str) -> String {
        let places = [(self.0.path(), "[dir]"), (&root(), "[root]")];
        places.iter().fold(text.to_owned(), |text, (path, name)| text.replace(path.to_str().unwrap(), name))
    }
}

fn of_root(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn help_is_as_a_person_reads_it() {
    let shell = Shell::new();
    let mut text = shell.right(&["--help"]);
    for command in COMMANDS {
        text += &format!("\n$ gauntlet {command} --help\n{}", shell.right(&[command, "--help"]));
    }
    for (command, beneath) in BENEATH {
        let help = shell.right(&[command, beneath, "--help"]);
        text += &format!("\n$ gauntlet {command} {beneath} --help\n{help}");
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn lists_are_as_a_person_reads_them() {
    let lists = ["faults", "rollouts", "drills", "targets", "checks"].map(|what| {
        let list = Shell::new().right(&["list", what]);
        format!("$ gauntlet list {what}\n{list}")
    });
    insta::assert_snapshot!("lists", lists.join("\n"));
}

#[test]
fn the_plan_of_the_gate_is_as_a_person_reads_it() {
    insta::assert_snapshot!("plan", Shell::new().right(&["plan", "scenarios/gate/benchmarks.yml"]));
}

#[test]
fn drills_that_cannot_begin_are_in_the_record_too() {
    let shell = Shell::new();
    let (code, told) = shell.gauntlet(&["drill"]);
    assert!(code == 2 && told.contains("--all"), "{told}");
    let (bad, reports) = (shell.write("bad.yml", "hypothesis: [\n"), shell.0.path().join("reports"));
    let (code, told) = shell.gauntlet(&["drill", &bad, "--reports", reports.to_str().unwrap()]);
    assert!(code == 2 && told.contains("bad scenario   [dir]/bad.yml"), "{told}");
    let dir = fs::read_dir(reports.join("drills")).unwrap().next().unwrap().unwrap().path();
    let record: Value = serde_json::from_slice(&fs::read(dir.join("drills.json")).unwrap()).unwrap();
    assert_eq!(record["exit_code"], 2);
    let why = record["scenarios"][0]["reason"].as_str().unwrap();
    assert!(why.contains("bad.yml"), "{why}");
    fs::remove_dir_all(&reports).unwrap();
    fs::write(&reports, "").unwrap();
    let (code, told) = shell.gauntlet(&["drill", &bad, "--reports", reports.to_str().unwrap()]);
    assert!(code == 2 && told.contains("no record of these drills: cannot write"), "{told}");
}

#[test]
fn a_plan_as_json_is_json() {
    let plan: Value =
        serde_json::from_str(&Shell::new().right(&["plan", "--json", "scenarios/gate/benchmarks.yml"]))
            .unwrap();
    assert_eq!(plan["scenario"], "benchmarks");
}

#[test]
fn nothing_in_force_is_said_and_is_no_mistake() {
    let shell = Shell::new();
    assert_eq!(shell.right(&["status"]), "nothing is in force\n");
    assert_eq!(shell.right(&["heal"]), "nothing is in force\n");
    insta::assert_snapshot!(shell.gauntlet(&["heal", "another"]).1, @r#"error: no run "another" is in force; see `gauntlet status`"#);
}

#[test]
fn the_doctor_says_what_is_missing_and_how_to_get_it() {
    let shell = Shell::new();
    assert_eq!(shell.right(&["doctor", "examples/hello/system.yml"]), "nothing is missing\n");
    let ill = of_root("examples/hello/system.yml").replace("program: python3", "program: python9");
    let ill = shell.write("system.yml", &ill);
    let told = shell.gauntlet(&["doctor", &ill]);
    assert_eq!(told, (4, "web: program \"python9\" is not on this machine (package python3)\n".to_owned()));
    assert_eq!(shell.gauntlet(&["doctor", "--packages", &ill]), (4, "python3\n".to_owned()));
}

#[test]
fn a_mistake_in_the_command_is_told_and_starts_nothing() {
    let shell = Shell::new();
    let hello = "examples/hello/steady.yml";
    let policies = "scenarios/kube/network-policies.yml";
    let cases: [(&[&str], &str); 27] = [
        (&[], "Usage: gauntlet <COMMAND>"),
        (&["rum"], "'run'"),
        (&["run"], "<SCENARIOS>..."),
        (&["run", "nowhere.yml"], "nowhere.yml: No such file"),
        (&["run", "harness/core/src"], "no scenario (.yml, .yaml) in this directory"),
        (&["run", hello, "--target", "locla"], "no such target; there are: local"),
        (&["run", hello, "--seed", "many"], "--seed"),
        (&["run", hello, "--set", "web.replicas"], "has no `=`"),
        (&["run", hello, "--set", "wep.replicas=2"], "no component"),
        (&["plan", hello, "--endpoint", "192.0.2.1:80"], "--allow-host 192.0.2.1"),
        // With a namespace an address is no way around what may be touched.
        (
            &[
                "plan",
                hello,
                "--target",
                "kube",
                "--context",
                "x",
                "--namespace",
                "shop",
                "--endpoint",
                "127.0.0.1:9",
            ],
            "does not list it",
        ),
        (&["plan", policies], "cannot open connections from a component's place"),
        (
            &["plan", policies, "--target", "kube", "--endpoint", "127.0.0.1:9"],
            "connections (from database) need a system that this run started",
        ),
        (&["list", "faulst"], "'faults'"),
        (&["replay", "nowhere"], "nowhere"),
        (&["cluster", "up", "--config", "nowhere.yml"], "nowhere.yml: no such file"),
        (
            &["cluster", "up", "--config", "README.md", "--with", "nonsense"],
            "let GAUNTLET_ADDON name a program",
        ),
        (&["cluster", "down", "--name", "../up"], "lower-case letters"),
        (&["images", "build", "--only", "nonsense"], "no image nonsense; there are: "),
        (&["cluster", "install"], "--context <CONTEXT>"),
        (&["deploy"], "--context <CONTEXT>"),
        (&["deploy", "--context", "none", "--overlay", "nonsense"], "there are: kind, production"),
        (&["undeploy", "--context", "none"], "--namespace <NAMESPACE>"),
        (&["undeploy", "--context", "eu-prod-1", "--namespace", "x", "--yes"], "say --allow-production"),
        (&["undeploy", "--context", "none", "--namespace", "x"], "`--yes` removes without asking"),
        (&["diagnose", "--context", "none"], "--namespace <NAMESPACE>"),
        (&["cluster", "status", "--kubeconfig", "x"], "--context <CONTEXT>"),
    ];
    for (args, why) in cases {
        let (code, text) = shell.gauntlet(args);
        assert_eq!(code, 2, "{args:?}: {text}");
        assert!(text.contains(why), "{args:?}: {text}");
        assert!(!text.contains('\u{1b}'), "{args:?} prints colours into a pipe");
    }
}

#[test]
fn what_a_cluster_needs_and_is_not_there_is_told() {
    let shell = Shell::new();
    let (code, told) = shell.gauntlet(&["cluster", "status", "--name", "none"]);
    let why = "there is none; `gauntlet cluster up` makes it, `--context` names another";
    assert_eq!((code, told), (4, format!("error: [dir]/gauntlet/clusters/none.kubeconfig failed: {why}\n")));
    let kubeconfig = shell.write("kubeconfig", "{ apiVersion: v1, kind: Config }");
    for words in [
        &["cluster", "install"][..],
        &["cluster", "uninstall"],
        &["cluster", "status"],
        &["deploy"],
        &["undeploy", "--namespace", "x", "--yes"],
        &["diagnose", "--namespace", "x"],
    ] {
        let at = ["--context", "none", "--kubeconfig", &kubeconfig];
        let (code, told) = shell.gauntlet(&[words, &at].concat());
        assert_eq!(code, 2, "{words:?}: {told}");
        assert!(told.starts_with("error: context none of [dir]/kubeconfig failed: "), "{words:?}: {told}");
    }
}

#[test]
fn a_component_without_a_recipe_is_told_before_anything_starts() {
    let shell = Shell::new();
    let text = of_root("examples/hello/system.yml");
    let (before, after) = (text.find("    local:").unwrap(), text.find("    ready:").unwrap());
    shell.write("system.yml", &(text[..before].to_owned() + &text[after..]));
    let scenario = shell.write("steady.yml", &of_root("examples/hello/steady.yml"));
    let (code, told) = shell.gauntlet(&["plan", &scenario]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("system.yml:5:3: `web` has no `local` recipe"), "{told}");
    // Elsewhere it is somebody else's to start.
    shell.right(&["plan", &scenario, "--endpoint", "127.0.0.1:9"]);
}

#[test]
fn the_schemas_that_are_kept_are_those_of_this_build() {
    for of in ["scenario", "system"] {
        let kept = of_root(&format!("docs/schema/{of}.json"));
        let mend = format!("run: gauntlet schema {of} > docs/schema/{of}.json");
        assert_eq!(Shell::new().right(&["schema", of]), kept, "{mend}");
    }
}

/// Every name of a property in a schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(own)) = fields.get("properties") {
                found.extend(own.keys().cloned());
            }
            fields.values().for_each(|field| properties(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

#[test]
fn every_word_of_both_files_is_documented() {
    let docs = of_root("docs/scenarios.md");
    let mut words = BTreeSet::new();
    for of in ["scenario", "system"] {
        properties(&serde_json::from_str(&of_root(&format!("docs/schema/{of}.json"))).unwrap(), &mut words);
    }
    words.extend(FAULTS.iter().map(|fault| fault.about().word.to_owned()));
    words.extend(ROLLOUTS.iter().map(|rollout| rollout.about().word.to_owned()));
    words.extend(DRILLS.iter().map(|drill| drill.about().word.to_owned()));
    words.extend(JUDGES.iter().filter(|judge| judge.asked).map(|judge| judge.name.to_owned()));
    words.extend(TARGETS.iter().map(|target| target.name().to_owned()));
    let silent: Vec<String> = words.into_iter().filter(|word| !docs.contains(&format!("`{word}`"))).collect();
    assert_eq!(silent, Vec::<String>::new(), "docs/scenarios.md says nothing of these");
}

#[test]
fn every_judge_is_in_the_documentation_of_verdicts() {
    let docs = of_root("docs/evidence.md").to_lowercase();
    for class in gauntlet_core::evidence::Class::ALL {
        assert!(docs.contains(&format!("`{}`", class.word())), "{}", class.word());
    }
    for outcome in gauntlet_core::outcome::Outcome::ALL {
        let row = format!("| {outcome} | {} |", outcome.exit_code());
        assert!(docs.contains(&row) && of_root("README.md").contains(&row), "{row}");
    }
}

/// What is written for people, by its path.
fn documents() -> BTreeMap<String, String> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|ext| ext == "md"));
    let names = docs.map(|path| format!("docs/{}", path.file_name().unwrap().to_str().unwrap()));
    names.chain(["README.md".to_owned()]).map(|name| (name.clone(), of_root(&name))).collect()
}

/// The fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_scenario_in_the_documentation_can_be_planned() {
    let system = root().join("deploy/system.yml");
    let mut seen = 0;
    for (name, text) in documents() {
        for block in blocks(&text, "yaml").into_iter().filter(|block| block.starts_with("hypothesis:")) {
            let shell = Shell::new();
            let file = shell
                .write("example.yml", &block.replace("../../deploy/system.yml", system.to_str().unwrap()));
            let (code, told) = shell.gauntlet(&["plan", &file]);
            assert_eq!(code, 0, "{name}: {told}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "the examples are gone");
}

#[test]
fn every_scenario_of_the_repository_can_be_planned_somewhere() {
    let shell = Shell::new();
    for directory in fs::read_dir(root().join("scenarios")).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let target = if file.parent().unwrap().ends_with("kube") { "kube" } else { "local" };
            let (code, told) = shell.gauntlet(&["plan", file.to_str().unwrap(), "--target", target]);
            // Without a cluster nobody can say more than that the file is right.
            assert!(code == 0 || (target == "kube" && !told.contains(".yml:")), "{}: {told}", file.display());
        }
    }
}

#[test]
fn every_piece_of_a_system_in_the_documentation_is_read() {
    let docs = of_root("docs/scenarios.md");
    let of_system =
        |block: &&str| ["format: 1", "behaviours:", "audit:"].iter().any(|word| block.starts_with(word));
    let pieces: Vec<&str> = blocks(&docs, "yaml").into_iter().filter(of_system).collect();
    assert_eq!(pieces.len(), 3);
    system::read(pieces.concat()).unwrap();
    let example = of_root("examples/hello/system.yml");
    let shown = of_root("README.md");
    let shown = blocks(&shown, "yaml").into_iter().find(|block| block.starts_with("format:")).unwrap();
    assert_eq!(
        shown,
        &example[example.find("format:").unwrap()..],
        "the README's system file is that of the example"
    );
}

#[test]
fn every_command_in_the_documentation_is_one() {
    let mut seen = BTreeSet::new();
    for (name, text) in documents() {
        for line in blocks(&text, "console").into_iter().flat_map(str::lines) {
            let Some((_, words)) = line.split_once("gauntlet ").filter(|_| line.starts_with("$ ")) else {
                continue;
            };
            let word = words.split(' ').next().unwrap();
            if line.contains("cargo") {
                continue;
            }
            assert!(COMMANDS.contains(&word), "{name}: {line}");
            seen.insert(word.to_owned());
        }
    }
    assert!(seen.len() >= 4, "{seen:?}");
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Targets of `[...](target)` that lead into the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.contains(' '))
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    for (name, text) in documents() {
        let beside = root().join(&name).parent().map(Path::to_owned).unwrap();
        for link in links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let file: PathBuf = if path.is_empty() { root().join(&name) } else { beside.join(path) };
            assert!(file.exists(), "{name}: {link}");
            if !heading.is_empty() {
                let there = fs::read_to_string(&file).unwrap();
                let known =
                    there.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(known, "{name}: {link}");
            }
        }
    }
}
