//! Where programs are: beside the system file, in the directories that it names, or in `PATH`.

use std::{
    env, fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Component as Part, Path, PathBuf},
};

use gauntlet_core::{
    name::Name,
    system::{Local, System},
};

/// A program that a system needs and this machine does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingProgram {
    /// The component that needs it.
    pub component: Name,
    /// The program as the system file names it.
    pub program: String,
    /// The Debian package that has it.
    pub package: Option<String>,
    /// The command that builds it.
    pub build: Option<String>,
}

impl fmt::Display for MissingProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: program {:?} is not on this machine", self.component, self.program)?;
        match (&self.package, &self.build) {
            (Some(package), _) => write!(f, " (package {package})"),
            (None, Some(build)) => write!(f, " (built by `{build}`)"),
            (None, None) => Ok(()),
        }
    }
}

/// Every program of the system that is not on this machine. `root` is the directory of the system file.
pub fn missing(system: &System, root: &Path) -> Vec<MissingProgram> {
    let mut missing = Vec::new();
    for (component, recipe) in &system.components {
        let Some(local) = &recipe.local else { continue };
        let before = local.before.iter().filter_map(|command| command.first());
        for program in std::iter::once(&local.program).chain(before) {
            missing.extend(find(component, local, program, root).err());
        }
    }
    missing.dedup();
    missing
}

/// The file of one program of a component.
pub fn find(component: &Name, local: &Local, program: &str, root: &Path) -> Result<PathBuf, MissingProgram> {
    let found = if program.contains('/') {
        Some(root.join(program)).filter(|path| runs(path))
    } else {
        dirs(local).into_iter().map(|dir| dir.join(program)).find(|path| runs(path))
    };
    found.ok_or_else(|| MissingProgram {
        component: component.clone(),
        program: program.to_owned(),
        package: local.package.clone(),
        build: local.build.clone(),
    })
}

/// Where the programs of a component are: the directories that it names come first.
pub(super) fn dirs(local: &Local) -> Vec<PathBuf> {
    local.search.iter().flat_map(|pattern| spread(pattern)).chain(path_dirs()).collect()
}

/// `PATH`, and the directories of daemons that the `PATH` of ordinary users leaves out.
fn path_dirs() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let daemons = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).filter(|dir| dir.is_absolute()).chain(daemons).collect()
}

fn runs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

// `*` stands for any one name; the highest version comes first.
fn spread(pattern: &str) -> Vec<PathBuf> {
    let mut dirs = vec![PathBuf::new()];
    for part in Path::new(pattern).components() {
        dirs = match part {
            Part::Normal(name) if name == "*" => dirs.iter().flat_map(|dir| names(dir)).collect(),
            part => dirs.iter().map(|dir| dir.join(part)).collect(),
        };
    }
    dirs
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_by_cached_key(|name| std::cmp::Reverse(version(name)));
    names.into_iter().map(|name| dir.join(name)).collect()
}

// Numbers compare as numbers, so that 15 is above 9.
fn version(name: &str) -> Vec<(u64, String)> {
    let mut parts = vec![];
    for part in name.split(['.', '-', '_']) {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        parts.push((part[..digits].parse().unwrap_or(0), part[digits..].to_owned()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::{MissingProgram, names, spread, version};

    #[test]
    fn fifteen_is_a_higher_version_than_nine() {
        assert!(version("15") > version("9.6") && version("9.10") > version("9.6"));
    }

    #[test]
    fn a_star_stands_for_any_one_name_highest_version_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "14"] {
            fs::create_dir_all(dir.path().join(name).join("bin")).unwrap();
        }
        let pattern = format!("{}/*/bin", dir.path().display());
        let expected: Vec<PathBuf> = ["15", "14", "9.6"].map(|name| dir.path().join(name).join("bin")).into();
        assert_eq!(spread(&pattern), expected);
        assert_eq!(names(&dir.path().join("absent")), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_is_missing_is_named_with_its_package_or_the_command_that_builds_it() {
        let mut missing = MissingProgram {
            component: "database".parse().unwrap(),
            program: "postgres".into(),
            package: Some("postgresql".into()),
            build: None,
        };
        assert_eq!(
            missing.to_string(),
            "database: program \"postgres\" is not on this machine (package postgresql)"
        );
        (missing.package, missing.build) = (None, Some("cargo build".into()));
        assert!(missing.to_string().ends_with("(built by `cargo build`)"));
    }
}
