//! Recipes: a component's templates rendered for one replica.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Component as Part, Path, PathBuf},
};

use gauntlet_core::{
    act::Revision,
    name::Name,
    port::Trouble,
    system::{Component, FileSource, Local, System},
    yaml::{Mistake, one_of},
};
use minijinja::{Environment, ErrorKind, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde_json::{Value, json};

use super::{account::Account, program};
use crate::layout::{Layout, Replica};

/// What starts one replica.
pub(super) struct Recipe<'a> {
    component: &'a Component,
    local: &'a Local,
    layout: &'a Layout,
    replica: &'a Replica,
    revision: &'a Revision,
    context: Value,
    /// The account that it runs as; none: the harness' own.
    pub(super) account: Option<Account>,
}

/// A program with its arguments, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

impl<'a> Recipe<'a> {
    /// Takes the replica's recipe and the run's secrets.
    pub(super) fn new(
        system: &'a System,
        layout: &'a Layout,
        replica: &'a Replica,
        revision: &'a Revision,
    ) -> Result<Self, Trouble> {
        let what = format!("start {}-{}", replica.component, replica.index);
        let component = system.components.get(&replica.component);
        let component =
            component.ok_or_else(|| Trouble::refused(&what, "the system has no such component"))?;
        let no_recipe = || Trouble::refused(&what, "the component has no `local` recipe");
        let local = component.local.as_ref().ok_or_else(no_recipe)?;
        let account = Account::of(local.user.as_deref()).map_err(|e| Trouble::failed(&what, e))?;
        let secrets = secrets(layout).map_err(|e| Trouble::failed(&what, e))?;
        let context = context(system, layout, replica, &secrets);
        Ok(Self { component, local, layout, replica, revision, context, account })
    }

    /// The program itself.
    pub(super) fn command(&self) -> Result<Command, Trouble> {
        let program = self.revision.changes.program.as_ref().unwrap_or(&self.local.program);
        self.resolve(program, &self.local.args, "args")
    }

    /// What runs to its end before the first start.
    pub(super) fn before(&self) -> Result<Vec<Command>, Trouble> {
        let split = self.local.before.iter().filter_map(|command| command.split_first());
        split.map(|(program, args)| self.resolve(program, args, "before")).collect()
    }

    /// The whole environment: nothing else of the harness' own is passed on.
    pub(super) fn environment(&self) -> Result<BTreeMap<String, String>, Trouble> {
        let path = env::join_paths(program::dirs(self.local)).map_err(|e| self.trouble("PATH", e))?;
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), path.to_string_lossy().into_owned()),
            ("HOME".to_owned(), self.layout.dir(self.replica).display().to_string()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("TZ".to_owned(), "UTC".to_owned()),
        ]);
        for (name, template) in &self.component.settings {
            all.insert(name.clone(), self.render(template, &format!("settings.{name}"))?);
        }
        // Plain text, unlike the settings that they replace.
        all.extend(self.revision.changes.settings.clone());
        Ok(all)
    }

    /// The files of the private directory, by their names there.
    pub(super) fn files(&self) -> Result<Vec<(PathBuf, String)>, Trouble> {
        let mut files = Vec::new();
        for (name, source) in &self.local.files {
            let what = format!("files.{name}");
            let path = PathBuf::from(name);
            if name.is_empty() || !path.components().all(|part| matches!(part, Part::Normal(_))) {
                return Err(Trouble::refused(self.at(&what), "a file stays inside the replica's directory"));
            }
            let template = match source {
                FileSource::Text(text) => text.clone(),
                FileSource::From(file) => {
                    read(&self.layout.root.join(file)).map_err(|e| self.trouble(&what, e))?
                }
            };
            files.push((path, self.render(&template, &what)?));
        }
        Ok(files)
    }

    fn resolve(&self, program: &str, args: &[String], what: &str) -> Result<Command, Trouble> {
        let found = program::find(&self.replica.component, self.local, program, &self.layout.root);
        let program = found.map_err(|missing| self.trouble("program", missing))?;
        let args = args.iter().map(|arg| self.render(arg, what)).collect::<Result<_, _>>()?;
        Ok(Command { program, args })
    }

    fn render(&self, template: &str, what: &str) -> Result<String, Trouble> {
        render(template, &self.context).map_err(|e| self.trouble(what, e))
    }

    fn at(&self, what: &str) -> String {
        format!("start {}-{} ({what})", self.replica.component, self.replica.index)
    }

    fn trouble(&self, what: &str, why: impl ToString) -> Trouble {
        Trouble::failed(self.at(what), why)
    }
}

/// Renders every recipe with made-up ports and secrets: what is wrong in a template shows before anything is started.
/// `root` is the directory of the system file.
pub fn rehearse(system: &System, root: &Path) -> Vec<Mistake> {
    let ports = |component: &Component| usize::from(component.replicas) * component.ports.len();
    // No machine has so many ports; that is refused elsewhere.
    if system.components.values().map(ports).sum::<usize>() > usize::from(u16::MAX) / 2 {
        return Vec::new();
    }
    let (layout, _) = Layout::plan(system, "rehearsal", &root.join("rehearsal"), root, 20_000);
    let secrets = system.secrets.iter().map(|name| (name.to_string(), "0".repeat(32))).collect();
    let mut mistakes = Vec::new();
    for (name, component) in &system.components {
        let (Some(local), Some(replica)) = (&component.local, layout.replica(name, 1)) else { continue };
        let context = context(system, &layout, replica, &secrets);
        for (path, template) in templates(component, local, root) {
            let path = format!("components.{name}.{path}");
            match template {
                Ok(template) => mistakes.extend(wrong(&path, &template, &context)),
                Err(error) => mistakes.push(Mistake::at(path, error.to_string()).mend("write a file's path")),
            }
        }
    }
    mistakes
}

/// Every template of a component, by its place.
fn templates(component: &Component, local: &Local, root: &Path) -> Vec<(String, io::Result<String>)> {
    let mut all: Vec<(String, io::Result<String>)> = Vec::new();
    for (name, template) in &component.settings {
        all.push((format!("settings.{name}"), Ok(template.clone())));
    }
    for (index, arg) in local.args.iter().enumerate() {
        all.push((format!("local.args[{index}]"), Ok(arg.clone())));
    }
    for (at, command) in local.before.iter().enumerate() {
        let args = command.iter().enumerate().skip(1);
        all.extend(args.map(|(index, arg)| (format!("local.before[{at}][{index}]"), Ok(arg.clone()))));
    }
    for (name, source) in &local.files {
        all.push(match source {
            FileSource::Text(text) => (format!("local.files.{name}.text"), Ok(text.clone())),
            FileSource::From(file) => (format!("local.files.{name}.from"), read(&root.join(file))),
        });
    }
    all
}

/// What is wrong in one template, with the variable's name where there is one.
fn wrong(path: &str, template: &str, context: &Value) -> Option<Mistake> {
    let error = render(template, context).err()?;
    if error.kind() == ErrorKind::UndefinedError
        && let Some((name, known)) = unknown(template, context)
    {
        let what = format!("{path}: the template names the unknown variable `{name}`");
        return Some(Mistake::at(path, what).mend(one_of(&name, known.iter().map(String::as_str))));
    }
    let why = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let line = error.line().map(|line| format!(" (line {line} of it)")).unwrap_or_default();
    Some(Mistake::at(path, format!("{path}: the template is wrong: {}{why}{line}", error.kind())))
}

/// The first name in a template that the context lacks, with the names that it has there.
fn unknown(template: &str, context: &Value) -> Option<(String, Vec<String>)> {
    let jinja = Environment::new();
    let named = jinja.template_from_str(template).ok()?.undeclared_variables(true);
    let named: std::collections::BTreeSet<String> = named.into_iter().collect();
    named.into_iter().find_map(|name| {
        let (mut at, mut walked) = (context, String::new());
        for part in name.split('.') {
            let fields = at.as_object()?;
            let Some(next) = fields.get(part) else {
                return Some((
                    format!("{walked}{part}"),
                    fields.keys().map(|key| format!("{walked}{key}")).collect(),
                ));
            };
            walked = format!("{walked}{part}.");
            at = next;
        }
        None
    })
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

fn render(template: &str, context: &Value) -> Result<String, minijinja::Error> {
    let mut jinja = Environment::new();
    jinja.set_undefined_behavior(UndefinedBehavior::Strict);
    jinja.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    jinja.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    jinja.render_str(template, Serde(context))
}

fn secrets(layout: &Layout) -> io::Result<BTreeMap<String, String>> {
    Ok(serde_json::from_slice(&fs::read(layout.secrets())?)?)
}

fn context(system: &System, layout: &Layout, replica: &Replica, secrets: &BTreeMap<String, String>) -> Value {
    let mut components = BTreeMap::<String, Vec<Value>>::new();
    for other in &layout.replicas {
        components.entry(word(other.component.as_str())).or_default().push(place(layout, other));
    }
    json!({
        "component": replica.component,
        "dir": layout.dir(replica),
        "index": replica.index,
        "host": layout.host,
        "root": layout.root,
        "port": ports(replica),
        "secret": secrets.iter().map(|(name, value)| (word(name), value)).collect::<BTreeMap<_, _>>(),
        "components": components,
        "sets": sets(system, layout),
    })
}

/// Of each component the sets beside it, each with its replicas.
fn sets(system: &System, layout: &Layout) -> BTreeMap<String, Vec<Value>> {
    let of = |component: &Name| {
        let sets = system.sets(component).into_keys();
        let shown = sets.map(|set| {
            let replicas = layout.replicas.iter().filter(|replica| replica.component == *set);
            json!({ "name": set, "replicas": replicas.map(|replica| place(layout, replica)).collect::<Vec<_>>() })
        });
        (word(component.as_str()), shown.collect())
    };
    system.components.keys().map(of).collect()
}

fn place(layout: &Layout, replica: &Replica) -> Value {
    let name = format!("{}-{}", replica.component, replica.index);
    json!({ "name": name, "host": layout.host, "port": ports(replica) })
}

fn ports(replica: &Replica) -> BTreeMap<String, u16> {
    let named = |(name, port): (&Name, &u16)| (word(name.as_str()), *port);
    replica.ports.iter().map(named).collect()
}

// A template cannot write a dash in a name.
fn word(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{render, wrong};

    #[test]
    fn a_wrong_template_is_told_with_its_variable_or_its_reason() {
        let context = json!({ "port": { "http": 1 }, "secret": { "password": "x" } });
        let told = |template: &str| wrong("local.args[0]", template, &context).map(|m| m.show("x.yml"));
        assert_eq!(told("{{ port.http }}{{ secret.password }}"), None);
        let secret = told("{{ secret.pasword }}").unwrap();
        assert!(
            secret.ends_with("unknown variable `secret.pasword`; did you mean `secret.password`?"),
            "{secret}"
        );
        let unknown = told("{{ host }}").unwrap();
        assert!(unknown.contains("unknown variable `host`; write one of `port`"), "{unknown}");
        let open = told("{{ port.http").unwrap();
        assert!(open.contains("the template is wrong: syntax error"), "{open}");
    }

    #[test]
    fn an_unknown_variable_is_an_error_and_not_an_empty_text() {
        assert!(render("{{ port.htpp }}", &json!({ "port": { "http": 1 } })).is_err());
    }

    #[test]
    fn a_trailing_newline_stays_and_nothing_is_escaped() {
        assert_eq!(render("{{ a }}\n", &json!({ "a": "<&>" })).unwrap(), "<&>\n");
    }

    #[test]
    fn replicas_can_be_listed() {
        let context =
            json!({ "components": { "service": [{ "name": "service-1" }, { "name": "service-2" }] } });
        let text = render("{% for r in components.service %}{{ r.name }};{% endfor %}", &context).unwrap();
        assert_eq!(text, "service-1;service-2;");
    }
}
