//! Manifests: YAML of many documents, read as objects.

use gauntlet_core::port::Trouble;
use kube::core::DynamicObject;
use serde_json::Value;

/// The objects of a manifest, in its order. Empty documents are left out; an object that has no kind or no name is a
/// mistake. `source` says where the text is from.
pub fn documents(source: &str, text: &str) -> Result<Vec<DynamicObject>, Trouble> {
    let failed = |why: String| Trouble::failed(format!("reading {source}"), why);
    let values: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|e| failed(e.to_string()))?;
    let objects = values.into_iter().flat_map(members);
    objects
        .enumerate()
        .map(|(at, value)| object(value).map_err(|e| failed(format!("object {}: {e}", at + 1))))
        .collect()
}

// A `List` is its items.
fn members(value: Value) -> Vec<Value> {
    match value {
        Value::Object(mut fields) if fields.get("kind").is_some_and(|kind| kind == "List") => {
            match fields.remove("items") {
                Some(Value::Array(items)) => items,
                _ => vec![],
            }
        }
        other => vec![other],
    }
}

fn object(value: Value) -> Result<DynamicObject, String> {
    let object: DynamicObject = serde_json::from_value(value).map_err(|e| e.to_string())?;
    let types = object.types.as_ref().ok_or("it has no kind")?;
    if object.metadata.name.is_none() {
        return Err(format!("the {} has no name", types.kind));
    }
    Ok(object)
}

/// How an object is called in messages: `Deployment shop/web`.
pub(crate) fn called(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("object", |types| types.kind.as_str());
    let name = object.metadata.name.as_deref().unwrap_or("?");
    match &object.metadata.namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{called, documents};

    #[test]
    fn documents_and_lists_are_read_in_order_and_empty_ones_left_out() {
        let text = "
# only a comment
---
{ apiVersion: v1, kind: Namespace, metadata: { name: a } }
---
apiVersion: v1
kind: List
items:
  - { apiVersion: apps/v1, kind: Deployment, metadata: { name: b, namespace: a } }
---
";
        let names: Vec<_> = documents("it", text).unwrap().iter().map(called).collect();
        assert_eq!(names, ["Namespace a", "Deployment a/b"]);
    }

    #[test]
    fn a_mistake_says_where_it_is() {
        let told = |text: &str| documents("it.yml", text).unwrap_err().to_string();
        assert_eq!(told("metadata: { name: a }"), "reading it.yml failed: object 1: it has no kind");
        let nameless = "{ apiVersion: v1, kind: Secret, metadata: {} }";
        assert_eq!(told(nameless), "reading it.yml failed: object 1: the Secret has no name");
        assert!(told("a: [").starts_with("reading it.yml failed: "));
    }
}
