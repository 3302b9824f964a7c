//! SIDs of domains that are gone, as Active Directory puts them into the tickets of users that came from there.

use entra_lab::Node;
use entra_lab::accounts::ALICE;

use super::serving;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("samba: a ticket with a SID of a domain that is gone is let in, and opens what Windows lists grant", foreign)];

const PASSWORD: &str = "Planted-Pass-1";

/// A file of alice's with a list of rights for her and one other: share, the other's entry, and its name.
const LISTED: &str = r#"
set -e
export KRB5CCNAME=$1
target=//$2/$3
smbclient "$target" --use-kerberos=required -N -c "put /etc/hostname $5" >&2
smbcacls "$target" "$5" --use-kerberos=required -N \
    -S "REVISION:1,OWNER:AADDS\\alice,GROUP:AADDS\\Domain Users,ACL:AADDS\\alice:ALLOWED/0x0/FULL$4" >&2
smbcacls "$target" "$5" --use-kerberos=required -N --numeric
"#;

fn foreign(world: &World) -> Verdict {
    carried_to(world, &serving::ready(world)?, &serving::other(world)?, serving::SERVER)
}

/// Has such a user come from `client` to a file server that clients call `name`.
pub fn carried_to(world: &World, server: &Node, client: &Node, name: &str) -> Verdict {
    let (dc, program) = (world.dc()?, include_str!("../../../../../data/foreign-sid.py"));
    let verdict = dc
        .must(&["/usr/bin/python3", "-c", program, "add", PASSWORD])
        .map_err(String::from)
        .and_then(|sid| carried(server, client, name, &sid));
    dc.must(&["/usr/bin/python3", "-c", program, "delete"])?;
    verdict
}

fn carried(server: &Node, client: &Node, name: &str, sid: &str) -> Verdict {
    serving::ticket(client, "alice", ALICE.password)?;
    serving::ticket(client, "formerly", PASSWORD)?;
    let account = format!("formerly%{PASSWORD}");
    let pac = check::text("pac dump", server.run(&["net", "ads", "kerberos", "pac", "dump", "-U", &account])?)?;
    check::holds("the ticket's PAC", &pac, &format!(": {sid}\n"))?;
    // Winbindd knows no such domain: it takes no id from the range of the others.
    let mapped = server.must(&["wbinfo", "--sids-to-unix-ids", sid])?;
    check::equal("its id", &mapped, &format!("{sid} -> unmapped"))?;
    check::text("ls", serving::smb_at(client, name, "formerly", "share", "ls")?)?;
    let entry = format!(",ACL:{sid}:ALLOWED/0x0/READ");
    for (share, entry, opens) in [
        // The file system's list has no entry for who has no id.
        ("share", entry.as_str(), false),
        ("windows", &entry, true),
        ("windows", "", false),
    ] {
        let file = format!("former-{share}-{}", entry.len());
        let listed = client.sh(LISTED, &[&serving::ccache("alice"), name, share, entry, &file])?;
        let listed = check::text("smbcacls", listed)?;
        check::that(listed.contains(sid) != entry.is_empty(), || format!("the list of {file}:\n{listed}"))?;
        let got = serving::smb_at(client, name, "formerly", share, &format!("get {file} /tmp/former"))?;
        check::that(got.ok() == opens, || format!("{file}: {}", got.describe()))?;
        if !opens {
            check::holds("why", &got.stdout, "NT_STATUS_ACCESS_DENIED")?;
        }
    }
    Ok(())
}
