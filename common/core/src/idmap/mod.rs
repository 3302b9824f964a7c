//! SIDs to ids and back.

/// Ids of one slice of the mapping `sssd`: SSSD's `ldap_idmap_range_size`.
pub const SLICE_SIZE: u32 = 200_000;
