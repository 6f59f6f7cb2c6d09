//! What is in the images: no account that may do everything, no shell where none is needed, no secret, and this build's sources.

use std::process::Command;

use serde_json::Value;

use crate::stage::root;

/// Each image with the account that it runs under, and whether its programs need a shell.
const IMAGES: [(&str, &str, bool); 5] = [
    ("causal-service", "65532:65532", false),
    ("harness", "65532:65532", false),
    ("haproxy", "65532:65532", false),
    ("postgres", "999:999", true),
    ("redis", "999:999", true),
];
/// What nobody puts into an image on purpose.
const SECRETS: [&str; 8] =
    [".env", "kubeconfig", "secrets.json", "id_rsa", "id_ed25519", ".pem", ".key", "credentials"];

fn docker(args: &[&str]) -> Vec<u8> {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every path of an image.
fn paths(image: &str) -> Vec<String> {
    let container =
        String::from_utf8(docker(&["create", "--label", "gauntlet.dev/test=images", image, "none"])).unwrap();
    let script = format!("docker export {0} | tar -t; docker rm {0} >/dev/null", container.trim());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn images_hold_what_they_need_and_nothing_else() {
    for (name, user, shell) in IMAGES {
        let image = format!("gauntlet/{name}:{}", env!("CARGO_PKG_VERSION"));
        let about: Value = serde_json::from_slice(&docker(&["image", "inspect", &image])).unwrap();
        let config = &about[0]["Config"];
        assert_eq!(config["User"], user, "{image}");
        for entry in config["Env"].as_array().into_iter().flatten() {
            let (name, _) = entry.as_str().unwrap().split_once('=').unwrap();
            assert!(["PATH", "LANG", "PGDATA"].contains(&name), "{image} has a setting {name}");
        }
        let paths = paths(&image);
        let of = |end: &str| paths.iter().any(|path| path.ends_with(end));
        assert_eq!(of("bin/sh") || of("bin/bash"), shell, "{image}: a shell");
        let secret = paths.iter().find(|path| SECRETS.iter().any(|secret| path.ends_with(secret)));
        assert_eq!(secret, None, "{image}");
        // What docker itself puts into every container is no file of the image.
        let own = paths.iter().filter(|path| !path.ends_with('/') && path.as_str() != ".dockerenv");
        let own =
            own.filter(|path| !["dev/", "etc/", "proc/", "sys/"].iter().any(|dir| path.starts_with(dir)));
        if name == "causal-service" {
            assert_eq!(own.collect::<Vec<_>>(), ["causal-service"], "{image}");
        }
    }
    let stale = Command::new(root().join("deploy/images/build")).arg("--stale").output().unwrap();
    assert!(stale.status.success(), "{}", String::from_utf8_lossy(&stale.stderr));
    let stale = String::from_utf8(stale.stdout).unwrap();
    // The binary of these tests may be linked anew after its image was made.
    let of_a_binary = std::env::var_os("GAUNTLET_HARNESS_BINARY").is_some();
    let stale: Vec<&str> = stale.lines().filter(|name| !(of_a_binary && *name == "harness")).collect();
    assert_eq!(stale, Vec::<&str>::new(), "images of other sources");
}
