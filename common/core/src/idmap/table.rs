//! The blocks of ids that were given away, found by SID and by id.

use std::collections::{BTreeMap, HashMap};

use crate::Error;
use crate::store::Block;
use crate::types::Sid;

/// Blocks, none of which overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// By domain and first RID; the value is the first id.
    by_sid: HashMap<Sid, BTreeMap<u32, u32>>,
    /// By first id.
    by_id: BTreeMap<u32, Block>,
}

impl Table {
    /// Takes a block in, or a known one with another end.
    ///
    /// # Errors
    /// As [`Table::check`].
    pub fn insert(&mut self, block: Block) -> Result<(), Error> {
        self.check(&block)?;
        self.by_sid.entry(block.domain.clone()).or_default().insert(block.first_rid, block.first_id);
        self.by_id.insert(block.first_id, block);
        Ok(())
    }

    /// Whether a block may be taken in: asked before it is written to disk, where a wrong one would stay.
    ///
    /// # Errors
    /// [`Error::StoreCorrupt`] where it is upside down, runs beyond the last RID or overlaps another one.
    pub fn check(&self, block: &Block) -> Result<(), Error> {
        let Block { ref domain, first_rid, first_id, last_id } = *block;
        let span = last_id.checked_sub(first_id);
        let impossible = span.and_then(|span| first_rid.checked_add(span)).is_none();
        if impossible || self.owner((first_id, last_id), Some((domain, first_rid))).is_some() {
            return Err(Error::StoreCorrupt(format!("the ids {first_id} to {last_id} of {domain} overlap others")));
        }
        Ok(())
    }

    /// The block that holds `rid` of `domain`.
    pub fn of_rid(&self, domain: &Sid, rid: u32) -> Option<&Block> {
        let (first_rid, first_id) = self.by_sid.get(domain)?.range(..=rid).next_back()?;
        let block = self.by_id.get(first_id)?;
        (rid - first_rid <= block.last_id - block.first_id).then_some(block)
    }

    /// The block of `domain` that begins with `first_rid`.
    pub fn beginning_with(&self, domain: &Sid, first_rid: u32) -> Option<&Block> {
        self.by_id.get(self.by_sid.get(domain)?.get(&first_rid)?)
    }

    /// The block that holds `id`.
    pub fn of_id(&self, id: u32) -> Option<&Block> {
        self.by_id.range(..=id).next_back().map(|(_, block)| block).filter(|block| block.last_id >= id)
    }

    /// A block that holds any of these ids, besides the one of this domain and first RID.
    pub fn owner(&self, ids: (u32, u32), besides: Option<(&Sid, u32)>) -> Option<&Block> {
        self.by_id
            .range(..=ids.1)
            .rev()
            .map(|(_, block)| block)
            .take_while(|block| block.last_id >= ids.0)
            .find(|block| besides != Some((&block.domain, block.first_rid)))
    }

    /// Every block, by first id.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.by_id.values()
    }
}
