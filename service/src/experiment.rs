//! Experiments and their runs, as they go over the wire.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::answer::Answer;
use crate::question::{Mistake, Question, check_name};

/// The longest name of an experiment, in characters.
pub const MAX_NAME: usize = 200;
/// The longest note, in characters.
pub const MAX_NOTE: usize = 2_000;

/// What a client writes: a named question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "dose-42",
    "query": {
        "model": {"nodes": [{"name": "dose"}, {"name": "recovery"}],
                  "edges": [{"from": "dose", "to": "recovery", "weight": 2.0}]},
        "treatment": "dose", "outcome": "recovery", "samples": 1000, "seed": 7
    }
}))]
pub struct Draft {
    /// A name; need not be unique.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f]+$",
        example = "dose-42"
    )]
    pub name: String,
    /// The question to ask.
    pub query: Question,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, pattern = "^[^\\u0000]*$")]
    pub note: Option<String>,
}

impl Draft {
    /// Checks what needs no graph.
    pub fn check(&self) -> Result<(), Mistake> {
        check_name(&self.name, MAX_NAME).map_err(|message| Mistake::new("name", message))?;
        let note = self.note.as_deref().unwrap_or_default();
        if note.chars().count() > MAX_NOTE {
            return Err(Mistake::new("note", format!("must be at most {MAX_NOTE} characters")));
        }
        // PostgreSQL's text cannot hold it.
        if note.contains('\0') {
            return Err(Mistake::new("note", "must not hold the character U+0000"));
        }
        Ok(())
    }
}

/// An experiment that is stored.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Experiment {
    /// Its identity.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The question.
    #[schema(value_type = Question)]
    pub query: Box<RawValue>,
    /// 1 at first, one more with each replacement.
    #[schema(minimum = 1)]
    pub revision: i32,
    /// When it was made, by the database's clock, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last replaced.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// An experiment in a list: everything but the question.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Summary {
    /// Its identity.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// 1 at first, one more with each replacement.
    #[schema(minimum = 1)]
    pub revision: i32,
    /// When it was made, by the database's clock, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last replaced.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// One page of the list, in the order of ids.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page {
    /// The experiments.
    pub items: Vec<Summary>,
    /// Give this as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Uuid>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for a replica.
    Queued,
    /// A replica computes it.
    Running,
    /// Has an answer.
    Finished,
    /// Has an error.
    Failed,
}

impl State {
    /// Reads the word that the database keeps.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "queued" => Some(Self::Queued),
            "running" => Some(Self::Running),
            "finished" => Some(Self::Finished),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A run of an experiment: asked for once, computed by some replica, applied once.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Run {
    /// Its identity.
    pub id: Uuid,
    /// The experiment that it belongs to.
    pub experiment_id: Uuid,
    /// Where it stands.
    pub state: State,
    /// How often a replica took it on.
    #[schema(minimum = 0)]
    pub attempts: i32,
    /// The replica that took it on last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// The answer, once finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Answer>)]
    pub answer: Option<Box<RawValue>>,
    /// What went wrong, once failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for, by the database's clock, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::chain;

    fn draft() -> Draft {
        Draft { name: "d".to_owned(), query: chain(), note: None }
    }

    #[test]
    fn a_note_may_be_absent_null_or_long() {
        let body = serde_json::to_string(&draft()).unwrap();
        assert!(!body.contains("note"));
        let with_null = body.replacen('{', "{\"note\":null,", 1);
        assert_eq!(serde_json::from_str::<Draft>(&with_null).unwrap(), draft());
        assert!(Draft { note: Some("é".repeat(MAX_NOTE)), ..draft() }.check().is_ok());
    }

    #[test]
    fn what_the_database_cannot_hold_is_refused_with_its_field() {
        let field = |d: Draft| d.check().unwrap_err().field;
        assert_eq!(field(Draft { name: String::new(), ..draft() }), "name");
        assert_eq!(field(Draft { name: "a\0".to_owned(), ..draft() }), "name");
        assert_eq!(field(Draft { name: "x".repeat(MAX_NAME + 1), ..draft() }), "name");
        assert_eq!(field(Draft { note: Some("\0".to_owned()), ..draft() }), "note");
        assert_eq!(field(Draft { note: Some("x".repeat(MAX_NOTE + 1)), ..draft() }), "note");
    }

    #[test]
    fn a_state_has_one_word_on_the_wire_and_in_the_database() {
        for state in [State::Queued, State::Running, State::Finished, State::Failed] {
            let wire = serde_json::to_string(&state).unwrap();
            assert_eq!(State::parse(wire.trim_matches('"')), Some(state));
        }
        assert_eq!(State::parse("done"), None);
    }
}
