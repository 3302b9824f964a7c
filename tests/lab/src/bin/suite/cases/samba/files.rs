//! Files over SMB: whose they are, who may reach them.

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::dc::{DOMAIN_SID, FIRST_ID};

use super::serving;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("samba: files of 50 users belong to the ids that id shows", owners),
    ("samba: shares for groups, with blanks in their names and nested ones", groups),
    ("samba: a list of rights names users and groups, and is inherited", rights),
    ("samba: smbtorture's basics, with Kerberos from another host", torture),
];

/// Users of the first case, and files of each.
const USERS: usize = 50;
const FILES: usize = 20;
/// smbtorture's tests: sessions, files, folders, locks and lists of rights. Left out is what wants user attributes of the
/// file system (DOS attributes), which the nodes' memory does not have, and what takes long.
const TORTURE: [&str; 14] = [
    "smb2.connect",
    "smb2.session.reauth1",
    "smb2.session.reconnect1",
    "smb2.read",
    "smb2.create.multi",
    "smb2.create.delete",
    "smb2.create.aclfile",
    "smb2.create.acldir",
    "smb2.dir.find",
    "smb2.rename.simple",
    "smb2.lock.rw-exclusive",
    "smb2.acls.CREATOR",
    "smb2.acls.INHERITANCE",
    "smb2.acls.OWNER",
];
/// Password of planted users.
const PASSWORD: &str = "Planted-Pass-1";

fn owners(world: &World) -> Verdict {
    let server = serving::ready(world)?;
    let client = serving::other(world)?;
    // 'static, as planted accounts are.
    let names: Vec<&'static str> = (1..=USERS).map(|at| &*format!("smb{at:02}").leak()).collect();
    let users: Vec<Planted> = names.iter().map(|name| Planted::user(name, PASSWORD)).collect();
    server.must(&["sh", "-c", "rm -rf /srv/share/smb*"])?;
    world.with_planted(&users, |rids| {
        let script = r#"
set -e
mkdir -p /tmp/many && cd /tmp/many
for file in $(seq -w 1 "$3"); do echo "$file" >"f$file"; done
for user in $(seq -f 'smb%02g' 1 "$2"); do
    echo "$1" | kinit -c "/tmp/smb-$user" "$user" >/dev/null
    KRB5CCNAME=/tmp/smb-$user smbclient "//$4/share" --use-kerberos=required -N \
        -c "mkdir $user; cd $user; prompt off; mput f*" >/dev/null 2>/tmp/smb-log || { cat /tmp/smb-log; exit 1; }
done"#;
        let words = ["sh", "-c", script, "sh", PASSWORD, &USERS.to_string(), &FILES.to_string(), serving::SERVER];
        check::text("1,000 files", client.run_with(&words, None, std::time::Duration::from_secs(120))?)?;
        let text = server.must(&["sh", "-c", "cd /srv/share && stat -c '%n %u %U %g' smb*/f*"])?;
        let mut expected = Vec::new();
        for (name, rid) in names.iter().zip(rids) {
            let uid = server.must(&["id", "-u", name])?;
            check::equal(name, &uid, &(FIRST_ID + rid).to_string())?;
            expected.extend((1..=FILES).map(|at| format!("{name}/f{at:02} {uid} {name} {}", FIRST_ID + 513)));
        }
        check::equal("files", &text.lines().map(str::to_owned).collect(), &expected)?;
        for (name, rid) in names.iter().zip(rids).step_by(10) {
            let acls = serving::acls(&client, name, &format!("{name}/f01"), &["--numeric"])?;
            check::holds("owner as a SID", &acls, &format!("OWNER:{DOMAIN_SID}-{rid}\n"))?;
        }
        Ok(())
    })
}

fn groups(world: &World) -> Verdict {
    let server = serving::ready(world)?;
    let client = serving::other(world)?;
    for user in ["alice", "nested", "ivan"] {
        let account = PEOPLE.iter().find(|account| account.sam == user).ok_or("no such account")?;
        serving::ticket(&client, user, account.password)?;
    }
    let put =
        |user: &str, share: &str| serving::smb(&client, user, share, &format!("put /etc/hostname {user}-{share}"));
    for (user, share, allowed) in [
        ("alice", "admins", true),
        ("ivan", "admins", false),
        ("nested", "admins", false),
        ("nested", "nested", true),
        ("alice", "nested", false),
    ] {
        let output = put(user, share)?;
        check::that(output.ok() == allowed, || format!("{user} at {share}: {}", output.describe()))?;
        if !allowed {
            check::holds("why", &output.stdout, "NT_STATUS_ACCESS_DENIED")?;
        }
    }
    let file = server.must(&["stat", "-c", "%u %g", "/srv/share/alice-admins"])?;
    let group = server.must(&["getent", "group", "linux admins"])?;
    let gid = group.split(':').nth(2).unwrap_or_default();
    check::equal("owner and forced group", &file, &format!("{} {gid}", ALICE.uid()))
}

fn rights(world: &World) -> Verdict {
    let server = serving::ready(world)?;
    let client = serving::other(world)?;
    let bob = PEOPLE.iter().find(|account| account.sam == "bob").ok_or("no bob")?;
    serving::ticket(&client, "alice", ALICE.password)?;
    serving::ticket(&client, "bob", bob.password)?;
    server.must(&["rm", "-rf", "/srv/share/team"])?;
    check::text("mkdir", serving::smb(&client, "alice", "share", "mkdir team")?)?;
    let refused = serving::smb(&client, "bob", "share", "cd team; put /etc/hostname his")?;
    check::that(!refused.ok(), || "bob may write before alice lets him".into())?;
    for ace in ["ACL:AADDS\\bob:ALLOWED/OI|CI/FULL", "ACL:AADDS\\Linux Admins:ALLOWED/OI|CI/READ"] {
        serving::acls(&client, "alice", "team", &["-a", ace])?;
    }
    check::text(
        "alice's",
        serving::smb(&client, "alice", "share", "cd team; mkdir sub; cd sub; put /etc/hostname a")?,
    )?;
    let inherited = serving::acls(&client, "alice", "team/sub/a", &[])?;
    for (name, right) in [("bob", "FULL"), ("linux admins", "READ")] {
        let (begin, end) = (format!("acl:aadds\\{name}:allowed/"), format!("/{}", right.to_lowercase()));
        let found =
            inherited.lines().map(str::to_lowercase).any(|line| line.starts_with(&begin) && line.ends_with(&end));
        check::that(found, || format!("no right {right} of {name} was inherited:\n{inherited}"))?;
    }
    let posix = server.must(&["getfacl", "-cn", "/srv/share/team/sub/a"])?;
    let gid = server.must(&["sh", "-c", "getent group 'linux admins' | cut -d: -f3"])?;
    check::holds("getfacl", &posix, &format!("user:{}:rwx", bob.uid()))?;
    check::holds("getfacl", &posix, &format!("group:{gid}:r-x"))?;
    check::text("bob's", serving::smb(&client, "bob", "share", "cd team/sub; put /etc/hostname b; del a")?)?;
    check::equal("owner", &server.must(&["stat", "-c", "%U", "/srv/share/team/sub/b"])?.as_str(), &"bob")?;
    serving::acls(&client, "bob", "team/sub/b", &["-G", "AADDS\\Linux Admins"])?;
    check::equal("chgrp", &server.must(&["stat", "-c", "%g", "/srv/share/team/sub/b"])?, &gid)
}

fn torture(world: &World) -> Verdict {
    const WHO: &str = "/root/smbtorture.auth";
    serving::ready(world)?;
    let client = serving::other(world)?;
    if !client.outside_path("/usr/bin/smbtorture").exists() {
        check::text("apt-get install samba-testsuite", client.apt_install(&["samba-testsuite"])?)?;
    }
    client.put_file(WHO, format!("username = alice@AADDS.CONTOSO.COM\npassword = {}\n", ALICE.password), 0o600)?;
    let target = format!("//{}/share", serving::SERVER);
    let words = ["smbtorture", &target, "-A", WHO, "--use-kerberos=required"];
    let output = client.run_with(&[&words[..], &TORTURE].concat(), None, std::time::Duration::from_secs(120))?;
    client.must(&["rm", "-f", WHO])?;
    check::status("smbtorture", &output, 0)?;
    let passed = output.stdout.lines().filter(|line| line.starts_with("success: ")).count();
    // Some are several.
    check::that(passed >= TORTURE.len(), || format!("{passed} of {} passed:\n{}", TORTURE.len(), output.stdout))
}
