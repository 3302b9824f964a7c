//! What decides a login: single checks in their order, and what came of each. The first that refuses decides; rules end
//! at the first that lets in.

use super::sentence::Refusal;

/// What one check said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: the next one is asked.
    Passes,
    /// The login is let in, as far as rules go.
    Allows,
    /// It is not.
    Refuses(Refusal),
    /// It was not asked: one before it decided.
    NotReached,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// The attribute or the option that it rests on, such as `logonHours` or `access.services.sshd.deny_groups`.
    pub rule: String,
    /// What it said.
    pub said: Said,
    /// The data that it rests on, in words; may be empty.
    pub detail: String,
}

impl Check {
    pub(super) fn new(rule: impl Into<String>, said: Said, detail: impl Into<String>) -> Self {
        Self { rule: rule.into(), said, detail: detail.into() }
    }
}

/// Checks in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    pub checks: Vec<Check>,
    /// When the directory named the user's groups, in Unix seconds; `None` where that is not known.
    pub groups_fetched: Option<u64>,
}

impl Judgement {
    /// Adds checks that need no question, up to the first that refuses; those behind it are not reached.
    pub(super) fn add(&mut self, checks: impl IntoIterator<Item = Check>) {
        for mut check in checks {
            if self.refusal().is_some() {
                check.said = Said::NotReached;
                check.detail.clear();
            }
            self.checks.push(check);
        }
    }

    /// The refusal, where one was met.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.checks.iter().find_map(|check| match check.said {
            Said::Refuses(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// The check that decides: the one that refuses, else the rule that lets in.
    pub(super) fn decisive(&self) -> Option<&Check> {
        let refuses = |check: &&Check| matches!(check.said, Said::Refuses(_));
        self.checks.iter().find(refuses).or_else(|| self.checks.iter().find(|check| check.said == Said::Allows))
    }

    /// The verdict. Nobody is let in where nothing said so.
    pub(super) fn verdict(&self) -> Result<(), Refusal> {
        match (self.refusal(), self.decisive()) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(_)) => Ok(()),
            (None, None) => Err(Refusal::NotPermitted),
        }
    }
}
