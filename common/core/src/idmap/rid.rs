//! winbind's `idmap_rid`: id = first id of the range + RID (with `base_rid = 0`, its default).

use crate::store::Block;
use crate::types::Sid;

/// All ids of the range, for the domain's RIDs from 0 on. RID 0 itself is nobody's.
pub(super) fn block(domain: &Sid, range: (u32, u32)) -> Block {
    Block { domain: domain.clone(), first_rid: 0, first_id: range.0, last_id: range.1 }
}
