//! SIDs to ids and back.
//!
//! | Mapping | id |
//! |---|---|
//! | `sssd` ([`sssd`]) | first id of the domain's slice + RID, as SSSD computes it |
//! | `rid` ([`rid`]) | first id of the range + RID, as winbind's `idmap_rid` computes it; with `id_blocks` those that its `idmap_autorid` gave away |
//! | `rfc2307` | uidNumber and gidNumber of the directory, within the range; nothing is computed |
//!
//! What a domain was given it keeps for ever ([`crate::store::SliceStore`]): files on disk carry these numbers.

mod assign;
mod murmur;
mod peer;
mod rid;
mod sssd;
mod table;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use entra_wire::guard::ID_FLOOR;

pub use peer::{Choice, Scheme, natural_slice};
pub use sssd::SLICE_SIZE;

use crate::Error;
use crate::config::{Domain, IdBlock, IdMapping};
use crate::store::{Block, MetDomain, SliceStore};
use crate::types::{DomainId, Sid};
use table::Table;

/// Ids that no account may have though a range may hold them: `nobody`, and -1 as 16-bit programs write it.
const NOBODY: [u32; 2] = [65_534, 65_535];

/// Maps SIDs of the configured domains to ids and back. A SID's domain must have been learned first.
#[derive(Debug)]
pub struct IdMapper {
    store: SliceStore,
    domains: Vec<Own>,
    state: RwLock<State>,
    /// How often there was no id to give.
    refused: AtomicU64,
}

/// What the configuration says of one domain's ids.
#[derive(Clone, Debug)]
struct Own {
    name: DomainId,
    mapping: IdMapping,
    range: (u32, u32),
    slice: Option<u32>,
    blocks: Vec<IdBlock>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Everything that was ever given away, on this host's word for it.
    table: Table,
    /// SID of each configured domain, in the configuration's order, once learned.
    sids: Vec<Option<Sid>>,
    /// Mapping of every domain that was ever met.
    mappings: Vec<MetDomain>,
}

impl IdMapper {
    /// Reads what was given away and takes up the configured domains that are known from earlier runs, so that ids are
    /// mapped before any directory is reached.
    ///
    /// # Errors
    /// [`Error::Config`] where the configuration would give a known domain other ids than before;
    /// [`Error::StoreCorrupt`], [`Error::Io`] from the store.
    pub fn open(slices: SliceStore, domains: &[Domain]) -> Result<Self, Error> {
        let (mappings, blocks) = slices.read()?;
        let mut table = Table::default();
        for block in blocks {
            table.insert(block)?;
        }
        let own = domains.iter().map(|domain| Own {
            name: domain.name.clone(),
            mapping: domain.id_mapping,
            range: domain.id_range,
            slice: domain.id_slice,
            blocks: domain.id_blocks.clone(),
        });
        let mapper = Self {
            store: slices,
            domains: own.collect(),
            state: RwLock::new(State { table, sids: vec![None; domains.len()], mappings: mappings.clone() }),
            refused: AtomicU64::new(0),
        };
        for domain in &mapper.domains {
            // The last one of a name counts: a domain that was built anew has another SID.
            if let Some(met) = mappings.iter().rev().find(|met| met.name == domain.name) {
                mapper.learn_domain(&domain.name, &met.sid)?;
            }
        }
        Ok(mapper)
    }

    /// Takes up the SID of a configured domain. The first time, ids are assigned to it and written to disk before the
    /// call returns. Costs next to nothing when nothing is new.
    ///
    /// # Errors
    /// [`Error::Config`] where the domain is not configured, the SID is none of a domain, or the configuration would
    /// give the domain ids that others have or had, or other ids than before; [`Error::Io`] where it could not be
    /// written (then nothing is assigned).
    pub fn learn_domain(&self, domain: &str, sid: &Sid) -> Result<(), Error> {
        let at = self.position(domain).ok_or_else(|| Error::Config(format!("{domain} is not configured")))?;
        if self.read().sids.get(at).is_some_and(|known| known.as_ref() == Some(sid)) {
            return Ok(());
        }
        if !sid.is_of_a_domain() || sid.domain().is_some_and(|parent| parent.is_of_a_domain()) {
            return Err(Error::Config(format!(
                "{sid} is no domain's SID; {domain} should have one like S-1-5-21-A-B-C"
            )));
        }
        let mut state = self.write();
        self.assign_domain(&mut state, at, sid)
    }

    /// The SID of a domain, once it was learned, in this run or an earlier one.
    pub fn domain_sid(&self, domain: &str) -> Option<Sid> {
        self.read().sids.get(self.position(domain)?)?.clone()
    }

    /// The id of an account. `None`: its domain is not ours or not learned yet, it has no id (`S-1-5-32-*`, RID 0,
    /// outside the range), or its ids come from the directory (`rfc2307`).
    ///
    /// Ask with SIDs that the directory gave: with the mapping `sssd` a RID beyond the slices so far is assigned a
    /// further slice, which is written to disk.
    pub fn id_of(&self, sid: &Sid) -> Option<u32> {
        let domain = sid.domain()?;
        let rid = sid.rid();
        let at = {
            let state = self.read();
            let at = state.sids.iter().position(|known| known.as_ref() == Some(&domain))?;
            if let Some(block) = state.table.of_rid(&domain, rid) {
                return self.domains.get(at)?.id(block, rid);
            }
            at
        };
        let own = self.domains.get(at)?;
        if own.mapping != IdMapping::Sssd {
            return None;
        }
        let mut state = self.write();
        match self.assign_further(&mut state, own, &domain, sssd::first_rid(rid)) {
            Ok(block) => own.id(&block, rid),
            Err(error) => {
                drop(state);
                // The 1st, the 2nd, the 4th, the 8th: a directory with more accounts than ids fills no log.
                let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
                if count.is_power_of_two() {
                    log::error!("{sid} gets no id ({count} times so far that there was none to give): {error}");
                }
                None
            }
        }
    }

    /// The account that an id stands for, and its domain; whether there is such an account, the directory knows.
    /// Nothing is assigned: of slices that were not needed yet, the first ten of each domain are foreseen, as SSSD does.
    pub fn sid_of(&self, id: u32) -> Option<(DomainId, Sid)> {
        let state = self.read();
        let block = state.table.of_id(id).cloned().or_else(|| self.foresee(&state, id))?;
        let at = state.sids.iter().position(|known| known.as_ref() == Some(&block.domain))?;
        let own = self.domains.get(at)?;
        let rid = block.first_rid.checked_add(id - block.first_id)?;
        own.id(&block, rid)?;
        Some((own.name.clone(), block.domain.with_rid(rid)?))
    }

    /// First and last id of the domain's own (first) slice or range; `None` while the mapping is `sssd` and the domain
    /// was not learned.
    pub fn own_range(&self, domain: &str) -> Option<(u32, u32)> {
        let at = self.position(domain)?;
        let own = self.domains.get(at)?;
        if own.mapping != IdMapping::Sssd && own.blocks.is_empty() {
            return Some(own.range);
        }
        let state = self.read();
        let block = state.table.beginning_with(state.sids.get(at)?.as_ref()?, 0)?;
        Some((block.first_id, block.last_id))
    }

    /// Whether a uidNumber or gidNumber of the directory (`rfc2307`) may be used: within the domain's range, and
    /// nobody's by convention.
    pub fn posix_id_allowed(&self, domain: &str, id: u32) -> bool {
        self.position(domain).and_then(|at| self.domains.get(at)).is_some_and(|own| own.allows(id))
    }

    /// Every block of ids that was ever given away, by first id.
    pub fn blocks(&self) -> Vec<Block> {
        self.read().table.blocks().cloned().collect()
    }

    /// The block that would hold `id` if one of the next further slices were needed.
    fn foresee(&self, state: &State, id: u32) -> Option<Block> {
        self.domains.iter().zip(&state.sids).find_map(|(own, sid)| {
            let sid = sid.as_ref().filter(|_| own.mapping == IdMapping::Sssd && own.allows(id))?;
            (1..=sssd::HELPERS).find_map(|number| {
                let first_rid = number * SLICE_SIZE;
                if state.table.beginning_with(sid, first_rid).is_some() {
                    return None;
                }
                self.further(state, own, sid, first_rid).filter(|block| (block.first_id..=block.last_id).contains(&id))
            })
        })
    }

    fn position(&self, domain: &str) -> Option<usize> {
        self.domains.iter().position(|own| own.name == domain)
    }

    // A panic elsewhere leaves this state whole: it is replaced in one step.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    /// The id of a RID that lies in `block`, where there may be one.
    fn id(&self, block: &Block, rid: u32) -> Option<u32> {
        let id = block.first_id.checked_add(rid.checked_sub(block.first_rid)?)?;
        (rid != 0 && id <= block.last_id && self.allows(id)).then_some(id)
    }

    fn allows(&self, id: u32) -> bool {
        (self.range.0..=self.range.1).contains(&id) && (ID_FLOOR..u32::MAX - 1).contains(&id) && !NOBODY.contains(&id)
    }
}
