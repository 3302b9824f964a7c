//! The machine's secret in Samba's hands. Samba needs the password itself, a keytab holds keys only: a machine that was
//! joined without Samba gets a new password, which directory, keytab and secrets.tdb then share.

use std::path::Path;

use entra_core::types::Sid;
use entra_wire::paths;

use super::plan::WRITES_KEYTAB;
use super::programs;
use super::tdb::Tdb;
use super::undo::Places;

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

/// What brings the keytab back where Samba changed the machine's password, against its settings (`wbinfo -c`,
/// `net ads changetrustpw`): Samba's copy is the one that counts then. Nothing where Samba does not share the password, or
/// has a wrong one too.
pub(in crate::verbs) fn way_back() -> Option<String> {
    let counts = Places::installed().note.exists() && programs::testjoin().is_ok();
    counts.then(|| {
        let version = programs::version();
        // Before that, RC4 keys come along; the keytab keeps them for one rotation.
        let times = if version < WRITES_KEYTAB { " twice" } else { "" };
        let write = write_keytab(version);
        format!("Samba changed it and has the one that counts: `{write}`, then `entractl keytab rotate`{times}")
    })
}

/// The command by which Samba writes its password's keys into the keytab, once.
fn write_keytab(version: (u32, u32)) -> String {
    let write = "net ads keytab create -P";
    if version < WRITES_KEYTAB {
        return write.to_owned();
    }
    let what = format!("{}:account_name:sync_spns:sync_kvno:sync_etypes:machine_password", paths::KEYTAB);
    format!("{write} --option='sync machine password to keytab={what}'")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_samba_that_was_told_to_leave_the_keytab_is_told_otherwise() {
        assert_eq!(write_keytab((4, 17)), "net ads keytab create -P");
        assert!(write_keytab((4, 22)).ends_with(":machine_password'"), "{}", write_keytab((4, 22)));
    }
}
