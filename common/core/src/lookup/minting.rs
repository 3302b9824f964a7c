//! From what the directory says to what the host sees: ids mapped, names chosen, local names left alone.

use std::sync::{Arc, PoisonError};

use entra_wire::guard::name_may_be_ours;

use crate::Error;
use crate::config::{Domain, IdMapping, PrimaryGroup, TemplateValues, UsernameFormat, expand};
use crate::directory::DomainInfo;
use crate::local::LocalAccounts;
use crate::types::{GroupEntry, GroupRecord, UserEntry, UserRecord, fold};

use super::{DomainContext, Lookup};

impl Lookup {
    /// The record of a user; `None` where it has no id in our ranges, or its name is a local one or cannot stand in
    /// a passwd line.
    pub(super) fn mint_user(&self, domain: &DomainContext, info: &DomainInfo, entry: UserEntry) -> Option<UserRecord> {
        let config = &domain.config;
        let sid = entry.sid?;
        let primary_group = info.sid.with_rid(entry.primary_group_rid)?;
        let (uid, gid) = match config.id_mapping {
            IdMapping::Sssd | IdMapping::Rid => (self.mapper.id_of(&sid)?, self.mapper.id_of(&primary_group)?),
            IdMapping::Rfc2307 => {
                let (uid, gid) = entry.posix?;
                let allowed = |id| self.mapper.posix_id_allowed(&config.name, id);
                (allowed(uid) && allowed(gid)).then_some((uid, gid))?
            }
        };
        let name = user_name(config, info, &entry.sam, entry.upn.as_deref());
        if !fits_a_line(&name) || self.local().has_user(&name) {
            log::debug!("user {:?} of {} is hidden: its name is local or fits no passwd line", entry.sam, config.name);
            return None;
        }
        Some(UserRecord {
            domain: config.name.clone(),
            home: expand(
                &config.home,
                &TemplateValues { user: &name, domain: &config.name, uid, sam: &fold(&entry.sam) },
            ),
            former_sids: entry.former_sids,
            guid: entry.guid,
            dn: entry.dn,
            sam: entry.sam,
            upn: entry.upn,
            name,
            uid,
            gid: if config.primary_group == PrimaryGroup::UserPrivate { uid } else { gid },
            primary_group,
            gecos: one_field(&entry.gecos),
            shell: config.shell.clone(),
            ssh_keys: entry.ssh_keys,
            state: entry.state,
            sid,
        })
    }

    /// The record of a group; `None` where it is no security group, has no id in our ranges, or fits no group line.
    /// A group whose name is local or reserved is shown as `name@domain`.
    pub(super) fn mint_group(
        &self,
        domain: &DomainContext,
        info: &DomainInfo,
        entry: GroupEntry,
    ) -> Option<GroupRecord> {
        let config = &domain.config;
        if entry.group_type & GroupEntry::SECURITY == 0 {
            return None;
        }
        let sid = entry.sid?;
        let gid = match config.id_mapping {
            IdMapping::Sssd | IdMapping::Rid => self.mapper.id_of(&sid)?,
            IdMapping::Rfc2307 => entry.gid_number.filter(|gid| self.mapper.posix_id_allowed(&config.name, *gid))?,
        };
        let name = self.group_name(config, info, &entry.sam);
        if !fits_a_line(&name) {
            return None;
        }
        Some(GroupRecord {
            domain: config.name.clone(),
            sid,
            former_sids: entry.former_sids,
            guid: entry.guid,
            dn: entry.dn,
            sam: entry.sam,
            name,
            gid,
        })
    }

    fn group_name(&self, config: &Domain, info: &DomainInfo, sam: &str) -> String {
        let short = fold(sam);
        if config.username_format == UsernameFormat::DownLevel {
            return format!("{}\\{short}", info.netbios);
        }
        if self.is_reserved_group(&short) { format!("{short}@{}", config.name) } else { short }
    }

    /// Whether a short group name belongs to this host: in `/etc/group`, or on the list of reserved names.
    pub(super) fn is_reserved_group(&self, folded: &str) -> bool {
        self.settings.reserved_groups.iter().any(|name| name == folded) || self.local().has_group(folded)
    }

    /// Reads the local files again where they changed, and says whether that was possible. Without them nobody can tell which names are the host's: that is no
    /// reason to call a user unknown.
    ///
    /// # Errors
    /// [`Error::Io`] that names the file.
    pub(super) fn local_files(&self) -> Result<(), Error> {
        let mut local = self.local();
        if local.changed() {
            local = Arc::new(LocalAccounts::read(&self.settings.passwd, &self.settings.group));
            *self.local.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&local);
        }
        local.fault().map_or(Ok(()), |fault| Err(Error::Io(fault.to_owned())))
    }

    /// The local accounts as of the last [`Lookup::local_files`], which every lookup begins with.
    fn local(&self) -> Arc<LocalAccounts> {
        Arc::clone(&self.local.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a user name belongs to this host.
    pub(super) fn is_local_user(&self, name: &str) -> bool {
        name == "root" || self.local().has_user(name)
    }
}

fn user_name(config: &Domain, info: &DomainInfo, sam: &str, upn: Option<&str>) -> String {
    match (config.username_format, upn) {
        (UsernameFormat::Sam, _) => fold(sam),
        (UsernameFormat::Upn, Some(upn)) => fold(upn),
        (UsernameFormat::Upn, None) => fold(&format!("{sam}@{}", config.name)),
        (UsernameFormat::DownLevel, _) => format!("{}\\{}", info.netbios, fold(sam)),
    }
}

/// A name that getent prints on one line, and that is no path of its own.
fn fits_a_line(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name_may_be_ours(name.as_bytes())
        && !name.chars().any(|c| c.is_control() || c == ':' || c == '/')
}

/// Free text as one field of a passwd line.
fn one_field(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == ':' { ' ' } else { c }).collect()
}
