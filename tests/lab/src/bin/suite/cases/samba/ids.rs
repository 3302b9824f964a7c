//! winbindd and lookups give the same ids and names, whatever either remembers; who may not come by SMB.

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::dc::DOMAIN_SID;
use entra_lab::{Node, product};

use super::serving;
use crate::Case;
use crate::cases::capi;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("samba: winbindd and getent agree, without caches and without entrad", agreement),
    ("samba: what is no account of the domain has ids of its own", others),
    ("samba: a disabled account is refused, a home is made once", accounts),
    ("samba: open shares go on while the domain controller is away", outage),
    ("samba: RIDs of another slice are noticed, and mapped by the script", far_rid),
];

/// Groups with blanks, of the domain itself and nested.
const GROUPS: [&str; 6] = ["Domain Users", "Linux Admins", "AAD DC Administrators", "größe", "nest-1", "big-1600"];

fn agreement(world: &World) -> Verdict {
    let node = serving::ready(world)?;
    let wanted = wanted(&node)?;
    agrees(&node, "as it runs", &wanted)?;
    for program in ["smbd", "winbindd"] {
        node.stop(program)?;
    }
    let caches = "rm -f /run/samba/gencache.tdb /var/lib/samba/winbindd_cache.tdb /var/cache/samba/winbindd_cache.tdb \
                  /var/cache/samba/netsamlogon_cache.tdb";
    node.must(&["sh", "-c", caches])?;
    serving::start(&node)?;
    agrees(&node, "without caches", &wanted)?;
    product::stop_daemon(&node)?;
    node.must(&["net", "cache", "flush"])?;
    let verdict = agrees(&node, "without entrad", &wanted);
    product::start_daemon(&node)?;
    verdict
}

/// Name, SID, id and wbinfo's type of an account or a group.
type Known = (String, String, String, &'static str);

/// Accounts and groups as lookups give them.
pub fn wanted(node: &Node) -> Result<Vec<Known>, String> {
    let mut wanted = Vec::new();
    for account in PEOPLE {
        let sid = format!("{DOMAIN_SID}-{}", account.rid);
        let uid = node.must(&["id", "-u", account.sam])?;
        wanted.push((account.sam.to_lowercase(), sid, uid, "1"));
    }
    for group in GROUPS {
        let view = node.must(&["entractl", "--json", "group", group])?;
        let field = |name: &str| {
            let (_, rest) = view.split_once(&format!("\"{name}\": "))?;
            Some(rest.split([',', '\n']).next()?.trim_matches('"').to_owned())
        };
        let (sid, gid) = (field("sid").ok_or("no sid")?, field("gid").ok_or("no gid")?);
        let listed = node.must(&["getent", "group", &gid])?;
        check::equal(group, &listed.split(':').nth(2), &Some(gid.as_str()))?;
        wanted.push((group.to_lowercase(), sid, gid, "2"));
    }
    Ok(wanted)
}

/// Name to SID, SID to name, SID to id and id to SID by winbindd, for each of `wanted`.
pub fn agrees(node: &Node, when: &str, wanted: &[Known]) -> Verdict {
    let script = r#"
while IFS=: read -r name sid id kind; do
    echo "$name:$(wbinfo -n "AADDS\\$name" | cut -d' ' -f1):$(wbinfo -s "$sid"):$(wbinfo -S "$sid"):$(wbinfo -Y "$sid"):$(wbinfo -U "$id"):$(wbinfo -G "$id")"
done"#;
    let lines: Vec<String> = wanted.iter().map(|(name, sid, id, kind)| format!("{name}:{sid}:{id}:{kind}")).collect();
    let input = lines.join("\n") + "\n";
    let output = node.run_with(&["bash", "-c", script], Some(input.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    let seen: Vec<String> = check::text("wbinfo", output)?.lines().map(str::to_lowercase).collect();
    let expected: Vec<String> = wanted
        .iter()
        .map(|(name, sid, id, kind)| format!("{name}:{sid}:aadds\\{name} {kind}:{id}:{id}:{sid}:{sid}").to_lowercase())
        .collect();
    check::equal(when, &seen, &expected)
}

fn others(world: &World) -> Verdict {
    let node = serving::ready(world)?;
    let mut ids = Vec::new();
    for sid in ["S-1-5-32-544", "S-1-5-32-545"] {
        let id: u32 = node.must(&["wbinfo", "-Y", sid])?.parse().map_err(|_| format!("{sid} has no id"))?;
        check::that((2_100_000_000..2_100_200_000).contains(&id), || format!("{sid} is {id}"))?;
        ids.push(id);
    }
    ids.dedup();
    check::equal("ids", &ids.len(), &2)
}

fn accounts(world: &World) -> Verdict {
    let server = serving::ready(world)?;
    let client = serving::other(world)?;
    let password = "Planted-Pass-1";
    world.with_planted(&[Planted::user("smbgone", password)], |_| {
        serving::ticket(&client, "smbgone", password)?;
        server.must(&["rm", "-rf", "/home/smbgone"])?;
        check::text("while enabled", serving::smb(&client, "smbgone", "share", "ls")?)?;
        let home = || server.must(&["stat", "-c", "%U %a %i", "/home/smbgone"]);
        let made = home()?;
        check::that(made.starts_with("smbgone 700 "), || format!("its home: {made}"))?;
        check::text("again", serving::smb(&client, "smbgone", "share", "ls")?)?;
        check::equal("its home after the second time", &home()?, &made)?;
        // Its ticket is good for hours; the account phase asks the directory.
        world.dc()?.must(&["samba-tool", "user", "disable", "smbgone"])?;
        let refused = serving::smb(&client, "smbgone", "share", "ls")?;
        check::that(!refused.ok(), || "a disabled account was let in".into())
    })
}

fn outage(world: &World) -> Verdict {
    let server = serving::ready(world)?;
    let client = serving::other(world)?;
    serving::ticket(&client, "alice", ALICE.password)?;
    server.must(&["sh", "-c", "rm -rf /srv/share/cut; install -d -m 1777 /srv/share/cut"])?;
    // smbclient looks for more input only where the pipe has some: a line at a time.
    let session = format!(
        "rm -f /tmp/cut; {{ echo 'showacls'; sleep 1; echo 'put /etc/hostname cut/before'; \
         while ! [ -e /tmp/cut ]; do sleep 0.1; done; echo 'put /etc/hostname cut/after'; sleep 1; echo 'ls cut/after'; }} \
         | KRB5CCNAME={} smbclient //{}/share --use-kerberos=required -N",
        serving::ccache("alice"),
        serving::SERVER
    );
    client.stop("smb-outage")?;
    client.sh("rm -f /var/log/lab-smb-outage.log", &[])?.text()?;
    client.start("smb-outage", &["sh", "-c", &session])?;
    serving::until("the session writes", || Ok(server.outside_path("/srv/share/cut/before").exists()))?;
    world.lab.cut("dc")?;
    let verdict = (|| {
        client.must(&["touch", "/tmp/cut"])?;
        serving::until("the session ends by itself", || Ok(!client.is_running("smb-outage")?))?;
        let owner = server.must(&["stat", "-c", "%U %u", "/srv/share/cut/after"])?;
        check::equal("owner", &owner, &format!("alice {}", ALICE.uid()))?;
        let sid = format!("Owner SID:\t{DOMAIN_SID}-{}", ALICE.rid);
        check::holds("owner over SMB", &client.log("smb-outage")?, &sid)
    })();
    world.mend()?;
    verdict
}

/// A SID of former times, of this domain or of one that is gone, stands for the user with its present SID and one uid.
fn formerly(server: &Node, sid: &str, uid: &str) -> Verdict {
    capi::compile(server)?;
    for former in [format!("{DOMAIN_SID}-4000000"), "S-1-5-21-9-8-7-500".to_owned()] {
        let view = server.must(&["entractl", "--json", "sid", &former])?;
        for field in [format!("\"sid\": \"{sid}\""), format!("\"uid\": {uid}"), format!("\"{former}\"")] {
            check::holds(&former, &view, &field)?;
        }
        let said = server.must(&[capi::PROGRAM, &former])?;
        check::holds("libentra", &said, &format!("user faraway {uid}"))?;
    }
    check::status("a SID that nobody ever had", &server.run(&["entractl", "sid", "S-1-5-21-9-8-7-501"])?, 1)?;
    // Every group of the user has a name: the former SIDs are none.
    let names = server.run(&["id", "-Gn", "faraway"])?;
    check::status("id -Gn", &names, 0)?;
    check::equal("what id has no name for", &names.stderr.as_str(), &"")
}

fn far_rid(world: &World) -> Verdict {
    let server = serving::ready(world)?;
    let client = serving::other(world)?;
    let (dc, program) = (world.dc()?, include_str!("../../../../../data/far-rid.py"));
    let verdict = dc.must(&["/usr/bin/python3", "-c", program, "add"]).map_err(String::from).and_then(|_| {
        let (sid, uid) = (format!("{DOMAIN_SID}-200001"), "1787200001");
        check::equal("uid", &server.must(&["id", "-u", "faraway"])?.as_str(), &uid)?;
        formerly(&server, &sid, uid)?;
        let told = server.run(&["entractl", "check", "samba"])?;
        check::status("check with arithmetic that does not reach", &told, 1)?;
        check::holds("what it says", &told.stdout, "200000 and more")?;
        check::status("configure", &server.run(&["entractl", "samba", "configure"])?, 0)?;
        for service in ["smbd", "winbindd"] {
            server.stop(service)?;
        }
        server.must(&["net", "cache", "flush"])?;
        serving::start(&server)?;
        check::text("check", server.run(&["entractl", "check", "samba"])?)?;
        check::equal("wbinfo -S", &server.must(&["wbinfo", "-S", &sid])?.as_str(), &uid)?;
        check::equal("wbinfo -U", &server.must(&["wbinfo", "-U", uid])?, &sid)?;
        let alice = format!("{DOMAIN_SID}-{}", ALICE.rid);
        check::equal("wbinfo -S alice", &server.must(&["wbinfo", "-S", &alice])?, &ALICE.uid().to_string())?;
        // A SID that it had before in this domain; those of others nobody asks the script for.
        let former = format!("{DOMAIN_SID}-4000000");
        check::equal("wbinfo -S of a former SID", &server.must(&["wbinfo", "-S", &former])?.as_str(), &uid)?;
        serving::ticket(&client, "faraway", "Planted-Pass-1")?;
        check::text("put", serving::smb(&client, "faraway", "share", "put /etc/hostname far")?)?;
        check::equal("owner", &server.must(&["stat", "-c", "%u", "/srv/share/far"])?.as_str(), &uid)?;
        let owner = format!("OWNER:{sid}\n");
        check::holds("owner as a SID", &serving::acls(&client, "faraway", "far", &["--numeric"])?, &owner)?;
        // The slice is written down: the script needs nobody for it.
        product::stop_daemon(&server)?;
        server.must(&["net", "cache", "flush"])?;
        let alone = server.must(&["wbinfo", "-S", &sid]);
        product::start_daemon(&server)?;
        check::equal("wbinfo -S without entrad", &alone?.as_str(), &uid)
    });
    dc.must(&["/usr/bin/python3", "-c", program, "delete"])?;
    // The slice was given for good: the next case takes a node of its own.
    server.must(&["rm", "-f", serving::MARK])?;
    verdict
}
