//! What of the configuration stands inside cached records: names, homes, ids, and who counts as an account at all.
//! A store that was filled under other settings is emptied, so that a user who is filtered out vanishes at once.

use std::fmt::Write;

use super::{DomainContext, Settings};

/// A text that differs where cached records would.
pub(super) fn of(domains: &[DomainContext], settings: &Settings) -> String {
    let mut shape = String::new();
    for domain in domains {
        let config = &domain.config;
        // Writing to a string cannot fail.
        let _ = writeln!(
            shape,
            "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            config.name,
            config.base_dn,
            config.user_bases,
            config.group_bases,
            config.user_filter,
            config.group_filter,
            config.id_mapping,
            config.id_range,
            config.id_slice,
            config.username_format,
            config.home,
            config.shell,
            config.primary_group,
            config.ssh_key_attributes,
        );
    }
    let _ = write!(shape, "{:?}", settings.reserved_groups);
    shape
}
