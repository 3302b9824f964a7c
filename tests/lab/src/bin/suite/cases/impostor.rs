//! A computer of the domain that poses as a domain controller: it has a key of its own, a name in the directory that is
//! like a domain controller's, and DNS on its side.

use entra_lab::accounts::ALICE;
use entra_lab::{DEFAULT_LIMIT, Node, dc, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("impostor: a computer of the domain that poses as a DC by false DNS is refused, for LDAP and for login", poses)];

/// The computer that poses, and what only it has: the name that its owner may give it (a validated write).
const HOST: &str = "client1.aadds.contoso.com";
const ADDRESS: &str = "10.53.0.20";
const SPN: &str = "ldap/client1.aadds.contoso.com";
/// What alice's password is at the impostor.
const FALSE: &str = "Impostor-Pass-1";
/// Processes of the impostor.
const SERVICES: [&str; 4] = ["dns", "ldap", "ping", "kdc"];

fn poses(world: &World) -> Verdict {
    let (victim, impostor, dc) = (world.freshly_joined()?, world.joined()?, world.dc()?);
    check::text("alice, while DNS is right", product::ssh_as(&victim, &ALICE, "true")?)?;
    product::stop_daemon(&victim)?;
    product::stop_daemon(&impostor)?;
    dc.must(&["samba-tool", "spn", "add", SPN, "CLIENT1$"])?;
    let verdict = set_up(&impostor, &dc).and_then(|()| {
        victim.sh("echo \"nameserver $1\" >/etc/resolv.conf", &[ADDRESS])?.text()?;
        fooled(&victim)?;
        // The KDC is the real one, reached through the impostor: all that is wrong is the name that its key is for. A
        // ticket for a domain controller's three-part name is what it gets, and cannot open.
        impostor.stop("kdc")?;
        let real = format!("TCP4:{}:88", dc::ADDRESS);
        impostor.start("kdc", &["socat", "TCP4-LISTEN:88,fork,reuseaddr", &real])?;
        ready(&impostor)?;
        no_directory(&victim, &impostor, "gss_accept_sec_context")?;
        impostor.stop("kdc")?;
        start_kdc(&impostor)?;
        no_directory(&victim, &impostor, "Decrypt integrity check failed")?;
        let login = product::ssh(&victim, ALICE.sam, FALSE, "true")?;
        check::that(!login.ok(), || "the impostor's password opened the account".into())
    });
    for service in SERVICES {
        impostor.stop(service)?;
    }
    dc.must(&["samba-tool", "spn", "delete", SPN, "CLIENT1$"])?;
    product::start_daemon(&impostor)?;
    verdict
}

/// DNS that says it is the domain controller; LDAP and a KDC of that realm with keys of its own. CLDAP pings are passed
/// on, so that the answer is right.
fn set_up(impostor: &Node, dc: &Node) -> Verdict {
    impostor.apt_install(&[
        "dnsmasq-base",
        "socat",
        "slapd",
        "libsasl2-modules-gssapi-mit",
        "krb5-kdc",
        "krb5-admin-server",
    ])?;
    dc.must(&["rm", "-f", "/root/impostor.keytab"])?;
    dc.must(&["samba-tool", "domain", "exportkeytab", "/root/impostor.keytab", &format!("--principal={SPN}")])?;
    let keytab = std::fs::read(dc.outside_path("/root/impostor.keytab")).map_err(|error| error.to_string())?;
    impostor.put_file("/run/impostor/keytab", keytab, 0o600)?;
    let slapd = format!(
        "include /etc/ldap/schema/core.schema\n\
         attributetype ( 1.2.840.113556.1.4.619 NAME 'dNSHostName' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n\
         rootDSE /run/impostor/root.ldif\npidfile /run/impostor/slapd.pid\nmodulepath /usr/lib/ldap\n\
         moduleload back_mdb\nsasl-host {HOST}\nsasl-realm AADDS.CONTOSO.COM\nsasl-secprops none\n\
         database mdb\nsuffix dc=aadds,dc=contoso,dc=com\ndirectory /run/impostor/data\n"
    );
    impostor.put_file("/run/impostor/slapd.conf", slapd, 0o644)?;
    // Asked for its name, it gives the one of the real one.
    let told = format!("dn:\ndNSHostName: {}\n", dc::HOST);
    impostor.put_file("/run/impostor/root.ldif", told, 0o644)?;
    let kdc = "[realms]\nAADDS.CONTOSO.COM = {\n  database_name = /run/impostor/principal\n  \
               key_stash_file = /run/impostor/stash\n  kdc_listen = 88\n  kdc_tcp_listen = 88\n}\n";
    impostor.put_file("/run/impostor/kdc.conf", kdc, 0o644)?;
    let realm = "[libdefaults]\ndefault_realm = AADDS.CONTOSO.COM\ndns_lookup_kdc = false\n";
    impostor.put_file("/run/impostor/krb5.conf", realm, 0o644)?;
    let script = r#"set -e
        mkdir -p /run/impostor/data
        export KRB5_CONFIG=/run/impostor/krb5.conf KRB5_KDC_PROFILE=/run/impostor/kdc.conf
        rm -f /run/impostor/principal* /run/impostor/stash
        kdb5_util create -s -r AADDS.CONTOSO.COM -P master
        for name in alice@AADDS.CONTOSO.COM 'alice\@contoso.com'; do
            kadmin.local -q "addprinc -pw $1 $name"
        done
        kadmin.local -q "addprinc -randkey host/client2.aadds.contoso.com"
        kadmin.local -q "addprinc -randkey CLIENT2\$""#;
    impostor.sh(script, &[FALSE])?.text()?;
    let srv = |name: &str, port: u16| format!("--srv-host={name}.aadds.contoso.com,{HOST},{port}");
    let records = [
        srv("_ldap._tcp.dc._msdcs", 389),
        srv("_ldap._tcp.Default-First-Site-Name._sites.dc._msdcs", 389),
        srv("_ldap._tcp", 389),
        srv("_kerberos._tcp", 88),
        srv("_kerberos._udp", 88),
        format!("--host-record={HOST},{ADDRESS}"),
        format!("--server={}", dc::ADDRESS),
        "--log-facility=-".into(),
    ];
    let dns = ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--log-queries", "--conf-file=/dev/null"];
    impostor.start("dns", &dns.into_iter().chain(records.iter().map(String::as_str)).collect::<Vec<_>>())?;
    let keytab = "KRB5_KTNAME=/run/impostor/keytab";
    impostor
        .start("ldap", &["env", keytab, "slapd", "-f", "/run/impostor/slapd.conf", "-h", "ldap://", "-d", "256"])?;
    let real = format!("UDP4:{}:389", dc::ADDRESS);
    impostor.start("ping", &["socat", "UDP4-LISTEN:389,fork,reuseaddr", &real])?;
    start_kdc(impostor)
}

/// The KDC with keys of its own.
fn start_kdc(impostor: &Node) -> Verdict {
    let environment = ["KRB5_CONFIG=/run/impostor/krb5.conf", "KRB5_KDC_PROFILE=/run/impostor/kdc.conf"];
    impostor.start("kdc", &["env", environment[0], environment[1], "krb5kdc", "-n", "-r", "AADDS.CONTOSO.COM"])?;
    ready(impostor)
}

fn ready(impostor: &Node) -> Verdict {
    let ready = r#"for step in $(seq 200); do
        [ "$(ss -Hltn '( sport = :53 or sport = :88 or sport = :389 )' | wc -l)" -ge 3 ] && exit; sleep 0.05
        done; ss -ltn; cat /var/log/lab-*.log; exit 1"#;
    check::status("the impostor", &impostor.sh(ready, &[])?, 0)
}

/// A client that asks for the short name, or takes a KDC's word, is fooled: the refusals have the reason they should.
fn fooled(victim: &Node) -> Verdict {
    victim.apt_install(&["ldap-utils", "libsasl2-modules-gssapi-mit"])?;
    let real = format!(
        "[libdefaults]\ndefault_realm = AADDS.CONTOSO.COM\nrdns = false\n[realms]\nAADDS.CONTOSO.COM = {{\n  kdc = {}\n}}\n",
        dc::ADDRESS
    );
    victim.put_file("/run/real.conf", &real, 0o644)?;
    victim.put_file("/run/false.conf", real.replace(dc::ADDRESS, ADDRESS), 0o644)?;
    let script = "export KRB5_CONFIG=/run/real.conf KRB5CCNAME=FILE:/run/naive
        kinit -k 'CLIENT2$' && ldapwhoami -Y GSSAPI -H ldap://$1";
    check::text("a bind to the short name", victim.sh(script, &[HOST])?)?;
    let kinit = ["env", "KRB5_CONFIG=/run/false.conf", "KRB5CCNAME=FILE:/run/naive", "kinit", ALICE.sam];
    let output = victim.run_with(&kinit, Some(format!("{FALSE}\n").as_bytes()), DEFAULT_LIMIT)?;
    check::status("kinit with the false password", &output, 0)
}

/// Insists that a daemon that knows nothing of earlier takes nothing from the impostor, though it comes there.
fn no_directory(victim: &Node, impostor: &Node, why: &str) -> Verdict {
    let before = impostor.log("ldap")?.len();
    product::stop_daemon(victim)?;
    victim.must(&["rm", "-rf", "/run/entra/cache.map"])?;
    product::start_daemon(victim)?;
    let bob = victim.run(&["getent", "passwd", "bob"])?;
    check::that(!bob.ok(), || format!("bob came from the impostor: {}", bob.stdout))?;
    let direct = victim.run(&["entractl", "user", "bob", "--direct"])?;
    check::that(!direct.ok(), || format!("bob came from the impostor: {}", direct.stdout))?;
    check::holds("why", &direct.stderr, why)?;
    let log = impostor.log("ldap")?.split_off(before);
    check::that(log.contains("ACCEPT from IP=10.53.0.21"), || format!("nobody came to the impostor:\n{log}"))?;
    // slapd writes such a line for each bind that it took.
    check::that(!log.contains("mech=GSS"), || format!("the impostor was taken for a domain controller:\n{log}"))
}
