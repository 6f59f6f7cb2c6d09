//! What is expected of an answer: status and facts about its JSON; and what is kept of a right one.

use gauntlet_core::{
    evidence::Class,
    system::{JsonCheck, Mark, RequestSpec},
};
use serde_json::Value;

use super::{DataSets, parts::Parts, scope::Scope};
use crate::{
    bindings::Bindings,
    error::{PlanError, PlanFault},
    recall::Pools,
    value::{Datum, same},
};

/// What is expected of an answer, and done with it.
pub(crate) struct Expectation {
    status: u16,
    checks: Vec<Check>,
    captures: Vec<(usize, String)>,
    remember: Option<(usize, Vec<Parts>)>,
    read: Option<String>,
}

/// What an answer was worth.
pub(crate) struct Judged {
    /// Its class.
    pub(crate) class: Class,
    /// What a read found.
    pub(crate) found: Option<String>,
}

struct Check {
    at: String,
    want: Want,
}

enum Want {
    /// Anything.
    There,
    /// This.
    Same(Value),
    /// What this becomes for the arrival.
    SameAs(Parts),
    /// A number near another.
    Near { value: Number, within: Number },
}

enum Number {
    Fixed(f64),
    Of(super::Slot),
}

/// The longest value that a row carries, in bytes.
const LONGEST_VALUE: usize = 1 << 20;

impl Expectation {
    /// Resolves the names in it; captures of this step become known.
    pub(super) fn compile(spec: &RequestSpec, scope: &mut Scope<'_, '_>) -> Result<Self, PlanError> {
        let checks =
            spec.expect.json.iter().map(|check| Check::compile(check, scope)).collect::<Result<_, _>>();
        let captures = spec.capture.iter().map(|(name, at)| (scope.capture(name), at.clone())).collect();
        let remember = spec.remember.as_ref().map(|remember| {
            let fields =
                remember.fields.values().map(|field| super::plain(field, scope)).collect::<Result<_, _>>()?;
            Ok((scope.pool(&remember.pool)?, fields))
        });
        let read = match &spec.mark {
            Some(Mark::Read { value, .. }) => Some(value.clone()),
            _ => None,
        };
        Ok(Self {
            status: spec.expect.status,
            checks: checks.map_err(|f: PlanFault| f.at("expect"))?,
            captures,
            remember: remember.transpose().map_err(|f: PlanFault| f.at("remember"))?,
            read,
        })
    }

    /// Whether the body is looked into; otherwise it is only counted.
    pub(crate) fn wants_body(&self, status: u16) -> bool {
        let looks = !self.checks.is_empty() || !self.captures.is_empty() || self.read.is_some();
        looks && status == self.status
    }

    /// Judges a whole answer; a right one leaves its captures and what is to be remembered.
    pub(crate) fn judge(
        &self,
        (status, body): (u16, &[u8]),
        data: &DataSets,
        pools: &Pools,
        bindings: &mut Bindings,
    ) -> Judged {
        if status != self.status {
            return Judged { class: Class::WrongStatus, found: None };
        }
        let found = if self.wants_body(status) { self.look(body, data, bindings) } else { Ok(None) };
        let found = match found {
            Ok(found) => found,
            Err(WrongBody(why)) => return Judged { class: Class::WrongBody, found: Some(why) },
        };
        if let Some((pool, fields)) = &self.remember {
            let item = fields.iter().map(|field| datum(field, bindings, data)).collect::<Option<_>>();
            // Its fields were resolved before the run, and captures that are missing made the body wrong.
            item.into_iter().for_each(|item| pools.put(*pool, item));
        }
        Judged { class: Class::Ok, found }
    }

    fn look(
        &self,
        body: &[u8],
        data: &DataSets,
        bindings: &mut Bindings,
    ) -> Result<Option<String>, WrongBody> {
        let body: Value = serde_json::from_slice(body).map_err(|_| WrongBody("no JSON".into()))?;
        self.checks.iter().try_for_each(|check| check.see(&body, bindings, data))?;
        let read = |at: &String| body.pointer(at).and_then(body_text).ok_or_else(|| WrongBody::missing(at));
        let found = self.read.as_ref().map(read).transpose()?;
        for (slot, at) in &self.captures {
            let value = body.pointer(at).ok_or_else(|| WrongBody::missing(at))?;
            bindings.captured[*slot] = Some(Datum::of(value));
        }
        Ok(found)
    }
}

/// What came instead of what was expected, in words.
struct WrongBody(String);

/// The longest text about a wrong body, in characters.
const LONGEST_WHY: usize = 200;

impl WrongBody {
    fn missing(at: &str) -> Self {
        Self(format!("{at} is missing"))
    }

    fn of(at: &str, found: &Value, wanted: &str) -> Self {
        Self(format!("{at} is {found}, not {wanted}").chars().take(LONGEST_WHY).collect())
    }
}

impl Check {
    fn compile(check: &JsonCheck, scope: &mut Scope<'_, '_>) -> Result<Self, PlanFault> {
        let want = match (&check.is, &check.near, &check.within) {
            (None, None, None) => Want::There,
            (Some(is), None, None) => {
                let parts = Parts::json(is, scope)?;
                if parts.fixed().is_some() { Want::Same(is.clone()) } else { Want::SameAs(parts) }
            }
            (None, Some(value), Some(within)) => {
                Want::Near { value: Number::compile(value, scope)?, within: Number::compile(within, scope)? }
            }
            _ => return Err(PlanFault::NearWithin),
        };
        Ok(Self { at: check.at.clone(), want })
    }

    fn see(&self, body: &Value, bindings: &Bindings, data: &DataSets) -> Result<(), WrongBody> {
        let found = body.pointer(&self.at).ok_or_else(|| WrongBody::missing(&self.at))?;
        let wrong = |wanted: &str| Err(WrongBody::of(&self.at, found, wanted));
        match &self.want {
            Want::There => Ok(()),
            Want::Same(wanted) if same(found, wanted) => Ok(()),
            Want::Same(wanted) => wrong(&wanted.to_string()),
            Want::SameAs(parts) => {
                let mut wanted = Vec::new();
                let written = parts.write(bindings, data, &mut wanted);
                match serde_json::from_slice::<Value>(&wanted) {
                    Ok(value) if written.is_ok() && same(found, &value) => Ok(()),
                    _ => wrong(&String::from_utf8_lossy(&wanted)),
                }
            }
            Want::Near { value, within } => {
                let bounds = value.get(bindings, data).zip(within.get(bindings, data));
                match (found.as_f64(), bounds) {
                    (Some(found), Some((value, within))) if (found - value).abs() <= within => Ok(()),
                    (_, Some((value, within))) => wrong(&format!("within {within} of {value}")),
                    (_, None) => wrong("near a number that is known"),
                }
            }
        }
    }
}

impl Number {
    fn compile(value: &Value, scope: &mut Scope<'_, '_>) -> Result<Self, PlanFault> {
        let refused = || PlanFault::NotANumber(value.to_string());
        if let Some(number) = value.as_f64() {
            return Ok(Self::Fixed(number));
        }
        let Value::String(_) = value else { return Err(refused()) };
        let slot = Parts::json(value, scope)?.sole().cloned().ok_or_else(refused)?;
        match slot {
            super::Slot::Drawn { column, .. } if !scope.data.is_numeric(column) => Err(refused()),
            slot => Ok(Self::Of(slot)),
        }
    }

    fn get(&self, bindings: &Bindings, data: &DataSets) -> Option<f64> {
        match self {
            Self::Fixed(number) => Some(*number),
            Self::Of(slot) => bindings.show(slot, data).ok()?.number(),
        }
    }
}

/// A JSON value as a row carries it: a text as it is, anything else as JSON; none when it is too long for a row.
pub(crate) fn body_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (text.len() <= LONGEST_VALUE).then_some(text)
}

/// A field of a remembered item: keeps its type when it is one value.
fn datum(field: &Parts, bindings: &Bindings, data: &DataSets) -> Option<Datum> {
    match field.sole() {
        Some(slot) => bindings.show(slot, data).ok().map(Datum::from),
        None => super::rendered(field, bindings, data).ok().map(|text| Datum::text(&text)),
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::{evidence::Class, seed::Seed};
    use serde_json::{Value, json};

    use crate::{
        bindings::{Bindings, Salt, tests::bindings},
        compile::{Compiled, compile, tests::job},
        recall::Pools,
        value::Shown,
    };

    fn judged(expect: Value, status: u16, body: &str) -> Class {
        let step = json!({"method": "GET", "path": "/", "draw": {"question": "questions"}, "expect": expect});
        let plan = compile(&job(vec![step])).unwrap();
        judge(&plan, status, body, &mut bindings(1, &Salt::draw().unwrap()), &Pools::new(0))
    }

    fn judge(plan: &Compiled, status: u16, body: &str, bindings: &mut Bindings, pools: &Pools) -> Class {
        plan.steps[0].expectation.judge((status, body.as_bytes()), &plan.data, pools, bindings).class
    }

    #[test]
    fn another_status_is_a_wrong_status_whatever_the_body() {
        assert_eq!(judged(json!({}), 200, "no json"), Class::Ok);
        assert_eq!(judged(json!({}), 500, ""), Class::WrongStatus);
        assert_eq!(judged(json!({"status": 201}), 200, ""), Class::WrongStatus);
    }

    #[test]
    fn a_body_that_is_no_json_or_lacks_a_fact_is_a_wrong_body() {
        let there = json!({"json": [{"at": "/a/0"}]});
        assert_eq!(judged(there.clone(), 200, r#"{"a": [null]}"#), Class::Ok);
        assert_eq!(judged(there.clone(), 200, r#"{"a": []}"#), Class::WrongBody);
        assert_eq!(judged(there, 200, "<html>"), Class::WrongBody);
    }

    #[test]
    fn values_must_be_the_same_and_numbers_near() {
        let is = |is: Value| json!({"json": [{"at": "/x", "is": is}]});
        assert_eq!(judged(is(json!({"y": 1})), 200, r#"{"x": {"y": 1.0}}"#), Class::Ok);
        assert_eq!(judged(is(json!("1")), 200, r#"{"x": 1}"#), Class::WrongBody);
        // The first item of the data set is drawn by nobody here: binding 0 is item 0, whose truth is 0.5.
        assert_eq!(judged(is(json!("{{question/truth}}")), 200, r#"{"x": 0.5}"#), Class::Ok);
        assert_eq!(judged(is(json!("{{question/truth}}")), 200, r#"{"x": 0.51}"#), Class::WrongBody);
        let near = json!({"json": [{"at": "/x", "near": "{{question/truth}}", "within": 0.1}]});
        assert_eq!(judged(near.clone(), 200, r#"{"x": 0.59}"#), Class::Ok);
        assert_eq!(judged(near.clone(), 200, r#"{"x": 0.61}"#), Class::WrongBody);
        assert_eq!(judged(near, 200, r#"{"x": "0.5"}"#), Class::WrongBody);
    }

    #[test]
    fn a_wrong_body_is_told_with_what_came_and_what_was_expected() {
        let why = |check: Value, body: &str| {
            let step = json!({"method": "GET", "path": "/", "expect": {"json": [check]}});
            let plan = compile(&job(vec![step])).unwrap();
            let mut bindings = bindings(1, &Salt::draw().unwrap());
            let whole = (200, body.as_bytes());
            plan.steps[0].expectation.judge(whole, &plan.data, &Pools::new(0), &mut bindings).found.unwrap()
        };
        assert_eq!(why(json!({"at": "/x", "is": "a"}), r#"{"x": "b"}"#), r#"/x is "b", not "a""#);
        let near = json!({"at": "/x", "near": 1, "within": 0.1});
        assert_eq!(why(near.clone(), r#"{"x": 3.2}"#), "/x is 3.2, not within 0.1 of 1");
        assert_eq!(why(near.clone(), "{}"), "/x is missing");
        assert_eq!(why(near, "<html>"), "no JSON");
    }

    #[test]
    fn a_right_answer_leaves_its_captures_and_is_remembered() {
        let step = json!({"method": "GET", "path": "/", "capture": {"id": "/id"},
            "remember": {"pool": "p", "fields": {"id": "{{captured/id}}", "title": "no. {{captured/id}}"}}});
        let plan = compile(&job(vec![step])).unwrap();
        let (pools, mut bindings) = (Pools::new(1), bindings(1, &Salt::draw().unwrap()));
        assert_eq!(judge(&plan, 200, r#"{"no": 1}"#, &mut bindings, &pools), Class::WrongBody);
        assert!(pools.draw(0, &mut Seed(1).stream("x")).is_none(), "a wrong answer is not remembered");
        assert_eq!(judge(&plan, 200, r#"{"id": 12}"#, &mut bindings, &pools), Class::Ok);
        let item = pools.draw(0, &mut Seed(1).stream("x")).unwrap();
        assert_eq!((item[0].show(), item[1].show()), (Shown::Json("12"), Shown::Text("no. 12")));
    }

    #[test]
    fn a_read_gives_what_it_found_as_text() {
        let step = json!({"method": "GET", "path": "/", "mark": {"read": {"key": "k", "value": "/note"}}});
        let plan = compile(&job(vec![step])).unwrap();
        let found = |body: &str| {
            let mut bindings = bindings(1, &Salt::draw().unwrap());
            let judged = plan.steps[0].expectation.judge(
                (200, body.as_bytes()),
                &plan.data,
                &Pools::new(0),
                &mut bindings,
            );
            (judged.class, judged.found)
        };
        assert_eq!(found(r#"{"note": 17}"#), (Class::Ok, Some("17".into())));
        assert_eq!(found(r#"{"note": "a"}"#), (Class::Ok, Some("a".into())));
        assert_eq!(found(r"{}"), (Class::WrongBody, Some("/note is missing".into())));
    }
}
