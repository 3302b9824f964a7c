//! The newest Samba that a Debian release has, on that release: what 4.22 does otherwise than the 4.17 of the other cases,
//! and the packages, built on Debian 12, on Debian 13.

use entra_lab::accounts::ALICE;
use entra_lab::{Node, member, product};

use super::{former, ids, serving};
use crate::Case;
use crate::cases::rotation;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("samba: 4.22 on Debian 13 is joined and configured, serves, and has one owner of its secret", newest)];

/// Name of the server as clients call it.
const SERVER: &str = "member13.aadds.contoso.com";
/// Has Samba write the keytab once, from its own copy of the password: what `entractl testjoin` names.
const WRITE: &str = "sync machine password to keytab=\
                     /etc/krb5.keytab:account_name:sync_spns:sync_kvno:sync_etypes:machine_password";

fn newest(world: &World) -> Verdict {
    let server = world.member()?;
    let version = server.must(&["smbd", "--version"])?;
    check::holds("Samba", &version, "Version 4.22.")?;
    check::status("entractl join", &product::join(&server)?, 0)?;
    product::start_daemon(&server)?;
    server.apt_install(&["pamtester"])?;
    // Without a session: her home is Samba's to make.
    let words = ["pamtester", "login", "alice", "authenticate", "acct_mgmt"];
    let login = server.run_with(&words, Some(format!("{}\n", ALICE.password).as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::text("a login", login)?;
    serving::serve(&server)?;
    check::text("check samba", server.run(&["entractl", "check", "samba"])?)?;
    check::text("net ads testjoin", server.run(&["net", "ads", "testjoin"])?)?;
    ids::agrees(&server, "winbindd", &ids::wanted(&server)?)?;

    let client = serving::client_of(world, SERVER, member::ADDRESS)?;
    serving::ticket(&client, "alice", ALICE.password)?;
    check::text("put", serving::smb_at(&client, SERVER, "alice", "share", "put /etc/hostname hers")?)?;
    let owner = server.must(&["stat", "-c", "%u %U", "/srv/share/hers"])?;
    check::equal("owner", &owner, &format!("{} alice", ALICE.uid()))?;
    let home = server.must(&["stat", "-c", "%U %a", "/home/alice"])?;
    check::equal("her home, which PAM made", &home.as_str(), &"alice 700")?;

    former::carried_to(world, &server, &client, SERVER)?;
    rotation::under_a_session(&server, &client, SERVER)?;
    one_owner(&server)?;
    check::text("check samba after the change", server.run(&["entractl", "check", "samba"])?)?;

    check::status("--remove", &server.run(&["entractl", "samba", "configure", "--remove"])?, 0)?;
    check::that(!server.outside_path("/etc/samba/entra.conf").exists(), || "entra.conf stayed".into())
}

/// From 4.21 on Samba writes the keytab at every change of its own, and with `net ads keytab create`, RC4 keys among it
/// (smb.conf(5), `sync machine password to keytab`). It is told not to: the keytab stays as entractl wrote it. Where Samba
/// was made to change the password after all, that is said, and its copy of the password brings the keytab back.
fn one_owner(server: &Node) -> Verdict {
    let keytab = || server.must(&["sha256sum", "/etc/krb5.keytab"]);
    let before = keytab()?;
    for program in ["smbd", "winbindd"] {
        server.stop(program)?;
    }
    serving::start(server)?;
    check::text("net ads keytab create", server.run(&["net", "ads", "keytab", "create", "-P"])?)?;
    check::equal("the keytab after Samba's restart and its own attempt", &keytab()?, &before)?;

    let remedy = format!("`net ads keytab create -P --option='{WRITE}'`");
    rotation::changed_by_samba(server, &remedy, &[&format!("--option={WRITE}")])
}
