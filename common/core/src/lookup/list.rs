//! Enumeration: batch by batch, only of domains that allow it, from a [`snapshot`](super::snapshot).

use std::sync::Arc;

use crate::Error;
use crate::control::AccountRef;
use crate::directory::{Batches, Directory, DomainInfo};
use crate::store::{Kind, Listed};
use crate::types::{DomainId, GroupEntry, GroupRecord, UserEntry, UserRecord};

use super::snapshot::{Kept, Row};
use super::{DomainContext, Lookup};

/// Rows of one batch: a reply of about 100 KB.
const BATCH: usize = 1000;

/// One batch, and where to go on (empty: that was the last one).
#[derive(Debug)]
pub struct Listing<T> {
    /// The records of this batch; may be empty before the end.
    pub records: Vec<T>,
    /// Opaque, at most 128 bytes.
    pub cursor: Vec<u8>,
    /// The domain of these records; empty where there is none to list.
    pub domain: DomainId,
}

/// A user as an enumeration gives it: a line of passwd. Small, because all users of a domain are kept so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    /// Name, gecos, home and shell, one behind the other.
    text: Box<str>,
    ends: [u32; 3],
    /// Last part of the SID.
    pub rid: u32,
    /// Mapped from the SID.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
}

impl UserLine {
    /// Canonical name.
    pub fn name(&self) -> &str {
        self.part(0, self.ends[0])
    }

    /// Real name.
    pub fn gecos(&self) -> &str {
        self.part(self.ends[0], self.ends[1])
    }

    /// Home directory.
    pub fn home(&self) -> &str {
        self.part(self.ends[1], self.ends[2])
    }

    /// Login shell.
    pub fn shell(&self) -> &str {
        self.part(self.ends[2], self.text.len() as u32)
    }

    fn part(&self, from: u32, to: u32) -> &str {
        self.text.get(from as usize..to as usize).unwrap_or_default()
    }
}

impl From<&UserRecord> for UserLine {
    fn from(user: &UserRecord) -> Self {
        let mut text = String::with_capacity(user.name.len() + user.gecos.len() + user.home.len() + user.shell.len());
        let mut ends = [0; 3];
        for (end, part) in ends.iter_mut().zip([&user.name, &user.gecos, &user.home]) {
            text.push_str(part);
            *end = text.len() as u32;
        }
        text.push_str(&user.shell);
        Self { text: text.into(), ends, rid: user.sid.rid(), uid: user.uid, gid: user.gid }
    }
}

/// The snapshots of one domain.
#[derive(Default)]
pub(super) struct Snapshots {
    users: Kept<UserLine>,
    groups: Kept<GroupRecord>,
}

impl Snapshots {
    pub(super) fn clear(&self) {
        self.users.clear();
        self.groups.clear();
    }
}

/// A cursor, taken apart: which domain, which snapshot of it, and where in that. Empty at the beginning of a domain.
struct Place {
    domain: usize,
    within: Option<(u32, u32)>,
    /// Batches so far, so that no cursor leads to itself where there is nothing to give yet.
    turn: u16,
}

impl Lookup {
    /// The batch of users behind `cursor`. Domains with `enumerate = false` are passed over.
    ///
    /// # Errors
    /// As the directory; [`Error::Config`] for a cursor that is none of ours, [`Error::Busy`] for one of a snapshot that
    /// is gone.
    pub async fn list_users(self: &Arc<Self>, cursor: &[u8]) -> Result<Listing<UserLine>, Error> {
        self.list(cursor).await
    }

    /// The batch of groups behind `cursor`; as [`Lookup::list_users`].
    ///
    /// # Errors
    /// As [`Lookup::list_users`].
    pub async fn list_groups(self: &Arc<Self>, cursor: &[u8]) -> Result<Listing<GroupRecord>, Error> {
        self.list(cursor).await
    }

    /// The same as [`Lookup::list_users`], as an administrator sees it.
    ///
    /// # Errors
    /// As [`Lookup::list_users`].
    pub async fn list_accounts(self: &Arc<Self>, cursor: &[u8]) -> Result<(Vec<AccountRef>, Vec<u8>), Error> {
        let listing = self.list_users(cursor).await?;
        let sid = self.domain(&listing.domain).and_then(DomainContext::info).map(|info| info.sid);
        let accounts = listing.records.iter().map(|user| AccountRef {
            name: user.name().to_owned(),
            domain: listing.domain.clone(),
            id: user.uid,
            sid: sid.as_ref().and_then(|sid| sid.with_rid(user.rid)).map(|sid| sid.to_string()).unwrap_or_default(),
        });
        Ok((accounts.collect(), listing.cursor))
    }

    async fn list<T: Row>(self: &Arc<Self>, cursor: &[u8]) -> Result<Listing<T>, Error> {
        let place = Place::read(cursor)?;
        let Some(domain) = self.enumerable(place.domain) else {
            return Ok(Listing { records: Vec::new(), cursor: Vec::new(), domain: DomainId::new() });
        };
        self.local_files()?;
        let within = place.within.filter(|_| domain == place.domain);
        let (snapshot, at) = match within {
            None => (Kept::<T>::begin(self, domain), 0),
            Some((epoch, at)) => (T::kept(&self.domains[domain]).of_epoch(epoch), at as usize),
        };
        let gone = || Error::Busy("this enumeration paused too long: start it again".into());
        let snapshot = snapshot.ok_or_else(gone)?;
        let (records, next) = snapshot.rows(at, BATCH).await?;
        let cursor = match next {
            Some(next) => {
                Place { domain, within: Some((snapshot.epoch, next as u32)), turn: place.turn.wrapping_add(1) }.write()
            }
            None if self.enumerable(domain + 1).is_some() => {
                Place { domain: domain + 1, within: None, turn: 0 }.write()
            }
            None => Vec::new(),
        };
        Ok(Listing { records, cursor, domain: self.domains[domain].config.name.clone() })
    }

    /// The first domain from this one on that may be enumerated.
    fn enumerable(&self, from: usize) -> Option<usize> {
        let mut domains = self.domains.iter().enumerate().skip(from);
        domains.find(|(_, domain)| domain.config.enumerate).map(|(at, _)| at)
    }
}

impl Place {
    fn read(cursor: &[u8]) -> Result<Self, Error> {
        let none = || Error::Config("this is no cursor of ours".into());
        if cursor.is_empty() {
            return Ok(Self { domain: 0, within: None, turn: 0 });
        }
        let (domain, rest) = cursor.split_first_chunk::<2>().ok_or_else(none)?;
        let domain = usize::from(u16::from_le_bytes(*domain));
        if rest.is_empty() {
            return Ok(Self { domain, within: None, turn: 0 });
        }
        let (epoch, at) = rest.split_first_chunk::<4>().ok_or_else(none)?;
        let (at, turn) = at.split_first_chunk::<4>().ok_or_else(none)?;
        let turn = u16::from_le_bytes(turn.try_into().map_err(|_| none())?);
        Ok(Self { domain, within: Some((u32::from_le_bytes(*epoch), u32::from_le_bytes(*at))), turn })
    }

    fn write(&self) -> Vec<u8> {
        let mut cursor = (self.domain as u16).to_le_bytes().to_vec();
        if let Some((epoch, at)) = self.within {
            cursor.extend(epoch.to_le_bytes());
            cursor.extend(at.to_le_bytes());
            cursor.extend(self.turn.to_le_bytes());
        }
        cursor
    }
}

impl Row for UserLine {
    type Entry = UserEntry;
    const KIND: Kind = Kind::Users;

    fn kept(domain: &DomainContext) -> &Kept<Self> {
        &domain.snapshots.users
    }

    fn rid(entry: &UserEntry) -> Option<u32> {
        entry.sid.as_ref().map(crate::types::Sid::rid)
    }

    fn mint(lookup: &Lookup, domain: &DomainContext, info: &DomainInfo, entry: UserEntry) -> Option<Self> {
        lookup.mint_user(domain, info, entry).as_ref().map(Self::from)
    }

    fn listed(&self, info: &DomainInfo) -> Option<Listed> {
        Some(Listed { sid: info.sid.with_rid(self.rid)?, name: self.name().to_owned(), id: self.uid })
    }

    async fn ask(directory: &dyn Directory, since: Option<u64>, batches: Batches<UserEntry>) -> Result<(), Error> {
        directory.list_users(since, batches).await
    }
}

impl Row for GroupRecord {
    type Entry = GroupEntry;
    const KIND: Kind = Kind::Groups;

    fn kept(domain: &DomainContext) -> &Kept<Self> {
        &domain.snapshots.groups
    }

    fn rid(entry: &GroupEntry) -> Option<u32> {
        entry.sid.as_ref().map(crate::types::Sid::rid)
    }

    fn mint(lookup: &Lookup, domain: &DomainContext, info: &DomainInfo, entry: GroupEntry) -> Option<Self> {
        lookup.mint_group(domain, info, entry)
    }

    fn listed(&self, _: &DomainInfo) -> Option<Listed> {
        Some(self.into())
    }

    async fn ask(directory: &dyn Directory, since: Option<u64>, batches: Batches<GroupEntry>) -> Result<(), Error> {
        directory.list_groups(since, batches).await
    }
}
