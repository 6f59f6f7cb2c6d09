//! What is wrong with a cluster is named, under the right exit code, and nothing is left.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    cluster::{here, kubeconfig, kubectl, left_of},
    own::Own,
    stage::{Stage, files_below, root},
    target::Gone,
};

/// Node ports that lead nowhere: what never comes up takes none of those that other tests use meanwhile.
const UNREACHED: [u16; 2] = [30090, 30091];

const QUIET: &str = "
hypothesis: it comes up
system: SYSTEM
seed: 1
load:
  - behaviour: mixed
    arrivals: { constant: 20/s }
phases: { baseline: 2s }
objectives:
  - p95 < 1s
";

fn with(more: &[&str]) -> Vec<String> {
    more.iter().map(|word| (*word).to_owned()).collect()
}

fn told(more: &[String], code: i32, words: &[&str]) {
    told_of(&root().join("deploy/system.yml"), more, code, words);
}

fn told_of_overlay(resources: &[(&str, &str)], lines: &str, code: i32, words: &[&str]) {
    let stage = told_of(&Own::new(UNREACHED[0], resources, lines).system(), &here(), code, words);
    kept(&stage);
}

fn kept(stage: &Stage) {
    let summary = stage.run_dir().join("diagnostics/summary.txt");
    assert!(summary.exists(), "a set-up that failed has no {}", summary.display());
}

fn told_of(system: &Path, more: &[String], code: i32, words: &[&str]) -> Stage {
    let stage = Stage::new();
    let ended = stage.run(&QUIET.replace("SYSTEM", system.to_str().unwrap()), more);
    assert_eq!(ended.code, code, "{}", ended.text);
    // Lines are broken for readers.
    let told = ended.text.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(told.contains(word), "no {word:?} in {}", ended.text);
    }
    assert_eq!(left_of(&stage), Vec::<String>::new(), "{}", ended.text);
    stage
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_wrong_kubeconfig_or_context_is_a_bad_command() {
    told(
        &with(&["--target", "kube", "--kubeconfig", "/nowhere/config"]),
        2,
        &["/nowhere/config", "nothing was started"],
    );
    let kubeconfig = kubeconfig().display().to_string();
    let wrong = with(&["--target", "kube", "--kubeconfig", &kubeconfig, "--context", "nobody"]);
    told(&wrong, 2, &["nobody", "nothing was started"]);
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_namespace_that_is_not_listed_is_refused_and_one_that_is_not_there_fails_the_set_up() {
    let here = here();
    let at = |namespace: &str| [here.clone(), with(&["--namespace", namespace])].concat();
    told(&at("kube-system"), 2, &["kube-system", "does not list it"]);
    told(&at("causal"), 4, &["there is no such namespace"]);
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_context_that_looks_like_production_needs_a_flag() {
    let text = std::fs::read_to_string(kubeconfig()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(
        &file,
        text.replace("current-context: ", "current-context: prod-")
            .replace("  name: kind-", "  name: prod-kind-"),
    )
    .unwrap();
    let file = file.display().to_string();
    told(
        &with(&["--target", "kube", "--kubeconfig", &file]),
        2,
        &["looks like production", "--allow-production"],
    );
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_missing_image_and_a_quota_are_named() {
    let image = "images: [{ name: gauntlet/causal-service, newTag: nowhere }]\n";
    told_of_overlay(
        &[],
        image,
        4,
        &["SETUP FAILED", "image-pull: ", "ErrImageNeverPull", "mend: build the image"],
    );
    let quota =
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: few }\nspec: { hard: { pods: '3' } }\n";
    told_of_overlay(
        &[("quota.yml", quota)],
        "",
        4,
        &["SETUP FAILED", "quota: ", "exceeded quota", "mend: raise the ResourceQuota"],
    );
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_deployment_that_does_not_come_up_leaves_diagnostics_without_a_secret() {
    let image = "images: [{ name: gauntlet/causal-service, newTag: nowhere }]\n";
    let own = Own::new(UNREACHED[1], &[], image);
    let namespace = format!("causes-{}", std::process::id());
    let _gone = Gone(namespace.clone());
    let (config, context) = (kubeconfig().display().to_string(), kubectl(&["config", "current-context"]));
    let at = ["--kubeconfig", &config, "--context", context.trim(), "--namespace", &namespace];
    let system = own.system();
    let ended = Stage::new().gauntlet(&[&["deploy", system.to_str().unwrap()][..], &at].concat());
    assert_eq!(ended.code, 4, "{}", ended.text);
    for word in
        ["error: image-pull: ", "ErrImageNeverPull", "mend: build the image", "begin with summary.txt"]
    {
        assert!(ended.text.contains(word), "no {word:?} in {}", ended.text);
    }
    let kept = ended.text.lines().find_map(|line| line.strip_prefix("diagnostics are in ")).unwrap();
    let kept = root().join(kept.split_once(';').unwrap().0);
    let template = "go-template={{range .data}}{{. | base64decode}}{{\"\\n\"}}{{end}}";
    let secrets = kubectl(&["get", "secret", "causal-secrets", "-n", &namespace, "-o", template]);
    assert!(secrets.lines().count() >= 2 && secrets.lines().all(|secret| secret.len() > 8));
    let files = files_below(kept.clone());
    for file in &files {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        let told = secrets.lines().any(|secret| text.contains(secret));
        assert!(!told, "a secret is in {}", file.display());
    }
    let count = files.len();
    assert!(count > 5 && kept.join("summary.txt").exists(), "{count} files in {}", kept.display());
    fs::remove_dir_all(kept).unwrap();
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn who_may_only_look_is_told_what_is_forbidden() {
    let account = format!("looks-{}", std::process::id());
    kubectl(&["create", "serviceaccount", &account, "-n", "default"]);
    let subject = format!("--serviceaccount=default:{account}");
    kubectl(&["create", "clusterrolebinding", &account, "--clusterrole=view", &subject]);
    let token = kubectl(&["create", "token", &account, "-n", "default", "--duration=10m"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    fs::copy(kubeconfig(), &file).unwrap();
    let file = file.display().to_string();
    let config = |args: &[&str]| {
        let mut kubectl = std::process::Command::new("kubectl");
        assert!(
            kubectl.args(["config", "--kubeconfig", &file]).args(args).output().unwrap().status.success()
        );
    };
    config(&["set-credentials", "looks", &format!("--token={}", token.trim())]);
    config(&["set-context", "--current", "--user=looks"]);
    let at = with(&["--target", "kube", "--kubeconfig", &file]);
    let stage = told_of(&root().join("deploy/system.yml"), &at, 4, &["forbidden: ", "create", "diagnostics"]);
    kept(&stage);
    kubectl(&["delete", "clusterrolebinding", &account]);
    kubectl(&["delete", "serviceaccount", &account, "-n", "default"]);
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn an_add_on_that_fails_is_named_and_diagnostics_are_kept() {
    let context = kubectl(&["config", "current-context"]);
    let Some(name) = context.trim().strip_prefix("kind-") else {
        println!("not asked: `gauntlet cluster up` is for clusters of kind, not for {context}");
        return;
    };
    let stage = Stage::new();
    let program = stage.dir().join("installs");
    fs::write(&program, "#!/bin/sh\necho \"no chart of $1 for $CLUSTER\" >&2\nexit 7\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = stage.command();
    command.env("GAUNTLET_ADDON", &program).env("GAUNTLET_HARNESS_BINARY", env!("CARGO_BIN_EXE_gauntlet"));
    command.args(["cluster", "up", "--name", name, "--with", "balloons"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains(&format!("no chart of balloons for {name}")), "{text}");
    let kept = text.lines().find_map(|line| line.split_once("diagnostics are kept in ")).unwrap().1;
    let files = files_below(Path::new(kept.trim()).to_path_buf());
    assert!(files.iter().any(|file| file.to_string_lossy().contains("kubelet")), "{files:?}");
}
