//! What a load of lookups and logins counts: written by `chaos-load` inside of a node, judged by `chaos` outside.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Examples of wrong and late answers that a tally keeps.
const EXAMPLES: usize = 12;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A user of /etc/passwd: what the machine itself delays.
    Local,
    /// A user that was looked up before, by name, by uid and with groups, in a process that runs all the time.
    Cached,
    /// The same by name in a process that was just started.
    CachedAnew,
    /// A user that was never looked up.
    Uncached,
    /// A name or uid that nobody has, a new one each time.
    Unknown,
    /// A login with the right password, of somebody who was here before.
    Login,
    /// A login with a wrong password.
    Guess,
}

impl Kind {
    /// All, in the order of the table.
    pub const ALL: [Self; 7] =
        [Self::Local, Self::Cached, Self::CachedAnew, Self::Uncached, Self::Unknown, Self::Login, Self::Guess];

    /// As the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cached => "cached",
            Self::CachedAnew => "cached, new process",
            Self::Uncached => "not cached",
            Self::Unknown => "unknown",
            Self::Login => "login",
            Self::Guess => "wrong password",
        }
    }

    /// Longer than this is late. Lookups: `lookup_deadline` (3 s), the half second that the NSS module waits beyond it,
    /// and another half for a busy machine. Logins: the 15 s of `pam_entra`, a second, and for a wrong password the two
    /// seconds by which PAM delays its refusal.
    pub const fn deadline(self) -> Duration {
        match self {
            Self::Login => Duration::from_secs(16),
            Self::Guess => Duration::from_secs(18),
            _ => Duration::from_secs(4),
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it should be.
    Right,
    /// "I do not know now": how it was said.
    Unavailable(String),
    /// Anything else: what was said, and what should have been.
    Wrong(String),
}

/// The requests of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Requests made.
    pub made: u64,
    /// Answered right.
    pub right: u64,
    /// Answered "unavailable".
    pub unavailable: u64,
    /// Answered wrongly.
    pub wrong: u64,
    /// Of all, answered after [`Kind::deadline`].
    pub late: u64,
    /// The longest wait, in microseconds.
    pub longest_us: u64,
}

/// All requests of a load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// By kind.
    pub counts: BTreeMap<Kind, Count>,
    /// Wrong and late answers, the first of them.
    pub examples: Vec<String>,
    /// How "unavailable" was said, and how often.
    pub said: BTreeMap<String, u64>,
    /// How many of the users that were never looked up have been now.
    pub used: usize,
}

impl Tally {
    /// Counts one request: `what` names it in an example.
    pub fn add(&mut self, kind: Kind, what: &str, answer: &Answer, took: Duration) {
        let count = self.counts.entry(kind).or_default();
        count.made += 1;
        let late = took > kind.deadline();
        count.late += u64::from(late);
        count.longest_us = count.longest_us.max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let mut example = None;
        match answer {
            Answer::Right => count.right += 1,
            Answer::Unavailable(how) => {
                count.unavailable += 1;
                *self.said.entry(format!("{}: {how}", kind.name())).or_default() += 1;
            }
            Answer::Wrong(how) => {
                count.wrong += 1;
                example = Some(format!("wrong: {what}: {how}"));
            }
        }
        if late && example.is_none() {
            example = Some(format!("late: {what} took {} ms: {answer:?}", took.as_millis()));
        }
        self.examples.extend(example.filter(|_| self.examples.len() < EXAMPLES));
    }

    /// Adds what another load counted.
    pub fn merge(&mut self, other: Self) {
        for (kind, more) in other.counts {
            self.counts.entry(kind).or_default().add(&more);
        }
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
        for (how, times) in other.said {
            *self.said.entry(how).or_default() += times;
        }
        self.used = self.used.max(other.used);
    }

    /// The requests of a kind.
    pub fn of(&self, kind: Kind) -> Count {
        self.counts.get(&kind).cloned().unwrap_or_default()
    }

    /// All requests but those for local users.
    pub fn sum(&self) -> Count {
        let mut sum = Count::default();
        for (_, count) in self.counts.iter().filter(|(kind, _)| **kind != Kind::Local) {
            sum.add(count);
        }
        sum
    }
}

impl Count {
    fn add(&mut self, more: &Self) {
        self.made += more.made;
        self.right += more.right;
        self.unavailable += more.unavailable;
        self.wrong += more.wrong;
        self.late += more.late;
        self.longest_us = self.longest_us.max(more.longest_us);
    }
}
