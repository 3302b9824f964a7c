//! How a verb ends: the exit statuses of the contract, and a failure that says what to do next.

use serde_json::{Value, json};

/// Exit status of `entractl`; scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or the answer is yes.
    Done = 0,
    /// The answer is no, or it failed.
    No = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The daemon is not reachable.
    NoDaemon = 3,
    /// The directory is not reachable.
    NoDirectory = 4,
    /// Not permitted.
    NotPermitted = 5,
}

/// Why a verb did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit status.
    pub exit: Exit,
    /// Step or verb that failed.
    pub step: String,
    /// What is wrong, in one sentence.
    pub error: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
    /// Further fields of the JSON form (an object).
    pub more: Option<Value>,
}

impl Failure {
    /// A failure of `step` that ends with `exit`.
    pub fn new(exit: Exit, step: &str, error: impl Into<String>) -> Self {
        Self { exit, step: step.into(), error: error.into(), remedy: None, more: None }
    }

    /// A failure with exit status 1.
    pub fn no(step: &str, error: impl Into<String>) -> Self {
        Self::new(Exit::No, step, error)
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The JSON form: `error`, `step`, `remedy` where known, and further fields.
    pub fn to_json(&self) -> Value {
        let mut value = json!({ "error": self.error, "step": self.step });
        if let (Some(fields), Some(remedy)) = (value.as_object_mut(), &self.remedy) {
            fields.insert("remedy".into(), remedy.clone().into());
        }
        if let (Some(fields), Some(Value::Object(more))) = (value.as_object_mut(), &self.more) {
            fields.extend(more.clone());
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_contract() {
        let all = [Exit::Done, Exit::No, Exit::Usage, Exit::NoDaemon, Exit::NoDirectory, Exit::NotPermitted];
        assert_eq!(all.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn json_of_a_failure() {
        let plain = Failure::no("dns", "no records");
        assert_eq!(plain.to_json(), json!({"error": "no records", "step": "dns"}));
        let mut full = plain.remedy("ask another server");
        full.more = Some(json!({"rolled_back": []}));
        let expected = json!({
            "error": "no records", "step": "dns", "remedy": "ask another server", "rolled_back": []
        });
        assert_eq!(full.to_json(), expected);
    }
}
