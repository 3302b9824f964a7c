//! All users or all groups, page by page.
//!
//! The paging cookie of a DC is good on its own connection alone, so a cursor names an enumeration that runs in here,
//! not a place in the directory: a number, good for one use. The table of them is bounded; an enumeration that is left
//! alone, or whose connection is lost, ends, and its reader is told to start again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ldap3::Scope;

use super::connection::{Connection, Failure, Found, Query};
use super::{LdapDirectory, entry};
use crate::Error;
use crate::directory::Page;
use crate::types::Entry;

/// Most enumerations at once. AD itself keeps 10 per connection (MaxResultSetsPerConn).
const MOST: usize = 8;
/// Longest pause between two pages.
const PAUSE: Duration = Duration::from_secs(120);

/// What is enumerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Groups,
}

/// The enumerations that wait for their next page.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    waiting: HashMap<u64, Place>,
}

/// Where an enumeration stands.
#[derive(Debug)]
struct Place {
    kind: Kind,
    /// Index of the subtree.
    base: usize,
    /// Where the next page of it begins, and on which connection; `None` at the subtree's start.
    within: Option<(Arc<Connection>, Vec<u8>)>,
    touched: Instant,
}

impl LdapDirectory {
    /// The page behind `cursor`. May be empty in the middle: only an empty cursor is the end.
    pub(super) async fn page(&self, kind: Kind, cursor: &[u8], deadline: Instant) -> Result<Page<Entry>, Error> {
        let place = if cursor.is_empty() {
            Place { kind, base: 0, within: None, touched: Instant::now() }
        } else {
            self.running.take(kind, cursor)?
        };
        let root = self.info(deadline).await?.base_dn;
        let (bases, wanted, plain) = match kind {
            // objectCategory is indexed and leaves computers out (MS-ADTS 3.1.1.2.4.5); classify() has the last word.
            Kind::Users => {
                let wanted = self.subtrees.users("(&(objectCategory=person)(objectClass=user))".into());
                (self.subtrees.for_users(&root), wanted, entry::USER)
            }
            Kind::Groups => {
                (self.subtrees.for_groups(&root), self.subtrees.groups("(objectCategory=group)".into()), entry::GROUP)
            }
        };
        let Some(base) = bases.get(place.base) else {
            return Ok(Page { entries: Vec::new(), cursor: Vec::new() });
        };
        let attributes = self.attributes(plain);
        let query = Query { base, scope: Scope::Subtree, filter: &wanted, attributes: &attributes };
        let (connection, found) = match place.within {
            None => self.link.search(&query, Some(Vec::new()), deadline).await?,
            Some((connection, cookie)) => {
                let found = self.continued(&connection, &query, cookie, deadline).await?;
                (connection, found)
            }
        };
        if found.no_such_base {
            return Err(Error::Config(format!("the base {base} does not exist in the directory")));
        }
        let next = if !found.cookie.is_empty() {
            Some((place.base, Some((connection, found.cookie))))
        } else if place.base + 1 < bases.len() {
            Some((place.base + 1, None))
        } else {
            None
        };
        let cursor = next.map_or_else(Vec::new, |(base, within)| {
            self.running.put(Place { kind, base, within, touched: Instant::now() })
        });
        let entries = found.entries.iter().filter_map(|entry| entry.classify(self.extras())).collect();
        Ok(Page { entries, cursor })
    }

    async fn continued(
        &self,
        connection: &Connection,
        query: &Query<'_>,
        cookie: Vec<u8>,
        deadline: Instant,
    ) -> Result<Found, Error> {
        self.link.search_on(connection, query, Some(cookie), deadline).await.map_err(|failure| match failure {
            Failure::Answered(error) => error,
            Failure::Lost(why) => Error::Offline(format!("the enumeration broke off, start it again: {why}")),
        })
    }
}

impl Running {
    fn put(&self, place: Place) -> Vec<u8> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.waiting.retain(|_, place| place.touched.elapsed() < PAUSE);
        if table.waiting.len() >= MOST {
            let oldest = table.waiting.iter().min_by_key(|(_, place)| place.touched).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                table.waiting.remove(&oldest);
            }
        }
        table.last += 1;
        let id = table.last;
        table.waiting.insert(id, place);
        id.to_be_bytes().to_vec()
    }

    fn take(&self, kind: Kind, cursor: &[u8]) -> Result<Place, Error> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = cursor.try_into().ok().map(u64::from_be_bytes);
        id.and_then(|id| table.waiting.remove(&id)).filter(|place| place.kind == kind).ok_or_else(|| {
            Error::Busy("this enumeration paused too long, or too many run at once: start it again".into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: Kind, base: usize) -> Place {
        Place { kind, base, within: None, touched: Instant::now() }
    }

    #[test]
    fn a_cursor_is_good_once_and_for_its_kind() {
        let running = Running::default();
        let cursor = running.put(place(Kind::Users, 3));
        assert_eq!(running.take(Kind::Users, &cursor).unwrap().base, 3);
        assert!(running.take(Kind::Users, &cursor).is_err());
        let cursor = running.put(place(Kind::Users, 1));
        assert!(running.take(Kind::Groups, &cursor).is_err());
        assert!(running.take(Kind::Users, b"nonsense that is no cursor").is_err());
    }

    #[test]
    fn the_oldest_enumeration_gives_way() {
        let running = Running::default();
        let first = running.put(place(Kind::Groups, 0));
        let others: Vec<_> = (1..=MOST).map(|base| running.put(place(Kind::Groups, base))).collect();
        assert!(running.take(Kind::Groups, &first).is_err());
        assert!(others.iter().all(|cursor| running.take(Kind::Groups, cursor).is_ok()));
    }
}
