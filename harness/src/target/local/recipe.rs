//! Recipes: a component's templates rendered for one replica.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Component as Part, Path, PathBuf},
};

use gauntlet_core::{
    name::Name,
    port::Trouble,
    system::{Component, FileSource, Local, System},
};
use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde_json::{Value, json};

use super::{account::Account, program};
use crate::layout::{Layout, Replica};

/// What starts one replica.
pub(super) struct Recipe<'a> {
    component: &'a Component,
    local: &'a Local,
    layout: &'a Layout,
    replica: &'a Replica,
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
    pub(super) fn new(system: &'a System, layout: &'a Layout, replica: &'a Replica) -> Result<Self, Trouble> {
        let what = format!("start {}-{}", replica.component, replica.index);
        let component = system.components.get(&replica.component);
        let component =
            component.ok_or_else(|| Trouble::refused(&what, "the system has no such component"))?;
        let no_recipe = || Trouble::refused(&what, "the component has no `local` recipe");
        let local = component.local.as_ref().ok_or_else(no_recipe)?;
        let account = Account::of(local.user.as_deref()).map_err(|e| Trouble::failed(&what, e))?;
        let context = context(layout, replica).map_err(|e| Trouble::failed(&what, e))?;
        Ok(Self { component, local, layout, replica, context, account })
    }

    /// The program itself.
    pub(super) fn command(&self) -> Result<Command, Trouble> {
        self.resolve(&self.local.program, &self.local.args, "args")
    }

    /// What runs to its end before the first start.
    pub(super) fn before(&self) -> Result<Vec<Command>, Trouble> {
        let split = self.local.before.iter().filter_map(|command| command.split_first());
        split.map(|(program, args)| self.resolve(program, args, "before")).collect()
    }

    /// The whole environment: nothing else of the harness' own is passed on.
    pub(super) fn environment(&self) -> Result<BTreeMap<String, String>, Trouble> {
        let path = env::join_paths(program::path_dirs()).map_err(|e| self.trouble("PATH", e))?;
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), path.to_string_lossy().into_owned()),
            ("HOME".to_owned(), self.layout.dir(self.replica).display().to_string()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("TZ".to_owned(), "UTC".to_owned()),
        ]);
        for (name, template) in &self.component.settings {
            all.insert(name.clone(), self.render(template, &format!("settings.{name}"))?);
        }
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

fn context(layout: &Layout, replica: &Replica) -> io::Result<Value> {
    let secrets: BTreeMap<String, String> = serde_json::from_slice(&fs::read(layout.secrets())?)?;
    let mut components = BTreeMap::<String, Vec<Value>>::new();
    for other in &layout.replicas {
        components.entry(word(other.component.as_str())).or_default().push(place(layout, other));
    }
    Ok(json!({
        "dir": layout.dir(replica),
        "index": replica.index,
        "host": layout.host,
        "root": layout.root,
        "port": ports(replica),
        "secret": secrets.iter().map(|(name, value)| (word(name), value)).collect::<BTreeMap<_, _>>(),
        "components": components,
    }))
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

    use super::render;

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
