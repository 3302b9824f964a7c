//! The members of a group: range retrieval, then the entries behind the DNs.

use std::sync::Arc;
use std::time::Instant;

use ldap3::Scope;
use tokio::task::JoinSet;

use super::connection::{Found, Query};
use super::entry::{self, ranged};
use super::{LdapDirectory, filter};
use crate::Error;
use crate::types::{Entry, Sid};

/// Most members that are read; what is beyond is left out, and the log says so.
const MOST: usize = 200_000;
/// DNs per search; as for SIDs, more at once take longer (5,000 members: 0.7 s by 40, 2.4 s by 250, Samba 4.17).
const DNS: usize = 40;
/// Searches of one lookup that are on their way at once.
const CONCURRENT: usize = 4;

impl LdapDirectory {
    pub(super) async fn read_members(&self, dn: &str, sid: &Sid, deadline: Instant) -> Result<Vec<Entry>, Error> {
        let members = self.member_dns(dn, sid, deadline).await?;
        self.find_by("distinguishedName", &members, DNS, deadline).await
    }

    /// Users and groups whose `attribute` has one of these values, searched for in batches of `batch`, a few at a time.
    pub(super) async fn find_by(
        &self,
        attribute: &str,
        values: &[Vec<u8>],
        batch: usize,
        deadline: Instant,
    ) -> Result<Vec<Entry>, Error> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let root = self.info(deadline).await?.base_dn;
        let mut plain = [entry::USER, entry::GROUP].concat();
        plain.sort_unstable();
        plain.dedup();
        let attributes: Arc<[String]> = self.attributes(&plain).into_iter().map(str::to_owned).collect();
        let bases = self.subtrees.for_both(&root);
        let mut entries = Vec::new();
        let mut asking = JoinSet::new();
        for values in values.chunks(batch) {
            let wanted = filter::any_of(values.iter().map(|value| filter::equals(attribute, value)));
            let wanted = self.subtrees.both(wanted);
            for base in &bases {
                if asking.len() == CONCURRENT {
                    self.collect(&mut asking, &mut entries).await?;
                }
                let (link, attributes) = (Arc::clone(&self.link), Arc::clone(&attributes));
                let (base, wanted) = ((*base).to_owned(), wanted.clone());
                asking.spawn(async move {
                    let attributes: Vec<_> = attributes.iter().map(String::as_str).collect();
                    let query = Query { base: &base, scope: Scope::Subtree, filter: &wanted, attributes: &attributes };
                    link.search(&query, None, deadline).await.map(|(_, found)| found)
                });
            }
        }
        while !asking.is_empty() {
            self.collect(&mut asking, &mut entries).await?;
        }
        Ok(entries)
    }

    /// Takes the next answer.
    async fn collect(&self, asking: &mut JoinSet<Result<Found, Error>>, entries: &mut Vec<Entry>) -> Result<(), Error> {
        let Some(answer) = asking.join_next().await else { return Ok(()) };
        let found = answer.map_err(|error| Error::Io(format!("a search ended: {error}")))??;
        if found.no_such_base {
            return Err(Error::Config("a base of user_bases or group_bases does not exist in the directory".into()));
        }
        let found = found.entries.iter().filter_map(|entry| entry.classify(self.extras()));
        entries.extend(found.filter(|entry| self.subtrees.hold(entry)));
        Ok(())
    }

    /// All values of `member`. AD gives 1,500 at a time (MaxValRange).
    async fn member_dns(&self, dn: &str, sid: &Sid, deadline: Instant) -> Result<Vec<Vec<u8>>, Error> {
        let mut members: Vec<Vec<u8>> = Vec::new();
        let mut attribute = "member".to_owned();
        loop {
            let entry = self.read_known(dn, sid, &attribute, deadline).await?;
            let (values, next) = ranged(&entry, "member");
            members.extend_from_slice(values);
            match next {
                Some(next) if members.len() < MOST && !values.is_empty() => {
                    attribute = format!("member;range={next}-*");
                }
                Some(_) => {
                    log::warn!("{dn} has more than {} members: the rest is left out", members.len());
                    return Ok(members);
                }
                None => return Ok(members),
            }
        }
    }
}
