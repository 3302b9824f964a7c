//! The members of a group: their DNs by range retrieval, then the entries behind them.
//!
//! What a DC does for an entry decides how long a large group takes, so members are read with few attributes
//! ([`entry::MEMBER`]; the computed ones alone double the time), and the DNs of the next range are fetched while those of
//! the last one are looked up. Where most accounts of the domain are members, one search by `memberOf` finds them in half
//! the time that searches by DN take; what it leaves out is looked up by DN then: `member` has the last word.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use ldap3::Scope;
use tokio::task::JoinSet;

use super::connection::{Found, Query};
use super::entry::{self, Extras, Raw, ranged};
use super::find::read_known_on;
use super::link::Link;
use super::{LdapDirectory, filter};
use crate::Error;
use crate::config::UsernameFormat;
use crate::types::{Entry, Sid, fold};

/// Most members that are read; what is beyond is left out, and the log says so.
const MOST: usize = 200_000;
/// DNs per search: a server compares every entry that it finds with the whole filter, and does some work for each search
/// (1,000 members cost Samba 4.17 140 ms of processor time one by one, 60 by 10, 50 by 15, 80 by 40).
const DNS: usize = 15;
/// Searches of one lookup that are on their way at once.
const CONCURRENT: usize = 4;
/// A search by `memberOf` looks at every object of a domain whose server has no index over it (Samba), at a fifth of what
/// a member costs that is found by its DN, and then saves three fifths of that for each member: worth it from one in three
/// on.
const SHARE: u64 = 3;
/// Fewer members than this are not worth asking how large the domain is.
const FEW: usize = 200;
/// The first RID that a domain gives to an account of its own (MS-ADTS 6.1.5.3).
const FIRST_RID: u64 = 1000;

type Classify = fn(&Raw, Extras<'_>) -> Option<Entry>;

impl LdapDirectory {
    pub(super) async fn read_members(&self, dn: &str, sid: &Sid, deadline: Instant) -> Result<Vec<Entry>, Error> {
        let first = self.read_known(dn, sid, "member", deadline).await?;
        let (values, next) = ranged(&first, "member");
        let attributes = self.member_attributes();
        // Whoever asks for one name meanwhile has the usual connection.
        let link = if values.len() >= FEW { self.apart(deadline).await } else { &self.link };
        if values.len() >= FEW && self.most_are_members(values.len(), next.is_some(), deadline).await {
            // `member` is read to its end meanwhile: it says who is missing in the other answer.
            let (found, dns) = tokio::join!(
                self.by_member_of(link, dn, next.is_some(), &attributes, deadline),
                remaining_dns(link, dn, sid, values.to_vec(), next, deadline)
            );
            let mut found = found?;
            let missing: Vec<_> = dns?.into_iter().filter(|dn| !found.contains_key(&folded(dn))).collect();
            let rest = self.by_dns(link, &missing, &attributes, deadline).await?;
            return Ok(found.drain().map(|(_, entry)| entry).chain(rest).collect());
        }
        let mut entries = Vec::new();
        let (mut dns, mut next) = (values.to_vec(), next);
        let mut count = dns.len();
        while let Some(from) = next {
            let (found, more) = tokio::join!(
                self.by_dns(link, &dns, &attributes, deadline),
                member_range(link, dn, sid, from, deadline)
            );
            entries.extend(found?);
            (dns, next) = more?;
            count += dns.len();
            next = next.filter(|_| goes_on(dn, count, &dns));
        }
        entries.extend(self.by_dns(link, &dns, &attributes, deadline).await?);
        Ok(entries)
    }

    /// Users and groups that these filters find, a few searches at a time, on these connections in turn.
    pub(super) async fn search_all(
        &self,
        links: &[&Arc<Link>],
        filters: impl IntoIterator<Item = String>,
        attributes: &[&str],
        classify: Classify,
        deadline: Instant,
    ) -> Result<Vec<Entry>, Error> {
        let root = self.info(deadline).await?.base_dn;
        let attributes: Arc<[String]> = attributes.iter().map(|name| (*name).to_owned()).collect();
        let bases = self.subtrees.for_both(&root);
        let mut entries = Vec::new();
        let mut asking = JoinSet::new();
        let mut links = links.iter().copied().cycle();
        for wanted in filters {
            let wanted = self.subtrees.both(wanted);
            for base in &bases {
                if asking.len() == CONCURRENT {
                    self.collect(&mut asking, &mut entries, classify).await?;
                }
                let link = Arc::clone(links.next().unwrap_or(&self.link));
                let attributes = Arc::clone(&attributes);
                let (base, wanted) = ((*base).to_owned(), wanted.clone());
                asking.spawn(async move {
                    let attributes: Vec<_> = attributes.iter().map(String::as_str).collect();
                    let query = Query { base: &base, scope: Scope::Subtree, filter: &wanted, attributes: &attributes };
                    link.search(&query, None, deadline).await.map(|(_, found)| found)
                });
            }
        }
        while !asking.is_empty() {
            self.collect(&mut asking, &mut entries, classify).await?;
        }
        Ok(entries)
    }

    /// Takes the next answer.
    async fn collect(
        &self,
        asking: &mut JoinSet<Result<Found, Error>>,
        entries: &mut Vec<Entry>,
        classify: Classify,
    ) -> Result<(), Error> {
        let Some(answer) = asking.join_next().await else { return Ok(()) };
        let found = answer.map_err(|error| Error::Io(format!("a search ended: {error}")))??;
        if found.no_such_base {
            return Err(no_such_base());
        }
        let found = found.entries.iter().filter_map(|entry| classify(entry, self.extras()));
        entries.extend(found.filter(|entry| self.subtrees.hold(entry)));
        Ok(())
    }

    async fn by_dns(
        &self,
        link: &Arc<Link>,
        dns: &[Vec<u8>],
        attributes: &[&str],
        deadline: Instant,
    ) -> Result<Vec<Entry>, Error> {
        if dns.is_empty() {
            return Ok(Vec::new());
        }
        // Samba answers each connection in a process of its own. Of these short searches two may stand before somebody
        // else's on the usual one.
        let links = if Arc::ptr_eq(link, &self.link) { &[link][..] } else { &[link, &self.link] };
        let filters = batches("distinguishedName", dns, DNS);
        self.search_all(links, filters, attributes, Raw::classify_member, deadline).await
    }

    /// The members by their back links, by folded DN. Some may be missing: the server limits its answer, or `memberOf` of
    /// somebody is not for this machine to read.
    async fn by_member_of(
        &self,
        link: &Arc<Link>,
        dn: &str,
        paged: bool,
        attributes: &[&str],
        deadline: Instant,
    ) -> Result<HashMap<String, Entry>, Error> {
        let root = self.info(deadline).await?.base_dn;
        let wanted = self.subtrees.both(filter::equals("memberOf", dn.as_bytes()));
        let mut entries = HashMap::new();
        for base in self.subtrees.for_both(&root) {
            let query = Query { base, scope: Scope::Subtree, filter: &wanted, attributes };
            let (connection, mut found) = link.search(&query, paged.then(Vec::new), deadline).await?;
            loop {
                if found.no_such_base {
                    return Err(no_such_base());
                }
                let members = found.entries.iter().filter_map(|entry| entry.classify_member(self.extras()));
                entries
                    .extend(members.filter(|entry| self.subtrees.hold(entry)).map(|entry| (fold(entry.dn()), entry)));
                if found.cookie.is_empty() {
                    break;
                }
                let cookie = std::mem::take(&mut found.cookie);
                match link.search_on(&connection, &query, Some(cookie), deadline).await {
                    Ok(next) => found = next,
                    // The rest is looked up by DN.
                    Err(failure) => {
                        log::debug!("the members of {dn}: {failure:?}");
                        break;
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Whether a group of so many members (at least, where `more` are to come) holds a good part of the domain.
    async fn most_are_members(&self, members: usize, more: bool, deadline: Instant) -> bool {
        let Some(accounts) = self.accounts(deadline).await else { return false };
        // How many are to come nobody knows: half as many again, which is what a group just over the limit has.
        let members = if more { members + members / 2 } else { members } as u64;
        members * SHARE >= accounts
    }

    /// About how many accounts the domain has: the RIDs that it has given away (MS-ADTS 6.1.5.3). `None` where this machine
    /// may not read that.
    async fn accounts(&self, deadline: Instant) -> Option<u64> {
        if let Some(known) = self.accounts.get() {
            return *known;
        }
        let domain: Vec<_> = self.domain.name.split('.').map(|label| format!("DC={label}")).collect();
        let manager = format!("CN=RID Manager$,CN=System,{}", domain.join(","));
        let entry = self.read(&manager, &["rIDAvailablePool"], deadline).await.ok()?;
        // The lower half is where the next pool begins.
        let pool: Option<u64> = entry.and_then(|entry| entry.number("rIDAvailablePool"));
        *self.accounts.get_or_init(|| pool.map(|pool| (pool & 0xffff_ffff).saturating_sub(FIRST_RID)))
    }

    fn member_attributes(&self) -> Vec<&'static str> {
        let mut attributes = self.attributes_without_keys(entry::MEMBER);
        if self.domain.username_format == UsernameFormat::Upn {
            attributes.push("userPrincipalName");
        }
        attributes
    }
}

/// The DNs behind the first ones. AD gives 1,500 at a time (MaxValRange).
async fn remaining_dns(
    link: &Arc<Link>,
    dn: &str,
    sid: &Sid,
    mut members: Vec<Vec<u8>>,
    mut next: Option<usize>,
    deadline: Instant,
) -> Result<Vec<Vec<u8>>, Error> {
    while let Some(from) = next {
        let (values, more) = member_range(link, dn, sid, from, deadline).await?;
        next = more.filter(|_| goes_on(dn, members.len() + values.len(), &values));
        members.extend(values);
    }
    Ok(members)
}

async fn member_range(
    link: &Arc<Link>,
    dn: &str,
    sid: &Sid,
    from: usize,
    deadline: Instant,
) -> Result<(Vec<Vec<u8>>, Option<usize>), Error> {
    let entry = read_known_on(link, dn, sid, &format!("member;range={from}-*"), deadline).await?;
    let (values, next) = ranged(&entry, "member");
    Ok((values.to_vec(), next))
}

/// Filters for `attribute` with any of these values, so many in each.
pub(super) fn batches(attribute: &str, values: &[Vec<u8>], batch: usize) -> impl Iterator<Item = String> {
    values.chunks(batch).map(move |values| filter::any_of(values.iter().map(|value| filter::equals(attribute, value))))
}

/// Whether a next range is read, after `count` members and the last range's `values`.
fn goes_on(dn: &str, count: usize, values: &[Vec<u8>]) -> bool {
    if count >= MOST || values.is_empty() {
        log::warn!("{dn} has more than {count} members: the rest is left out");
        return false;
    }
    true
}

fn folded(dn: &[u8]) -> String {
    fold(&String::from_utf8_lossy(dn))
}

fn no_such_base() -> Error {
    Error::Config("a base of user_bases or group_bases does not exist in the directory".into())
}
