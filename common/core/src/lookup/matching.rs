//! Whether a user matches an LDAP filter of the access rules.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::control::Source;
use crate::types::UserRecord;

use super::{Answer, Lookup};

/// Room for the store beside the directory's own deadline.
const STORE: Duration = Duration::from_millis(500);

impl Lookup {
    /// Whether the account matches `filter` (RFC 4515), asked now; what the directory said last where it is away.
    ///
    /// # Errors
    /// [`Error::Offline`] when the directory is not reachable and was never asked this; the others as named.
    pub async fn matches(self: &Arc<Self>, user: &UserRecord, filter: &str) -> Result<Answer<bool>, Error> {
        let domain =
            self.domain(&user.domain).ok_or_else(|| Error::Config(format!("{} is not configured", user.domain)))?;
        let asked = domain.directory.matches(&user.dn, &user.sid, filter);
        let asked = tokio::time::timeout(self.settings.deadline + STORE, asked)
            .await
            .unwrap_or_else(|_| Err(Error::Offline(format!("{} did not answer in time", user.domain))));
        let (sid, filter) = (user.sid.clone(), filter.to_owned());
        match asked {
            Ok(matches) => {
                let now = self.now();
                let kept = self.with_store(move |store| store.put_match(&sid, &filter, matches, now)).await;
                if let Err(error) = kept {
                    log::warn!("whether {} matches a filter could not be kept for an outage: {error}", user.name);
                }
                Ok(Answer { value: Arc::new(matches), source: Source::Directory, fetched: now })
            }
            Err(error @ Error::Offline(_)) => {
                let known = self.with_store(move |store| store.match_of(&sid, &filter)).await?;
                let known = known.ok_or(error)?;
                Ok(Answer { value: Arc::new(known.value), source: Source::Stale, fetched: known.fetched })
            }
            Err(error) => Err(error),
        }
    }
}
