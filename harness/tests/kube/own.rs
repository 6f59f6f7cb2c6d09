//! The reference system, changed for one test: an overlay of the test's own, and a system file that names it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::stage::root;

/// The node port of the reference system, and those of tests that run at the same time.
pub(crate) const PORTS: [u16; 4] = [30080, 30081, 30082, 30083];

/// A changed copy of the reference system.
pub(crate) struct Own {
    dir: tempfile::TempDir,
}

impl Own {
    /// The overlay for kind with what a kustomization says besides; its resources may be files beside it. Users come in by
    /// the node port.
    pub(crate) fn new(port: u16, resources: &[(&str, &str)], lines: &str) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (entered, overlay) = (dir.path().join("entered"), dir.path().join("overlay"));
        fs::create_dir(&entered).unwrap();
        let kind = upwards(&entered, &root().join("deploy/overlays/kind"));
        let patch = format!(r#"[{{"op": "replace", "path": "/spec/ports/0/nodePort", "value": {port}}}]"#);
        let patch = format!("{{ target: {{ kind: Service, name: ingress }}, patch: '{patch}' }}");
        let text = format!("resources: [{kind}]\npatches: [{patch}]\n");
        fs::write(entered.join("kustomization.yml"), text).unwrap();
        fs::create_dir(&overlay).unwrap();
        let mut all = vec!["../entered".to_owned()];
        for (name, text) in resources {
            fs::write(overlay.join(name), text).unwrap();
            all.push((*name).to_owned());
        }
        let text = format!("resources: [{}]\n{lines}", all.join(", "));
        fs::write(overlay.join("kustomization.yml"), text).unwrap();
        let own = Self { dir };
        own.rewrite(&fs::read_to_string(root().join("deploy/system.yml")).unwrap(), |line| {
            line.replace("overlays/kind", "overlay")
                .replace("overlays/production", "overlay")
                .replace("127.0.0.1:30080", &format!("127.0.0.1:{port}"))
                .replace(
                    "../service/oracle/questions.json",
                    root().join("service/oracle/questions.json").to_str().unwrap(),
                )
        });
        own
    }

    /// Puts lines into the system file, behind the one that begins so.
    pub(crate) fn insert(self, behind: &str, lines: &str) -> Self {
        let text = fs::read_to_string(self.system()).unwrap();
        let found = text.lines().filter(|line| line.starts_with(behind)).count();
        assert_eq!(found, 1, "{found} lines of the system file begin with {behind:?}");
        self.rewrite(&text, |line| match line.starts_with(behind) {
            true => format!("{line}\n{lines}"),
            false => line.to_owned(),
        });
        self
    }

    /// What is deployed of it.
    pub(crate) fn overlay(&self) -> PathBuf {
        self.dir.path().join("overlay")
    }

    /// The system file.
    pub(crate) fn system(&self) -> PathBuf {
        self.dir.path().join("system.yml")
    }

    fn rewrite(&self, text: &str, change: impl Fn(&str) -> String) {
        let lines: Vec<String> = text.lines().map(change).collect();
        fs::write(self.system(), lines.join("\n") + "\n").unwrap();
    }
}

/// The way from one directory to another, up to the root first: kustomize takes no absolute path.
pub(crate) fn upwards(from: &Path, to: &Path) -> String {
    let up = "../".repeat(from.components().count() - 1);
    format!("{up}{}", to.strip_prefix("/").unwrap().display())
}
