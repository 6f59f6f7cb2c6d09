//! The names in templates: what an expression names must be drawn, captured or remembered before.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Behaviour, Expr, Mark, Piece, RequestSpec, System, Template};
use crate::{
    name::Name,
    yaml::{Book, Mistake},
};

/// What expressions may name in one place.
struct Scope<'a> {
    drawn: Vec<&'a str>,
    captured: Vec<&'a str>,
    recalled: Vec<&'a str>,
    key: bool,
}

/// Checks the requests of a behaviour.
pub(super) fn check(book: &mut Book<'_>, system: &System, path: &str, behaviour: &Behaviour) {
    let Behaviour::Steps(steps) = behaviour else { return };
    if steps.is_empty() {
        book.say(Mistake::at(format!("{path}.steps"), "the behaviour does nothing").mend("add a request"));
    }
    let mut captured: Vec<&str> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let path = format!("{path}.steps[{index}]");
        check_step(book, system, &path, step, &mut captured);
    }
}

/// Checks the request that finds all that stands under a key.
pub(super) fn check_audit(book: &mut Book<'_>, system: &System) {
    let Some(audit) = &system.audit else { return };
    let scope = Scope { drawn: Vec::new(), captured: Vec::new(), recalled: Vec::new(), key: true };
    check_template(book, &scope, "audit.path", &audit.path);
    if !audit.path.pieces().contains(&Piece::Value(Expr::Key)) {
        book.say(
            Mistake::at("audit.path", "the audit asks for no key")
                .mend("write `{{key}}` where the key belongs"),
        );
    }
    check_pointer(book, "audit.found.list", &audit.found.list);
    check_pointer(book, "audit.found.value", &audit.found.value);
}

fn check_step<'a>(
    book: &mut Book<'_>,
    system: &'a System,
    path: &str,
    step: &'a RequestSpec,
    captured: &mut Vec<&'a str>,
) {
    for (name, data) in step.draw.iter().filter(|(_, data)| !system.data.contains_key(*data)) {
        let known = system.data.keys().map(Name::as_str);
        book.say(Mistake::unknown(format!("{path}.draw.{name}"), "data set", data.as_str(), known));
    }
    let recalled = step.recall.as_ref().map(|pool| fields(system, pool)).unwrap_or_default();
    if let Some(pool) = step.recall.as_ref().filter(|_| recalled.is_empty()) {
        let what = format!("nothing is ever remembered in the pool `{pool}`");
        book.say(
            Mistake::at(format!("{path}.recall"), what)
                .mend(format!("add `remember: {{ pool: {pool}, ... }}` to a step")),
        );
    }
    let drawn = step.draw.keys().map(Name::as_str).collect();
    let mut scope =
        Scope { drawn, captured: captured.clone(), recalled: recalled.into_iter().collect(), key: false };
    check_request(book, &scope, path, step);
    // A write that has no answer must have its key as well: a mark knows no capture of its own step.
    check_mark(book, &scope, path, step);
    for (name, pointer) in &step.capture {
        check_pointer(book, &format!("{path}.capture.{name}"), pointer);
        captured.push(name.as_str());
    }
    scope.captured.clone_from(captured);
    for (name, template) in step.remember.iter().flat_map(|remember| &remember.fields) {
        check_template(book, &scope, &format!("{path}.remember.fields.{name}"), template);
    }
}

fn check_mark(book: &mut Book<'_>, scope: &Scope<'_>, path: &str, step: &RequestSpec) {
    match &step.mark {
        None => {}
        Some(Mark::Write { key, value }) => {
            check_template(book, scope, &format!("{path}.mark.write.key"), key);
            check_template(book, scope, &format!("{path}.mark.write.value"), value);
        }
        Some(Mark::Read { key, value }) => {
            check_template(book, scope, &format!("{path}.mark.read.key"), key);
            check_pointer(book, &format!("{path}.mark.read.value"), value);
        }
    }
}

/// What is sent, and what is expected.
fn check_request(book: &mut Book<'_>, scope: &Scope<'_>, path: &str, step: &RequestSpec) {
    check_template(book, scope, &format!("{path}.path"), &step.path);
    if !step.path.to_string().starts_with('/') {
        book.say(
            Mistake::at(format!("{path}.path"), "the path does not begin with `/`").mend("write `/...`"),
        );
    }
    for (name, template) in &step.headers {
        check_template(book, scope, &format!("{path}.headers.{name}"), template);
    }
    if let Some(body) = &step.body {
        check_value(book, scope, &format!("{path}.body"), body);
    }
    if step.timeout.micros() == 0 {
        book.say(
            Mistake::at(format!("{path}.timeout"), "no answer comes in no time")
                .mend("write a time-out over 0s"),
        );
    }
    if !(100..=599).contains(&step.expect.status) {
        let what = format!("{} is no HTTP status", step.expect.status);
        book.say(Mistake::at(format!("{path}.expect.status"), what).mend("write one from 100 to 599"));
    }
    for (index, fact) in step.expect.json.iter().enumerate() {
        let path = format!("{path}.expect.json[{index}]");
        check_pointer(book, &format!("{path}.at"), &fact.at);
        for (field, value) in [("is", &fact.is), ("near", &fact.near), ("within", &fact.within)] {
            if let Some(value) = value {
                check_value(book, scope, &format!("{path}.{field}"), value);
            }
        }
        if fact.near.is_some() != fact.within.is_some() || fact.is.is_some() && fact.near.is_some() {
            book.say(
                Mistake::at(path, "a fact is `is`, or `near` with `within`").mend("write one or the other"),
            );
        }
    }
}

/// The fields that any behaviour remembers in a pool.
fn fields<'a>(system: &'a System, pool: &Name) -> BTreeSet<&'a str> {
    let steps = system.behaviours.values().flat_map(|behaviour| match behaviour {
        Behaviour::Steps(steps) => steps.as_slice(),
        Behaviour::Mix(_) => &[],
    });
    let remembered =
        steps.filter_map(|step| step.remember.as_ref()).filter(|remember| remember.pool == *pool);
    remembered.flat_map(|remember| remember.fields.keys().map(Name::as_str)).collect()
}

fn check_pointer(book: &mut Book<'_>, path: &str, pointer: &str) {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        let what = format!("{pointer:?} is no JSON pointer");
        book.say(Mistake::at(path, what).mend(format!("write `/{}`", pointer.replace('.', "/"))));
    }
}

fn check_value(book: &mut Book<'_>, scope: &Scope<'_>, path: &str, value: &Value) {
    match value {
        Value::String(text) => {
            let template = text.parse::<Template>().map_err(|e| {
                Mistake::at("", e.to_string())
                    .mend("write `{{uuid}}`, `{{fresh}}`, `{{pick N}}` or `{{NAME/field}}`")
            });
            if let Some(template) = book.keep(path, template) {
                check_template(book, scope, path, &template);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_value(book, scope, &format!("{path}[{index}]"), item);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                check_value(book, scope, &format!("{path}.{name}"), field);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_template(book: &mut Book<'_>, scope: &Scope<'_>, path: &str, template: &Template) {
    for piece in template.pieces() {
        let Piece::Value(expr) = piece else { continue };
        let (kind, name, known) = match expr {
            Expr::Uuid | Expr::Fresh | Expr::Pick(_) => continue,
            Expr::Key if scope.key => continue,
            Expr::Key => {
                let what = "`{{key}}` is known in the audit only";
                book.say(Mistake::at(path, what).mend("write `{{uuid}}` or `{{fresh}}`"));
                continue;
            }
            Expr::Captured(name) => ("capture", name, &scope.captured),
            Expr::Recalled(name) => ("recalled field", name, &scope.recalled),
            Expr::Drawn { name, .. } => ("drawn name", name, &scope.drawn),
        };
        if !known.contains(&name.as_str()) {
            book.say(Mistake::unknown(path, kind, name.as_str(), known.iter().copied()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::system::read;

    fn told(behaviours: &str) -> String {
        let text = format!(
            "format: 1\nname: x\ncomponents: {{ web: {{ ports: [http], ready: {{ tcp: {{ port: http }} }} }} }}\n\
             endpoint: {{ component: web, port: http }}\ndata: {{ questions: q.json }}\nbehaviours:\n{behaviours}"
        );
        match read(text) {
            Ok(_) => "right".to_owned(),
            Err(mistakes) => mistakes.iter().map(|m| m.show("x.yml")).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn what_is_drawn_captured_and_remembered_before_is_known() {
        let behaviours = "  write:
    steps:
      - { method: POST, path: /a, draw: { q: questions }, body: { x: '{{q/x}}', n: ['{{fresh}}'] }, capture: { id: /id } }
      - { method: GET, path: '/a/{{captured/id}}', remember: { pool: items, fields: { id: '{{captured/id}}' } } }
  read:
    steps:
      - { method: GET, path: '/a/{{recalled/id}}', recall: items, mark: { read: { key: '{{recalled/id}}', value: /v } } }
audit: { path: '/a?id={{key}}', found: { list: /items, value: /v } }
";
        assert_eq!(told(behaviours), "right");
    }

    #[test]
    fn names_that_nothing_gives_are_told() {
        insta::assert_snapshot!(told("  a: { steps: [{ method: GET, path: '/{{captured/id}}', capture: { id: /id } }] }\n"), @"x.yml:7:37: unknown capture `id`; none is known here");
        insta::assert_snapshot!(told("  a: { steps: [{ method: POST, path: /, body: { deep: ['{{qestion/x}}'] }, draw: { question: questions } }] }\n"), @"x.yml:7:56: unknown drawn name `qestion`; did you mean `question`?");
        insta::assert_snapshot!(told("  a: { steps: [{ method: GET, path: /, draw: { q: question } }] }\n"), @"x.yml:7:51: unknown data set `question`; did you mean `questions`?");
        insta::assert_snapshot!(told("  a: { steps: [{ method: GET, path: '/{{recalled/id}}', recall: items }] }\n"), @r"
        x.yml:7:37: unknown recalled field `id`; none is known here
        x.yml:7:65: nothing is ever remembered in the pool `items`; add `remember: { pool: items, ... }` to a step
        ");
        insta::assert_snapshot!(told("  a: { steps: [{ method: GET, path: '/{{key}}' }] }\n"), @"x.yml:7:37: `{{key}}` is known in the audit only; write `{{uuid}}` or `{{fresh}}`");
        insta::assert_snapshot!(told("  a: { steps: [{ method: GET, path: '/{{open' }] }\n"), @r#"x.yml:7:37: "/{{open" is no template: `{{` without `}}`; write it like "/items/{{uuid}}""#);
    }

    #[test]
    fn a_mark_knows_no_capture_of_its_own_step() {
        let told = told(
            "  a: { steps: [{ method: POST, path: /, capture: { id: /id }, mark: { write: { key: '{{captured/id}}', value: x } } }] }\n",
        );
        assert_eq!(told, "x.yml:7:85: unknown capture `id`; none is known here");
    }

    #[test]
    fn wrong_pointers_statuses_paths_and_facts_are_told() {
        insta::assert_snapshot!(told("  a: { steps: [{ method: GET, path: x, timeout: 0s, expect: { status: 99, json: [{ at: a.b, near: 1 }] } }] }\n"), @r#"
        x.yml:7:37: the path does not begin with `/`; write `/...`
        x.yml:7:49: no answer comes in no time; write a time-out over 0s
        x.yml:7:71: 99 is no HTTP status; write one from 100 to 599
        x.yml:7:82: a fact is `is`, or `near` with `within`; write one or the other
        x.yml:7:88: "a.b" is no JSON pointer; write `/a/b`
        "#);
        insta::assert_snapshot!(told("  a: { steps: [] }\naudit: { path: /a, found: { list: items, value: '' } }\n"), @r#"
        x.yml:7:8: the behaviour does nothing; add a request
        x.yml:8:16: the audit asks for no key; write `{{key}}` where the key belongs
        x.yml:8:35: "items" is no JSON pointer; write `/items`
        "#);
    }
}
