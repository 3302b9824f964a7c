//! Giving ids away: once, to disk first, and never what somebody else has or had.

use super::{IdMapper, Own, State, rid, sssd};
use crate::Error;
use crate::config::{IdBlock, IdMapping};
use crate::store::{Block, MetDomain};
use crate::types::Sid;

impl IdMapper {
    /// Takes up `sid` as the domain at `at` of the configuration.
    pub(super) fn assign_domain(&self, state: &mut State, at: usize, sid: &Sid) -> Result<(), Error> {
        let Some(own) = self.domains.get(at) else { return Ok(()) };
        let name = &own.name;
        if let Some(other) =
            state.sids.iter().position(|known| known.as_ref() == Some(sid)).filter(|other| *other != at)
        {
            let other = self.domains.get(other).map_or("another one", |other| &other.name);
            return Err(Error::Config(format!("{name} and {other} are the same domain ({sid}); remove one of them")));
        }
        let met = state.mappings.iter().find(|met| met.sid == *sid);
        if let Some(met) = met
            && met.mapping != own.mapping_name()
        {
            return Err(own.changed(&format!("id_mapping = \"{}\"", met.mapping)));
        }
        let blocks = match own.mapping {
            IdMapping::Sssd => vec![self.first_slice(state, own, sid)?],
            IdMapping::Rid if own.blocks.is_empty() => {
                vec![written(state, own, sid, rid::block(sid, own.range), "an id_range that begins with")?]
            }
            IdMapping::Rid => stated(state, own, sid)?,
            IdMapping::Rfc2307 => Vec::new(),
        };
        for block in &blocks {
            state.table.check(block)?;
        }
        let domain = MetDomain { sid: sid.clone(), name: name.clone(), mapping: own.mapping_name().into() };
        let last_of_its_name = state.mappings.iter().rev().find(|met| met.name == *name);
        let known = last_of_its_name == Some(&domain)
            && blocks.iter().all(|block| state.table.beginning_with(sid, block.first_rid) == Some(block));
        if !known {
            if let Some(former) = last_of_its_name.filter(|former| former.sid != *sid) {
                log::warn!("{name} has another SID than before ({sid}, not {}): its ids are new ones", former.sid);
            }
            self.store.add(&domain, &blocks)?;
            for block in &blocks {
                log::info!("{name} ({sid}) has the ids {} to {}", block.first_id, block.last_id);
            }
        }
        for block in blocks {
            state.table.insert(block)?;
        }
        state.mappings.retain(|met| met.sid != *sid);
        state.mappings.push(domain);
        if let Some(known) = state.sids.get_mut(at) {
            *known = Some(sid.clone());
        }
        Ok(())
    }

    /// Gives `domain` the slice for RIDs from `first_rid` on.
    pub(super) fn assign_further(
        &self,
        state: &mut State,
        own: &Own,
        domain: &Sid,
        first_rid: u32,
    ) -> Result<Block, Error> {
        // Another thread may have been first.
        if let Some(block) = state.table.beginning_with(domain, first_rid) {
            return Ok(block.clone());
        }
        let block = self.further(state, own, domain, first_rid).ok_or_else(|| own.full())?;
        state.table.check(&block)?;
        let met = MetDomain { sid: domain.clone(), name: own.name.clone(), mapping: own.mapping_name().into() };
        self.store.add(&met, std::slice::from_ref(&block))?;
        log::info!("{}: RIDs from {first_rid} have the ids {} to {}", own.name, block.first_id, block.last_id);
        state.table.insert(block.clone())?;
        Ok(block)
    }

    /// The slice that RIDs from `first_rid` on would get.
    pub(super) fn further(&self, state: &State, own: &Own, domain: &Sid, first_rid: u32) -> Option<Block> {
        let slice = sssd::choose(domain, first_rid, own.range, |ids| self.is_taken(state, own, ids))?;
        let (first_id, last_id) = sssd::ids_of(own.range, slice);
        // The slice of the highest RIDs has more ids than there are RIDs left.
        let last_id = last_id.min(first_id.saturating_add(u32::MAX - first_rid));
        Some(Block { domain: domain.clone(), first_rid, first_id, last_id })
    }

    fn first_slice(&self, state: &State, own: &Own, sid: &Sid) -> Result<Block, Error> {
        if let Some(block) = state.table.beginning_with(sid, 0) {
            let (low, high) = own.range;
            let slice = block.first_id.checked_sub(low).map(|ids| ids / sssd::SLICE_SIZE);
            let aligned = slice.is_some_and(|slice| sssd::ids_of(own.range, slice) == (block.first_id, block.last_id));
            if !aligned || block.last_id > high {
                return Err(own.changed(&format!("an id_range in which {} begins a slice", block.first_id)));
            }
            return match (own.slice, slice) {
                (Some(pinned), Some(slice)) if pinned != slice => Err(own.changed(&format!("id_slice = {slice}"))),
                _ => Ok(block.clone()),
            };
        }
        let slice = match own.slice {
            Some(slice) => {
                let ids = sssd::ids_of(own.range, slice);
                if let Some(block) = state.table.owner(ids, None) {
                    return Err(Error::Config(format!(
                        "{}: slice {slice} belongs to {} already and is never given away again; pin another id_slice, or \
                         remove id_slice",
                        own.name, block.domain
                    )));
                }
                slice
            }
            None => sssd::choose(sid, 0, own.range, |ids| self.is_taken(state, own, ids)).ok_or_else(|| own.full())?,
        };
        let (first_id, last_id) = sssd::ids_of(own.range, slice);
        Ok(Block { domain: sid.clone(), first_rid: 0, first_id, last_id })
    }

    /// Whether somebody has these ids, or another domain's `id_slice` claims them.
    fn is_taken(&self, state: &State, own: &Own, ids: (u32, u32)) -> bool {
        let claimed = |other: &Own| {
            other.name != own.name && other.slice.is_some_and(|slice| sssd::ids_of(other.range, slice) == ids)
        };
        state.table.owner(ids, None).is_some() || self.domains.iter().any(claimed)
    }
}

/// The blocks of `id_blocks`. What was given away before and stands there no more is kept.
fn stated(state: &State, own: &Own, sid: &Sid) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    for &IdBlock { first_rid, first_id, last_id } in &own.blocks {
        // Another block may have these RIDs from another first one on.
        let rids = [first_rid, first_rid.saturating_add(last_id - first_id)];
        let other = rids.iter().find_map(|rid| state.table.of_rid(sid, *rid)).filter(|it| it.first_rid != first_rid);
        if let Some(other) = other {
            let IdBlock { first_rid, first_id, last_id } =
                IdBlock { first_rid: other.first_rid, first_id: other.first_id, last_id: other.last_id };
            return Err(own.changed(&format!("id_blocks with {first_rid}:{first_id}-{last_id}")));
        }
        let block = Block { domain: sid.clone(), first_rid, first_id, last_id };
        blocks.push(written(state, own, sid, block, &format!("id_blocks in which {first_rid} has the id"))?);
    }
    Ok(blocks)
}

/// A block as the configuration has it. It may grow at its end; at its beginning it stays (`begins` says so).
fn written(state: &State, own: &Own, sid: &Sid, mut block: Block, begins: &str) -> Result<Block, Error> {
    if let Some(known) = state.table.beginning_with(sid, block.first_rid) {
        if known.first_id != block.first_id {
            return Err(own.changed(&format!("{begins} {}", known.first_id)));
        }
        block.last_id = block.last_id.max(known.last_id);
    }
    match state.table.owner((block.first_id, block.last_id), Some((sid, block.first_rid))) {
        Some(other) => Err(Error::Config(format!(
            "{}: ids {} to {} belong to {} and are never given away again; choose another id_range",
            own.name, other.first_id, other.last_id, other.domain
        ))),
        None => Ok(block),
    }
}

impl Own {
    fn mapping_name(&self) -> &'static str {
        match self.mapping {
            IdMapping::Sssd => "sssd",
            IdMapping::Rid => "rid",
            IdMapping::Rfc2307 => "rfc2307",
        }
    }

    fn changed(&self, before: &str) -> Error {
        Error::Config(format!(
            "{}: the configuration would change the ids that this host has given to the domain's users; write {before} \
             again. If all files may change their owners, stop entrad and remove idmap.db and identity.db",
            self.name
        ))
    }

    fn full(&self) -> Error {
        Error::Config(format!(
            "{}: every slice of {}-{} is taken; widen id_range at its end",
            self.name, self.range.0, self.range.1
        ))
    }
}
