//! Enumeration: batch by batch, only of domains that allow it. No list is held between two batches.

use std::sync::Arc;

use crate::Error;
use crate::types::{GroupRecord, UserRecord};

use super::{DomainContext, Lookup};

/// One batch, and where to go on (empty: that was the last one).
#[derive(Debug)]
pub struct Listing<T> {
    /// The records of this batch; may be empty before the end.
    pub records: Vec<T>,
    /// Opaque, at most 128 bytes.
    pub cursor: Vec<u8>,
}

/// A cursor, taken apart: which domain, and where in it.
struct Place<'a> {
    domain: usize,
    within: &'a [u8],
}

impl Lookup {
    /// The batch of users behind `cursor`. Domains with `enumerate = false` are passed over.
    ///
    /// # Errors
    /// As the directory; [`Error::Config`] for a cursor that is none of ours.
    pub async fn list_users(self: &Arc<Self>, cursor: &[u8]) -> Result<Listing<UserRecord>, Error> {
        let Some((place, domain)) = self.place(cursor)? else { return Ok(Listing::end()) };
        let info = self.learn(domain).await?;
        let page = domain.directory.users_page(place.within).await?;
        let records = page.entries.into_iter().filter_map(|entry| self.mint_user(domain, &info, entry)).collect();
        Ok(Listing { records, cursor: self.next(place.domain, &page.cursor) })
    }

    /// The batch of groups behind `cursor`; as [`Lookup::list_users`].
    ///
    /// # Errors
    /// As [`Lookup::list_users`].
    pub async fn list_groups(self: &Arc<Self>, cursor: &[u8]) -> Result<Listing<GroupRecord>, Error> {
        let Some((place, domain)) = self.place(cursor)? else { return Ok(Listing::end()) };
        let info = self.learn(domain).await?;
        let page = domain.directory.groups_page(place.within).await?;
        let records = page.entries.into_iter().filter_map(|entry| self.mint_group(domain, &info, entry)).collect();
        Ok(Listing { records, cursor: self.next(place.domain, &page.cursor) })
    }

    fn place<'a>(&'a self, cursor: &'a [u8]) -> Result<Option<(Place<'a>, &'a DomainContext)>, Error> {
        let place = match cursor.split_first_chunk::<2>() {
            _ if cursor.is_empty() => Place { domain: 0, within: &[] },
            Some((domain, within)) => Place { domain: usize::from(u16::from_le_bytes(*domain)), within },
            None => return Err(Error::Config("this is no cursor of ours".into())),
        };
        let found = self.domains.iter().enumerate().skip(place.domain).find(|(_, domain)| domain.config.enumerate).map(
            |(at, domain)| {
                let within = if at == place.domain { place.within } else { &[] };
                (Place { domain: at, within }, domain)
            },
        );
        Ok(found)
    }

    fn next(&self, domain: usize, within: &[u8]) -> Vec<u8> {
        let domain = if within.is_empty() { domain + 1 } else { domain };
        if !self.domains.iter().skip(domain).any(|domain| domain.config.enumerate) {
            return Vec::new();
        }
        let mut cursor = (domain as u16).to_le_bytes().to_vec();
        cursor.extend_from_slice(within);
        cursor
    }
}

impl<T> Listing<T> {
    fn end() -> Self {
        Self { records: Vec::new(), cursor: Vec::new() }
    }
}
