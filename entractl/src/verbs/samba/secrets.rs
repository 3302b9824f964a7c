//! The machine's secret in Samba's hands. Samba needs the password itself, a keytab holds keys only: a machine that was
//! joined without Samba gets a new password, which directory, keytab and secrets.tdb then share.

use std::path::Path;

use entra_core::types::Sid;

use super::programs;
use super::tdb::Tdb;

/// SEC_CHAN_WKSTA: the account is a member's (MS-NRPC 2.2.1.3.13).
const MEMBER: u32 = 2;

/// Makes secrets.tdb one that takes a password. `net changesecretpw` and adcli's `--add-samba-data` fail where Samba has
/// never joined by itself: they look for what a join leaves. So the oldest form of that is put there, with a password
/// that is none; Samba turns it into today's form by itself (`secrets_fetch_or_upgrade_domain_info`).
///
/// # Errors
/// What hinders.
pub(super) fn begin(workgroup: &str, sid: &Sid) -> Result<(), String> {
    // It makes the file where it is missing.
    programs::set_domain_sid(&sid.to_string())?;
    let file = programs::private_folder().join("secrets.tdb");
    prepare(&file, workgroup)
}

fn prepare(file: &Path, workgroup: &str) -> Result<(), String> {
    let tdb = Tdb::open(file)?;
    let domain = workgroup.to_uppercase();
    let key = |kind: &str| format!("SECRETS/{kind}/{domain}");
    if tdb.has(&key("MACHINE_DOMAIN_INFO"))? || tdb.has(&key("MACHINE_PASSWORD"))? {
        return Ok(());
    }
    tdb.store(&[
        (key("MACHINE_PASSWORD"), b"none yet\0".to_vec()),
        // Not 0, which means that there is none.
        (key("MACHINE_LAST_CHANGE_TIME"), 1u32.to_le_bytes().to_vec()),
        (key("MACHINE_SEC_CHANNEL_TYPE"), MEMBER.to_le_bytes().to_vec()),
    ])
}
