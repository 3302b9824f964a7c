//! All users or all groups, or those that changed: one search whose entries are passed on as they come.
//!
//! Samba gives everything in one answer, which costs it a third of what pages do (it looks up each entry of a page again).
//! Active Directory ends an answer at 1,000 entries (MaxPageSize) and wants pages then (RFC 2696).

use std::time::Duration;

use ldap3::Scope;

use super::connection::{Failure, Query};
use super::entry::{self, Raw};
use super::find::read_on;
use super::{LdapDirectory, filter};
use crate::Error;
use crate::directory::{Batches, ChangeMark};
use crate::types::Entry;

/// Longest silence of a server that enumerates: Samba gathers 50,000 entries before it gives the first one. Nobody's lookup
/// waits for that.
const SILENCE: Duration = Duration::from_secs(60);

/// What is enumerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Groups,
}

impl LdapDirectory {
    /// Gives all users or groups to `batches`, those that `keep` takes; with `since`, those alone that changed after this
    /// uSNChanged of the server in use. An entry may come twice.
    pub(super) async fn list<T>(
        &self,
        kind: Kind,
        since: Option<u64>,
        batches: &Batches<T>,
        keep: fn(Entry) -> Option<T>,
    ) -> Result<(), Error> {
        let root = self.info(self.later()).await?.base_dn;
        self.second.close_when_idle();
        // sAMAccountType is indexed and leaves computers out (MS-ADTS 2.2.17).
        let (bases, mut wanted) = match kind {
            Kind::Users => (self.subtrees.for_users(&root), self.subtrees.users("(sAMAccountType=805306368)".into())),
            Kind::Groups => (self.subtrees.for_groups(&root), self.subtrees.groups("(objectCategory=group)".into())),
        };
        if let Some(usn) = since {
            wanted = filter::all_of([format!("(uSNChanged>={})", usn.saturating_add(1)), wanted]);
        }
        let attributes = self.attributes_without_keys(match kind {
            Kind::Users => entry::LISTED_USER,
            Kind::Groups => entry::GROUP,
        });
        let extras = self.extras();
        let understand = |found: &[Raw]| -> Vec<T> {
            let entries = found.iter().filter_map(|entry| match kind {
                Kind::Users => entry.classify_member(extras),
                Kind::Groups => entry.classify(extras),
            });
            entries.filter_map(keep).collect()
        };
        for base in bases {
            let query = Query { base, scope: Scope::Subtree, filter: &wanted, attributes: &attributes };
            let connection = self.second.connection(self.later()).await?;
            let mut stream = connection.stream(&query, SILENCE).await.map_err(broken)?;
            loop {
                let batch = stream.next().await.map_err(broken)?;
                if batch.is_empty() {
                    break;
                }
                // Where nobody listens any more, the rest is read in vain: that does not happen often.
                let _ = batches.send(understand(&batch)).await;
            }
            let mut found = stream.finish().await.map_err(broken)?;
            if found.cut {
                found =
                    self.second.search_on(&connection, &query, Some(Vec::new()), self.later()).await.map_err(broken)?;
                loop {
                    let _ = batches.send(understand(&found.entries)).await;
                    if found.cookie.is_empty() {
                        break;
                    }
                    let next = self.second.search_on(&connection, &query, Some(found.cookie), self.later());
                    found = next.await.map_err(broken)?;
                }
            }
            if found.no_such_base {
                return Err(Error::Config(format!("the base {base} does not exist in the directory")));
            }
        }
        Ok(())
    }

    /// Which database the server in use has, and its last change: highestCommittedUSN counts for one invocationId alone
    /// (MS-ADTS 3.1.1.1.9).
    pub(super) async fn mark(&self) -> Result<ChangeMark, Error> {
        // On the connection that enumerates: it may be to another server than the usual one.
        self.second.close_when_idle();
        let root = read_on(&self.second, "", &["dsServiceName", "highestCommittedUSN"], self.soon()).await?;
        let root = root.ok_or_else(|| Error::Protocol("there is no rootDSE".into()))?;
        let missing = |name: &str| Error::Protocol(format!("the rootDSE names no {name}: not Active Directory?"));
        let service = root.text("dsServiceName").ok_or_else(|| missing("dsServiceName"))?;
        let usn = root.number("highestCommittedUSN").ok_or_else(|| missing("highestCommittedUSN"))?;
        // A DC that was restored from a backup has another invocationId. Where it is not for this machine to read, the
        // server's own name has to do.
        let settings = read_on(&self.second, service, &["invocationId"], self.soon()).await?;
        let invocation = settings.and_then(|found| found.values("invocationId").first().cloned()).unwrap_or_default();
        Ok(ChangeMark { database: [service.as_bytes(), b"\0", &invocation].concat(), usn })
    }
}

fn broken(failure: Failure) -> Error {
    match failure {
        Failure::Answered(error) => error,
        Failure::Lost(why) => Error::Offline(format!("the enumeration broke off: {why}")),
    }
}
