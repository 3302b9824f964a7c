//! Local wins: whatever the directory, or somebody who stands in for the daemon, says, nobody gains a local name, id or
//! group, nor what sudo gives to them.

use entra_lab::{Node, dc, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("local wins: users and groups of the directory with local names", names),
    ("local wins: uidNumber and gidNumber of local accounts", numbers),
    ("local wins: a forged socket", forged),
    ("local wins: a forged cache.map", forged_map),
];

const NOT_FOUND: i32 = 2;

fn names(world: &World) -> Verdict {
    let node = world.joined()?;
    // What sudoers of other cases grants is not asked about here.
    node.must(&["rm", "-f", "/etc/sudoers.d/suite"])?;
    let before = local_answers(&node)?;
    let planted = [
        Planted::user("root", "Root-Pass-1"),
        Planted::user("localuser", "Domain-Pass-1"),
        Planted::group("staff", &["alice", "localuser"]),
        Planted::group("adm", &["alice"]),
        Planted::group("wheel", &["alice"]),
    ];
    world.with_planted(&planted, |rids| {
        node.must(&["entractl", "cache", "flush"])?;
        check::equal("what the host says of its own accounts", &local_answers(&node)?, &before)?;
        let ids: Vec<String> = rids.iter().map(|rid| (dc::FIRST_ID + rid).to_string()).collect();
        for name in ["AADDS\\root", "root@aadds.contoso.com", "AADDS\\localuser", &ids[0], &ids[1]] {
            not_found(&node, "passwd", name)?;
        }
        not_found(&node, "group", "wheel")?;
        for (name, id) in ["staff", "adm", "wheel"].iter().zip(&ids[2..]) {
            let wanted = format!("{name}@aadds.contoso.com:*:{id}:alice");
            for key in [&format!("{name}@aadds.contoso.com"), id] {
                let line = check::text(key, node.run(&["getent", "group", key])?)?;
                // By gid, members are those that are cached.
                check::equal(key, &line, &wanted)?;
            }
        }
        grants_nothing(&node, "alice")?;
        grants_nothing(&node, "bob")?;
        for (user, password) in [("root", "Root-Pass-1"), ("localuser", "Domain-Pass-1")] {
            let words = ["pamtester", "login", user, "authenticate"];
            let output = node.run_with(&words, Some(format!("{password}\n").as_bytes()), entra_lab::DEFAULT_LIMIT)?;
            check::that(!output.ok(), || format!("the directory's password opens the local account {user}"))?;
        }
        let (user, password) = entra_lab::client::LOCAL_USER;
        check::text("the local password", product::ssh(&node, user, password, "true")?)?;
        // The same question has another answer once the administrator names the directory's group.
        node.put_file("/etc/sudoers.d/suite", "%sudo@aadds.contoso.com ALL=(ALL) ALL\n", 0o440)?;
        let allowed = check::text("sudo -l", node.run(&["sudo", "-l", "-U", "alice"])?)?;
        node.must(&["rm", "-f", "/etc/sudoers.d/suite"])?;
        check::holds("sudo -l once sudoers names the directory's group", &allowed, "(ALL) ALL")
    })
}

fn numbers(world: &World) -> Verdict {
    let node = world.installed()?;
    check::status("entractl join", &product::join(&node)?, 0)?;
    let config = "[domains.\"aadds.contoso.com\"]\nid_mapping = \"rfc2307\"\nid_range = \"LOW-999999\"\n";
    node.put_file("/etc/entra/entra.toml", config.replace("LOW", "0"), 0o644)?;
    let refused = node.run(&["entractl", "config", "check"])?;
    check::status("a range that begins at 0", &refused, 1)?;
    check::holds("what config check says", &refused.stderr, "entra.toml:3:")?;
    node.put_file("/etc/entra/entra.toml", config.replace("LOW", "1000"), 0o644)?;
    let planted = [
        Planted::user("posix-good", "Posix-Pass-1").with(&[("uidNumber", "30000"), ("gidNumber", "30000")]),
        Planted::user("posix-root", "Posix-Pass-1").with(&[("uidNumber", "0"), ("gidNumber", "30000")]),
        Planted::user("posix-local", "Posix-Pass-1").with(&[("uidNumber", "1000"), ("gidNumber", "30000")]),
        Planted::user("posix-27", "Posix-Pass-1").with(&[("uidNumber", "30001"), ("gidNumber", "27")]),
        Planted::group("posix-staff", &["posix-good"]).with(&[("gidNumber", "30000")]),
        Planted::group("posix-team", &["posix-good"]).with(&[("gidNumber", "30007")]),
        Planted::group("posix-sudo", &["posix-good"]).with(&[("gidNumber", "27")]),
        Planted::group("posix-zero", &["posix-good"]).with(&[("gidNumber", "0")]),
        Planted::group("posix-own", &["posix-good"]).with(&[("gidNumber", "1000")]),
    ];
    let before = local_answers(&node)?;
    world.with_planted(&planted, |rids| {
        product::start_daemon(&node)?;
        let id = check::text("id posix-good", node.run(&["id", "posix-good"])?)?;
        let wanted = "uid=30000(posix-good) gid=30000(posix-staff) groups=30000(posix-staff),30007(posix-team)";
        check::equal("id posix-good", &id.as_str(), &wanted)?;
        for name in ["posix-root", "posix-local", "posix-27", "alice"] {
            not_found(&node, "passwd", name)?;
        }
        for name in ["posix-sudo", "posix-zero", "posix-own"] {
            not_found(&node, "group", name)?;
        }
        check::equal("what the host says of its own accounts", &local_answers(&node)?, &before)?;
        grants_nothing(&node, "posix-good")?;
        for when in ["with entrad", "without entrad"] {
            script(&node, when, rids)?;
            product::stop_daemon(&node)?;
        }
        Ok(())
    })
}

/// What winbindd is told of the planted accounts' ids by `idmap_script(8)`.
fn script(node: &Node, when: &str, rids: &[u32]) -> Verdict {
    let sid = |at: usize| format!("{}-{}", entra_lab::dc::DOMAIN_SID, rids.get(at).copied().unwrap_or_default());
    let (good, root, team) = (sid(0), sid(1), sid(5));
    let (of_good, of_team) = (format!("SID:{good}"), format!("SID:{team}"));
    for (question, answer) in [
        (&["SIDTOID", &good][..], "UID:30000"),
        (&["SIDTOID", &team], "GID:30007"),
        (&["IDTOSID", "UID", "30000"], &of_good),
        (&["IDTOSID", "GID", "30007"], &of_team),
        (&["SIDTOID", &root], "ERR:"),
        (&["IDTOSID", "UID", "0"], "ERR:"),
    ] {
        let said = node.run(&[&["entractl", "samba", "idmap"], question].concat())?;
        check::that(said.stdout.starts_with(answer), || format!("{when}, {question:?}: {}", said.describe()))?;
    }
    Ok(())
}

/// The folder of the sockets belongs to somebody else, and so does what listens there: worse than a host can be.
fn forged(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let before = local_answers(&node)?;
    product::stop_daemon(&node)?;
    let text = |words: &[&str]| -> Result<String, String> { check::text(&words.join(" "), node.run(words)?) };

    // Well-formed answers, and a listener that is root: believed. So the refusals below have the reason they should.
    forge(&node, "root", "plain")?;
    check::holds("a listener that is root", &text(&["getent", "passwd", "mallory"])?, "mallory:*:674190000:")?;
    check::holds("a listener that is root", &text(&["getent", "group", "evil"])?, "evil:*:674190000:mallory")?;

    forge(&node, "localuser", "plain")?;
    for (database, name) in [("passwd", "mallory"), ("passwd", "674190000"), ("group", "evil"), ("group", "674190000")]
    {
        not_found(&node, database, name)?;
    }
    check::status("id of a forged user", &node.run(&["id", "mallory"])?, 1)?;
    let words = ["pamtester", "sshd", "mallory", "authenticate", "acct_mgmt"];
    let login = node.run_with(&words, Some(b"anything\n"), entra_lab::DEFAULT_LIMIT)?;
    check::that(!login.ok(), || "a forged socket let somebody in".into())?;
    check::that(!node.log("forged")?.contains("asked:"), || "a module spoke to a listener of another user".into())?;
    check::equal("what the host says of its own accounts", &local_answers(&node)?, &before)?;

    // The daemon itself, taken over: it is believed, but no right of this host is its to give.
    forge(&node, "root", "rights")?;
    for name in ["mallory", "trent", "eve", "oscar", "walter", "674190000"] {
        not_found(&node, "passwd", name)?;
    }
    for name in ["evil", "vile", "loud", "live", "674001126"] {
        not_found(&node, "group", name)?;
    }
    check::equal("members", &text(&["getent", "group", "veil"])?.as_str(), &"veil:*:674190011:peggy")?;
    let groups = node.run(&["id", "-G", "peggy"])?.stdout;
    check::equal("groups", &groups.as_str(), &"674190000 674001126\n")?;
    grants_nothing(&node, "peggy")?;
    check::equal("what the host says of its own accounts", &local_answers(&node)?, &before)?;
    node.stop("forged").map_err(String::from)
}

/// Whoever takes over the worker writes the shared cache: it is believed, but no right of this host is its to give. The
/// daemon runs beside it, and is asked for what the map is not believed.
fn forged_map(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    // A local account with ids of the directory's range.
    node.must(&["groupadd", "-g", "674190050", "localhigh"])?;
    node.must(&["useradd", "-u", "674190050", "-g", "674190050", "localhigh"])?;
    product::stop_daemon(&node)?;
    product::start_daemon(&node)?;
    let mut before = local_answers(&node)?;
    before.push(check::text("id localhigh", node.run(&["id", "localhigh"])?)?);
    node.put_file("/usr/local/lib/forged-map.py", include_str!("../../../../data/forged-map.py"), 0o644)?;
    let script = "exec setpriv --reuid entra --regid entra --clear-groups python3 /usr/local/lib/forged-map.py \"$1\"";
    let forge = || check::status("the forged map", &node.sh(script, &["/run/entra/cache.map"])?, 0);
    forge()?;
    let ask = |database: &str, key: &str| node.run(&["getent", "-s", "entra", database, key]);

    // What is in order is believed. So the refusals below have the reason they should.
    let user = check::text("a forged user", ask("passwd", "mallory")?)?;
    check::equal("a forged user", &user.as_str(), &"mallory:*:674190000:674190000::/tmp:/bin/sh")?;
    let group = check::text("a forged group", ask("group", "fine")?)?;
    check::equal("a forged group", &group.as_str(), &"fine:*:674190013:mallory")?;
    let groups = node.run(&["id", "-G", "mallory"])?.stdout;
    check::equal("forged groups", &groups.as_str(), &"674190000 674190013\n")?;

    for key in ["trent", "eve", "igor", "oscar", "walter", "wendy", "localuser", "1000", "0"] {
        refused(&node, "passwd", key)?;
    }
    for uid in ["674190001", "674190002", "674190003", "674190050"] {
        refused(&node, "passwd", uid)?;
    }
    for key in ["evil", "vile", "loud", "live", "high", "sudo", "veil", "lief", "27", "0"] {
        refused(&node, "group", key)?;
    }
    for gid in ["674190010", "674190011", "674190012", "674190015", "674190050"] {
        refused(&node, "group", gid)?;
    }
    // Again: the daemon puts its own in the place of a map that is not, some seconds later.
    forge()?;
    // Her groups have numbers of the directory, which the map calls sudo and SUDO.
    let groups = node.run(&["id", "-G", "peggy"])?.stdout;
    check::equal("groups", &groups.as_str(), &"674190000 674190010 674190012\n")?;
    grants_nothing(&node, "peggy")?;
    let mut after = local_answers(&node)?;
    after.push(check::text("id localhigh", node.run(&["id", "localhigh"])?)?);
    check::equal("what the host says of its own accounts", &after, &before)?;
    // The daemon beside it goes on.
    check::text("alice", node.run(&["id", "alice"])?).map(drop)
}

fn refused(node: &Node, database: &str, key: &str) -> Verdict {
    let output = node.run(&["getent", "-s", "entra", database, key])?;
    check::status(&format!("getent -s entra {database} '{key}', which says {:?}", output.stdout), &output, NOT_FOUND)
}

/// Puts a liar into the daemon's place.
fn forge(node: &Node, user: &str, lie: &str) -> Verdict {
    node.stop("forged")?;
    node.put_file("/usr/local/lib/forged-daemon.py", include_str!("../../../../data/forged-daemon.py"), 0o644)?;
    let script =
        r#"rm -rf /run/entra && mkdir -m 755 /run/entra && chown "$1" /run/entra && : >/var/log/lab-forged.log"#;
    node.sh(script, &[user])?.text()?;
    let program = ["setpriv", "--reuid", user, "--clear-groups", "python3", "/usr/local/lib/forged-daemon.py"];
    node.start("forged", &[program.as_slice(), &["/run/entra", lie]].concat())?;
    let script = "for step in $(seq 100); do grep -q ready /var/log/lab-forged.log && exit; sleep 0.05; done; exit 1";
    check::status("the forged daemon", &node.sh(script, &[])?, 0)
}

/// What the host says of accounts that are its own, and what sudo grants them.
fn local_answers(node: &Node) -> Result<Vec<String>, String> {
    let questions: [&[&str]; 11] = [
        &["getent", "passwd", "root"],
        &["getent", "passwd", "0"],
        &["getent", "passwd", "localuser"],
        &["getent", "passwd", "1000"],
        &["getent", "group", "sudo"],
        &["getent", "group", "27"],
        &["getent", "group", "staff"],
        &["getent", "group", "adm"],
        &["id", "root"],
        &["id", "localuser"],
        &["sudo", "-l", "-U", "localuser"],
    ];
    questions.iter().map(|words| check::text(&words.join(" "), node.run(words)?)).collect()
}

/// sudo says no, and no group of the user has a number or a name of the host's own.
fn grants_nothing(node: &Node, user: &str) -> Verdict {
    let said = node.run(&["sudo", "-l", "-U", user])?;
    check::holds(&format!("sudo -l of {user}"), &said.stdout, "is not allowed to run sudo")?;
    // The status says whether every number has a name, which is not asked here.
    let line = node.run(&["id", user])?.stdout;
    let groups = node.run(&["id", "-G", user])?.stdout;
    check::that(!groups.is_empty(), || format!("{user} has no groups"))?;
    let local = groups.split_whitespace().filter(|id| id.parse::<u32>().is_ok_and(|id| id <= 1000)).count();
    check::equal(&format!("local ids among the groups of {user}: {groups}"), &local, &0)?;
    // `id` writes NUMBER(NAME): a name may hold spaces.
    let file = node.read_file("/etc/group")?;
    let names = file.lines().filter_map(|entry| entry.split(':').next());
    let local: Vec<&str> = names.filter(|name| line.contains(&format!("({name})"))).collect();
    check::equal(&format!("local names among the groups of {user}"), &local, &Vec::new())
}

fn not_found(node: &Node, database: &str, key: &str) -> Verdict {
    check::status(&format!("getent {database} '{key}'"), &node.run(&["getent", database, key])?, NOT_FOUND)
}
