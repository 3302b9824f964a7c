//! LDAP over TLS: what works, and each server that cannot be verified with the sentence that says why.

use entra_lab::accounts::ALICE;
use entra_lab::{Node, dc, product, second};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("tls: lookups, logins and checks over LDAPS and StartTLS, after a join that needs neither", served),
    ("tls: a server that speaks TLS 1.2 alone is enough", tls_1_2),
    ("tls: a server that cannot be verified is refused, with cause and remedy", refused),
    ("tls: a directory that takes no bind inside TLS, or has no TLS, is refused with a way out", not_inside),
    ("tls: a directory that enforces channel binding takes ours, and nobody's without it", channel_binding),
    ("tls: check security names what the directory leaves open, and the setting that shuts it", left_open),
];

const MODES: [&str; 2] = ["ldaps", "starttls"];
/// Where the lab's authority lies on a client.
pub(super) const CA: &str = "/etc/entra/lab-ca.pem";
/// Lets Samba 4.17 take Kerberos inside TLS, as AD does: its default takes sealing or nothing.
pub(super) const INSIDE: &str = "ldap server require strong auth=allow_sasl_over_tls";

/// A server whose TLS is wrong: its certificate, the one version that it speaks, and parts of the sentence.
const WRONG: [(&str, &str, [&str; 2]); 4] = [
    ("expired", "any", ["the certificate of dc1.aadds.contoso.com has expired", "have a new one installed"]),
    ("other", "any", ["is for other.example, not for dc1.aadds.contoso.com", "subjectAltName"]),
    ("stranger", "any", ["comes from an authority that is not in /etc/entra/lab-ca.pem", "name that with tls_ca"]),
    ("good", "1.1", ["speaks no TLS 1.2 or later", "enable TLS 1.2"]),
];

fn served(world: &World) -> Verdict {
    with_samba(world, &[INSIDE], |node| {
        for mode in MODES {
            configure(node, mode, Some(CA), None)?;
            product::start_daemon(node)?;
            check::text(&format!("{mode}: getent"), node.run(&["getent", "passwd", "alice"])?)?;
            let id = check::text(&format!("{mode}: id"), node.run(&["id", "many"])?)?;
            check::that(id.matches(',').count() > 50, || format!("{mode}: groups are missing: {id}"))?;
            check::text(&format!("{mode}: login"), product::ssh_as(node, &ALICE, "klist")?)?;
            check::status(&format!("{mode}: users"), &node.run(&["entractl", "users"])?, 0)?;
            check::text(&format!("{mode}: --direct"), node.run(&["entractl", "user", "alice", "--direct"])?)?;
            let status = node.must(&["entractl", "status"])?;
            check::holds(&format!("{mode}: status"), &status, "online since")?;
            // What the operating system says of the connection, not we.
            let peers = node.must(&["ss", "-Htn", "state", "established"])?;
            let port = if mode == "ldaps" { ":636" } else { ":389" };
            check::that(peers.contains(&format!("{}{port}", dc::ADDRESS)), || format!("{mode}: {peers}"))?;
            let checked = node.run(&["entractl", "check"])?;
            check::status(&format!("{mode}: check"), &checked, 0)?;
            product::stop_daemon(node)?;
        }
        // The system's own authorities do as well.
        node.must(&["cp", CA, "/usr/local/share/ca-certificates/lab.crt"])?;
        node.must(&["update-ca-certificates"])?;
        configure(node, "ldaps", None, None)?;
        check::text("the system's authorities", node.run(&["entractl", "user", "alice", "--direct"])?).map(drop)
    })
}

fn tls_1_2(world: &World) -> Verdict {
    with_samba(world, &[INSIDE, "tls priority=NORMAL:-VERS-ALL:+VERS-TLS1.2"], |node| {
        for mode in MODES {
            configure(node, mode, Some(CA), None)?;
            check::text(mode, node.run(&["entractl", "user", "alice", "--direct"])?)?;
        }
        Ok(())
    })
}

fn refused(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    product::stop_daemon(&node)?;
    trust(world, &node)?;
    let dc = world.dc()?;
    dc.sh(include_str!("../../../../data/tls-certificates.sh"), &[])?.text()?;
    dc.put_file("/run/tls/front.py", include_str!("../../../../data/tls-front.py"), 0o644)?;
    let mut words = vec!["/usr/bin/python3".to_owned(), "/run/tls/front.py".into()];
    for (port, mode, (certificate, version, _)) in fronts() {
        let file = |kind: &str| format!("/run/tls/{certificate}.{kind}");
        words.extend([port.to_string(), mode.into(), file("pem"), file("key"), version.into()]);
    }
    dc.stop("tls-front")?;
    dc.sh(": >/var/log/lab-tls-front.log", &[])?.text()?;
    dc.start("tls-front", &words.iter().map(String::as_str).collect::<Vec<_>>())?;
    let ready = "for step in $(seq 200); do grep -q ready /var/log/lab-tls-front.log && exit; sleep 0.02; done; exit 1";
    let verdict = check::status("the servers", &dc.sh(ready, &[])?, 0).and_then(|()| rows(&node, &dc));
    dc.stop("tls-front")?;
    verdict
}

/// Every wrong server in both modes, with its port.
fn fronts() -> impl Iterator<Item = (usize, &'static str, (&'static str, &'static str, [&'static str; 2]))> {
    MODES
        .into_iter()
        .flat_map(|mode| WRONG.map(|wrong| (mode, wrong)))
        .enumerate()
        .map(|(at, (mode, wrong))| (7000 + at, mode, wrong))
}

fn rows(node: &Node, dc: &Node) -> Verdict {
    for (port, mode, (certificate, version, sentence)) in fronts() {
        configure(node, mode, Some(CA), Some(&format!("{}:{port}", dc::HOST)))?;
        named(node, &format!("{mode}, {certificate}, TLS {version}"), sentence)?;
    }
    let log = dc.log("tls-front")?;
    check::that(!log.contains("succeeded"), || format!("a handshake went through:\n{log}"))?;
    // The front itself is no reason: the same one with nothing wrong is talked to.
    configure(node, "ldaps", Some("/run/nothing.pem"), None)?;
    named(node, "no file of authorities", ["/run/nothing.pem: No such file", "tls_ca"])?;
    // The daemon says so too.
    configure(node, "ldaps", Some(CA), Some(&format!("{}:7000", dc::HOST)))?;
    product::start_daemon(node)?;
    let output = node.run(&["getent", "passwd", "alice"])?;
    check::that(!output.ok(), || "a user came from a server that was not verified".into())?;
    let status = node.must(&["entractl", "status"])?;
    check::holds("status", &status, "has expired: have a new one installed")
}

fn not_inside(world: &World) -> Verdict {
    // Samba 4.17 as it comes.
    with_samba(world, &[], |node| {
        for mode in MODES {
            configure(node, mode, Some(CA), None)?;
            named(node, mode, ["takes no Kerberos bind inside TLS", "ldap_security = \"seal\""])?;
        }
        Ok(())
    })?;
    with_samba(world, &["tls enabled=no"], |node| {
        configure(node, "ldaps", Some(CA), None)?;
        named(node, "ldaps without TLS", ["refused", "secure LDAP (TCP 636)"])
    })
}

fn channel_binding(world: &World) -> Verdict {
    let lab = world.two_dcs()?;
    let node = lab.node("client")?;
    let authority = lab.node("dc")?.must(&["cat", "/var/lib/samba/private/tls/ca.pem"])?;
    node.put_file(CA, authority + "\n", 0o644)?;
    // Somebody else's client, with the switch that ours does not have.
    let script = r#"printf '%s\n' "$2" | kinit -c FILE:/run/lab/binding.cc "$1" >/dev/null &&
        LDAPTLS_CACERT=$3 LDAPSASL_CBINDING=$4 KRB5CCNAME=FILE:/run/lab/binding.cc \
        ldapsearch -LLL -Q -Y GSSAPI -O maxssf=0 -N -H "ldaps://$5" -s base -b DC=aadds,DC=contoso,DC=com dn"#;
    let bind = |binding: &str| node.sh(script, &[ALICE.sam, ALICE.password, CA, binding, second::HOST]);
    check::text("ldapsearch with channel binding", bind("tls-endpoint")?)?;
    let without = bind("none")?;
    check::equal("ldapsearch without channel binding", &without.status, &49)?;
    check::holds("its reason", &without.stderr, "80090346")?;
    for mode in MODES {
        configure(&node, mode, Some(CA), Some(second::HOST))?;
        check::text(mode, node.run(&["entractl", "user", "alice", "--direct"])?)?;
    }
    configure(&node, "seal", None, None)
}

/// What is left open: Samba's setting, parts of the line that says so and of its remedy, and of the line where it is shut.
const OPEN: [(&str, [&str; 2], &str); 4] = [
    (
        "ldap server require strong auth=no",
        ["takes LDAP binds that are neither signed nor sealed", "\"LDAP signing\""],
        "takes no LDAP bind that is neither signed nor sealed",
    ),
    (
        "tls priority=NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.1",
        ["still speaks TLS 1.1", "\"TLS 1.2 only mode\""],
        "speaks TLS 1.2, TLS 1.3",
    ),
    (
        "kdc supported enctypes=aes256-cts-hmac-sha1-96 arcfour-hmac-md5",
        ["gives Kerberos tickets with RC4", "\"Kerberos RC4 encryption\""],
        "gives no Kerberos tickets with RC4",
    ),
    // With the first one it takes binds inside TLS too, without binding: it knows none.
    ("tls enabled=yes", ["takes binds inside TLS without channel binding", "\"LDAP channel binding\""], ""),
];

fn left_open(world: &World) -> Verdict {
    let security = |node: &Node| -> Result<String, String> {
        configure(node, "seal", Some(CA), None)?;
        let output = node.run(&["entractl", "check", "security"])?;
        check::status("check security", &output, 0)?;
        Ok(output.stdout)
    };
    with_samba(world, &OPEN.map(|(setting, ..)| setting), |node| {
        let said = security(node)?;
        let has = |[what, remedy]: [&str; 2]| {
            said.lines().any(|line| line.starts_with("warn") && line.contains(what) && line.contains(remedy))
        };
        let missing: Vec<_> = OPEN.iter().filter(|(_, line, _)| !has(*line)).collect();
        check::that(missing.is_empty(), || format!("no lines {missing:?} in\n{said}"))
    })?;
    let node = world.lab.node("client2")?;
    let said = security(&node)?;
    for (_, _, shut) in OPEN {
        let found = said.lines().any(|line| line.starts_with("ok") && line.contains(shut));
        check::that(found, || format!("no line `{shut}` in\n{said}"))?;
    }
    Ok(())
}

/// Insists that the directory is not asked, and that cause and remedy are said.
fn named(node: &Node, what: &str, [cause, remedy]: [&str; 2]) -> Verdict {
    let output = node.run(&["entractl", "user", "alice", "--direct"])?;
    check::status(what, &output, 4)?;
    let said = &output.stderr;
    let (Some(at), Some(then)) = (said.find(cause), said.find(remedy)) else {
        return Err(format!("{what}: no \"{cause}\" and \"{remedy}\" in {}", output.describe()));
    };
    check::that(at < then, || format!("{what}: the remedy stands before the cause: {said}"))
}

/// Runs `work` on a freshly joined client, without its daemon, while Samba runs with these options.
pub(super) fn with_samba(world: &World, options: &[&str], work: impl FnOnce(&Node) -> Verdict) -> Verdict {
    let node = world.freshly_joined()?;
    product::stop_daemon(&node)?;
    trust(world, &node)?;
    let dc = world.dc()?;
    dc::restart(&dc, options)?;
    let verdict = work(&node);
    dc::restart(&dc, &[])?;
    verdict
}

/// Gives the lab's authority to a client.
fn trust(world: &World, node: &Node) -> Verdict {
    let authority = world.dc()?.must(&["cat", "/var/lib/samba/private/tls/ca.pem"])?;
    Ok(node.put_file(CA, authority + "\n", 0o644)?)
}

/// Writes how LDAP is protected into the configuration that the join left.
pub(super) fn configure(node: &Node, mode: &str, ca: Option<&str>, server: Option<&str>) -> Verdict {
    let ca = ca.map(|ca| format!("tls_ca = \"{ca}\"\n"));
    let servers = server.map(|server| format!("servers = [\"{server}\"]\n"));
    let lines = [Some(format!("ldap_security = \"{mode}\"\n")), ca, servers].into_iter().flatten().collect::<String>();
    let script = r#"sed -i '/^ldap_security\|^tls_ca\|^servers/d' /etc/entra/entra.toml
        printf '%s' "$1" >/run/lines && sed -i '/^preset/r /run/lines' /etc/entra/entra.toml"#;
    node.sh(script, &[&lines])?.text()?;
    check::status("config check", &node.run(&["entractl", "config", "check"])?, 0)
}
