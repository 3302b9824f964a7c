//! What whoever is on the network reads: everything between a client and the domain controller, captured.
//!
//! Kerberos itself shows names: the client's name (cname) of a request and of its answer is outside of what FAST armors
//! (RFC 6113 section 5.4.2 leaves it to the client, and MIT's sends it). So the name that a user logs in with, here the UPN,
//! may be seen in that field, and nowhere else.

use entra_lab::accounts::{ALICE, JOINER};
use entra_lab::{Node, dc, product};

use super::tls;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("capture: join, lookups and a login, sealed: no password, no name but Kerberos' own, no RC4, no NTLM", sealed),
    ("capture: lookups and a login over LDAPS and StartTLS: the same", inside_tls),
];

const FILE: &str = "/var/log/capture.pcapng";
/// What the control sends in clear.
const SENT: [&str; 2] = ["Control-Pass-1", "NTLMSSP"];
/// Of the directory, about people: what no frame may show. A group's name, attributes that are asked for.
const ABOUT_PEOPLE: [&str; 4] = ["linux admins", "sAMAccountName", "memberOf", "tokenGroups"];

fn sealed(world: &World) -> Verdict {
    let node = world.installed()?;
    recorded(&node, || {
        check::status("entractl join", &product::join(&node)?, 0)?;
        product::start_daemon(&node)?;
        work(&node)
    })?;
    // The binds are there, and what they protect is not readable.
    let sealed = frames(&node, "tcp.port == 389 && tcp.len > 0")?;
    check::that(sealed.len() > 10, || format!("too little LDAP was captured: {sealed:?}"))?;
    examine(&node)
}

fn inside_tls(world: &World) -> Verdict {
    tls::with_samba(world, &[tls::INSIDE], |node| {
        for mode in ["ldaps", "starttls"] {
            tls::configure(node, mode, Some(tls::CA), None)?;
            node.must(&["rm", "-rf", "/var/lib/entra/identity.db"])?;
            recorded(node, || {
                product::start_daemon(node)?;
                work(node)?;
                Ok(product::stop_daemon(node)?)
            })?;
            let port = if mode == "ldaps" { 636 } else { 389 };
            let inside = frames(node, &format!("tls.app_data && tcp.port == {port}"))?;
            check::that(inside.len() > 3, || format!("{mode}: nothing was captured inside TLS: {inside:?}"))?;
            examine(node).map_err(|error| format!("{mode}: {error}"))?;
        }
        Ok(())
    })
}

/// Lookups of each kind, a login, one with a wrong password.
fn work(node: &Node) -> Verdict {
    check::text("id", node.run(&["id", ALICE.sam])?)?;
    check::text("getent group", node.run(&["getent", "group", "linux admins"])?)?;
    check::text("a login", product::ssh_as(node, &ALICE, "klist -s")?)?;
    let wrong = product::ssh(node, ALICE.sam, "Not-Her-Password-1", "true")?;
    check::that(!wrong.ok(), || "a wrong password was taken".into())
}

/// Captures while `work` runs, and then what the search has to find.
fn recorded(node: &Node, work: impl FnOnce() -> Verdict) -> Verdict {
    node.apt_install(&["tshark"])?;
    let link = node.sh("ip -o route get \"$1\" | sed 's/.* dev \\([^ ]*\\).*/\\1/'", &[dc::ADDRESS])?.text()?;
    node.must(&["rm", "-f", FILE, "/var/log/lab-capture.log"])?;
    node.start("capture", &["dumpcap", "-q", "-i", &link, "-w", FILE])?;
    let ready = "for step in $(seq 200); do [ -s \"$1\" ] && exit; sleep 0.05; done; exit 1";
    check::status("the capture", &node.sh(ready, &[FILE])?, 0)?;
    let verdict = work().and_then(|()| control(node));
    // What was sent last is written a moment later.
    std::thread::sleep(std::time::Duration::from_secs(1));
    node.stop("capture")?;
    verdict
}

/// Secrets in clear, and a request that offers RC4 alone.
fn control(node: &Node) -> Verdict {
    for word in SENT {
        node.must(&["bash", "-c", "printf %s \"$1\" >/dev/udp/$2/9", "bash", word, dc::ADDRESS])?;
    }
    let weak = "[libdefaults]\nallow_weak_crypto = true\ndefault_tkt_enctypes = rc4-hmac\npermitted_enctypes = rc4-hmac\n\
                [realms]\nAADDS.CONTOSO.COM = {\n  kdc = ADDRESS\n}\n";
    node.put_file("/run/weak.conf", weak.replace("ADDRESS", dc::ADDRESS), 0o644)?;
    node.sh("KRB5_CONFIG=/run/weak.conf kinit nobody-at-all@AADDS.CONTOSO.COM </dev/null", &[])?;
    Ok(())
}

fn examine(node: &Node) -> Verdict {
    // Without what the control's closed port sends back.
    let holds = |text: &str| frames(node, &format!("frame contains {} && !icmp", bytes(text.as_bytes())));
    for word in SENT {
        check::that(!holds(word)?.is_empty(), || format!("the search does not find {word}, which was sent"))?;
    }
    check::equal("frames of NTLM, but for the control", &holds("NTLMSSP")?.len(), &1)?;
    for secret in [JOINER.password, ALICE.password, "Not-Her-Password-1"] {
        let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for form in [bytes(secret.as_bytes()), bytes(&wide)] {
            check::equal("frames with a password", &frames(node, &format!("frame contains {form}"))?, &Vec::new())?;
        }
    }
    for word in ABOUT_PEOPLE {
        check::equal(&format!("frames with \"{word}\""), &holds(word)?, &Vec::new())?;
    }
    // By name: in requests and answers of Kerberos, and there as the client's name.
    let named = "frame matches \"(?i)alice|dcadmin\"";
    let seen = frames(node, named)?;
    check::that(!seen.is_empty(), || "nobody's name is seen, not even in Kerberos' own field".into())?;
    let elsewhere = frames(node, &format!("{named} && !(kerberos.CNameString matches \"(?i)alice|dcadmin\")"))?;
    check::equal("frames with a name outside of Kerberos' cname", &elsewhere, &Vec::new())?;
    rc4(node)
}

/// Kinds of encryption that anybody offered or used: AES, in the one notation or the other, but for the control.
fn rc4(node: &Node) -> Verdict {
    let words = ["tshark", "-r", FILE, "-Y", "kerberos", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"];
    let fields = ["-e", "kerberos.CNameString", "-e", "kerberos.ENCTYPE", "-e", "kerberos.etype"];
    let text = node.must(&[words.as_slice(), &fields].concat())?;
    let (mut control, mut aes) = (0, 0);
    for line in text.lines() {
        let mut columns = line.split('\t');
        let weak = columns.next().unwrap_or_default().contains("nobody-at-all");
        for number in columns.flat_map(|column| column.split(',')).filter(|number| !number.is_empty()) {
            match number {
                "17" | "18" | "19" | "20" => aes += 1,
                _ if weak => control += 1,
                other => return Err(format!("enctype {other} was offered or used:\n{text}")),
            }
        }
    }
    check::that(aes > 5 && control > 0, || format!("{aes} of AES, {control} of the control:\n{text}"))
}

/// Frames that a display filter picks: number, protocol, what tshark says of it.
fn frames(node: &Node, filter: &str) -> Result<Vec<String>, String> {
    Ok(node.must(&["tshark", "-r", FILE, "-Y", filter])?.lines().map(str::to_owned).collect())
}

/// As tshark's filters write bytes: 41:6c:69.
fn bytes(text: &[u8]) -> String {
    text.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
