//! A password that was not looked at, because too many came before it.

use std::time::Duration;

use entra_wire::pam::{Code, Context, Outcome};

use crate::lookup::{Freshness, Query};

use super::Login;
use super::audit::Record;

impl Login {
    /// What whoever asks is told when a limit of this host leaves the password unlooked at for another `wait`. Recorded
    /// as `phase`, for the uid `by`.
    pub async fn too_many(&self, phase: &'static str, context: &Context<'_>, by: u32, wait: Duration) -> Outcome {
        let user = self.lookup.user(Query::name(context.user), Freshness::Cached).await.ok().flatten();
        let seconds = wait.as_secs() + 1;
        let outcome = Outcome {
            reason: "too-many-attempts".into(),
            message: format!("Too many attempts on this computer. Try again in {seconds} s."),
            ..Outcome::bare(Code::MaxTries)
        };
        let user = user.as_ref().map(|user| &*user.value);
        Record { phase, context, by, user, rule: None }.write(&outcome);
        outcome
    }
}
