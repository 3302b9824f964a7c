//! Joining without an administrator's password, and the host's name in DNS.

use std::time::Duration;

use entra_lab::accounts::JOINER;
use entra_lab::{Node, dc, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("enrol: a prepared account and its one-time password, which no command line shows", one_time_password),
    ("enrol: a Kerberos ticket in place of a password", ticket),
    ("enrol: join registers the host in DNS both ways, leave takes it out", registration),
    ("enrol: logon rights of group policies are warned of, and named where they can be read", logon_rights),
    ("enrol: dns set says what it would do, does it, and takes it back", dns_servers),
];

/// A password that the preset gives, strong enough for the domain's policy.
const ONE_TIME: &str = "One-Time-9x!";
const LIMIT: Duration = Duration::from_secs(90);

fn one_time_password(world: &World) -> Verdict {
    let node = world.installed()?;
    let dc = world.dc()?;
    dc.must(&["samba-tool", "computer", "create", "CLIENT2", "--computerou=OU=AADDC Computers"])?;
    dc.must(&["samba-tool", "user", "setpassword", "CLIENT2$", &format!("--newpassword={ONE_TIME}")])?;
    let before = super::join::traces(&node)?;
    let join = ["entractl", "join", dc::DNS_DOMAIN, "--one-time-password-stdin", "--no-dns"];
    let wrong = node.run_with(&join, Some(b"not-the-password\n"), LIMIT)?;
    check::status("join with a wrong one-time password", &wrong, 1)?;
    check::holds("what it says", &wrong.stdout, "the password of CLIENT2$ is wrong")?;
    check::equal("files of the host", &super::join::traces(&node)?, &before)?;

    // Every command line of every process, as often as they can be read.
    node.start("watch", &["sh", "-c", "while :; do cat /proc/[0-9]*/cmdline >>/tmp/cmdlines 2>/dev/null; done"])?;
    let joined = node.run_with(&join, Some(format!("{ONE_TIME}\n").as_bytes()), LIMIT);
    node.stop("watch")?;
    check::status("join with the one-time password", &joined?, 0)?;
    let seen = node.sh(r"tr '\0' ' ' </tmp/cmdlines; rm /tmp/cmdlines", &[])?.stdout;
    check::holds("command lines that were seen", &seen, "adcli update")?;
    check::that(!seen.contains(ONE_TIME), || "the one-time password stood on a command line".into())?;
    check::status("testjoin", &node.run(&["entractl", "testjoin"])?, 0)?;
    let keys = check::text("klist", node.run(&["klist", "-ke", "/etc/krb5.keytab"])?)?;
    check::holds("the keytab", &keys, "host/client2.aadds.contoso.com@AADDS.CONTOSO.COM")?;
    check::that(!keys.contains("   1 "), || format!("the key of the one-time password stayed:\n{keys}"))?;
    product::start_daemon(&node)?;
    check::text("getent passwd alice", node.run(&["getent", "passwd", "alice"])?)?;
    product::stop_daemon(&node)?;
    // Used once: it is no password any more.
    check::status("leave", &node.run(&["entractl", "leave"])?, 0)?;
    let again = node.run_with(&join, Some(format!("{ONE_TIME}\n").as_bytes()), LIMIT)?;
    check::status("a second join with it", &again, 1)
}

fn ticket(world: &World) -> Verdict {
    let node = world.installed()?;
    let script = "kinit -c FILE:/tmp/admin \"$1\" >/dev/null && KRB5CCNAME=FILE:/tmp/admin entractl join \"$2\" --ccache \
                  --no-dns; status=$?; KRB5CCNAME=FILE:/tmp/nothing entractl leave --ccache; \
                  echo \"without a ticket: $?\"; KRB5CCNAME=FILE:/tmp/admin entractl leave --ccache; exit $status";
    let principal = format!("{}@{}", JOINER.sam, dc::REALM);
    let words = ["sh", "-c", script, "sh", &principal, dc::DNS_DOMAIN];
    let output = node.run_with(&words, Some(format!("{}\n", JOINER.password).as_bytes()), LIMIT)?;
    check::status("join --ccache", &output, 0)?;
    check::holds("join --ccache", &output.stdout, "the ticket in FILE:/tmp/admin is good for")?;
    check::holds("leave --ccache without a ticket", &output.stdout, "without a ticket: 1")?;
    check::that(!world.has_computer("CLIENT2")?, || "the computer account stayed after leave --ccache".into())
}

fn registration(world: &World) -> Verdict {
    let node = world.installed()?;
    let dc = world.dc()?;
    let zones = dc.run(&["host", "-t", "SOA", "53.10.in-addr.arpa", dc::ADDRESS])?;
    if !zones.stdout.contains("has SOA record") {
        let admin = ["-U", "Administrator%Admin-Pass-1!"];
        dc.must(&[&["samba-tool", "dns", "zonecreate", "dc1", "53.10.in-addr.arpa"], &admin[..]].concat())?;
    }
    // Samba keeps the node of a name that was removed, as its last owner's: an earlier CLIENT2.
    let script = "for node in $(ldbsearch -H /var/lib/samba/private/sam.ldb -b \"DC=DomainDnsZones,$1\" \
                  '(|(name=client2)(&(objectClass=dnsNode)(name=21.0)))' dn | sed -n 's/^dn: //p'); do \
                  ldbdel -H /var/lib/samba/private/sam.ldb \"$node\"; done";
    check::status("clear old names", &dc.sh(script, &["DC=aadds,DC=contoso,DC=com"])?, 0)?;
    let output = product::join(&node)?;
    check::status("join", &output, 0)?;
    check::holds("join", &output.stdout, "client2.aadds.contoso.com leads to 10.53.0.21, and back from 10.53.0.21")?;
    check::holds("A", &asked(&dc, "client2.aadds.contoso.com")?, "has address 10.53.0.21")?;
    check::holds("PTR", &asked(&dc, "10.53.0.21")?, "pointer client2.aadds.contoso.com")?;
    check::status("leave", &product::leave(&node)?, 0)?;
    check::holds("A after leave", &asked(&dc, "client2.aadds.contoso.com")?, "NXDOMAIN")?;
    check::holds("PTR after leave", &asked(&dc, "10.53.0.21")?, "NXDOMAIN")?;
    let unnamed = product::join_with(&node, &["--no-dns"], JOINER.password)?;
    check::status("join --no-dns", &unnamed, 0)?;
    check::holds("A after join --no-dns", &asked(&dc, "client2.aadds.contoso.com")?, "NXDOMAIN")
}

fn asked(dc: &Node, name: &str) -> Result<String, String> {
    Ok(dc.run(&["host", name, dc::ADDRESS])?.stdout)
}

/// A policy at the unit of the computers, as an administrator's tool writes it.
const POLICY: &str = r#"set -e
id='{11111111-2222-3333-4444-555555555555}' base=DC=aadds,DC=contoso,DC=com sam=/var/lib/samba/private/sam.ldb
if [ "$1" = remove ]; then
    printf 'dn: OU=AADDC Computers,%s\nchangetype: modify\ndelete: gPLink\n' "$base" | ldbmodify -H $sam
    ldbdel -H $sam "CN=$id,CN=Policies,CN=System,$base"
    exit
fi
cat >/tmp/policy.ldif <<END
dn: CN=$id,CN=Policies,CN=System,$base
changetype: add
objectClass: groupPolicyContainer
displayName: Server logon
flags: 0
versionNumber: 1
gPCFunctionalityVersion: 2
gPCMachineExtensionNames: [{827D319E-6EAC-11D2-A4EA-00C04F79F83A}{803E14A0-B4FB-11D0-A0D0-00A0C90F574B}]

dn: OU=AADDC Computers,$base
changetype: modify
replace: gPLink
gPLink: [LDAP://CN=$id,CN=Policies,CN=System,$base;0]
END
ldbmodify -H $sam /tmp/policy.ldif
folder="/var/lib/samba/sysvol/aadds.contoso.com/Policies/$id/Machine/Microsoft/Windows NT/SecEdit"
mkdir -p "$folder"
printf '[Privilege Rights]\r\nSeInteractiveLogonRight = *S-1-5-32-544\r\nSeBackupPrivilege = *S-1-5-32-551\r\n' |
    iconv -t UTF-16 >"$folder/GptTmpl.inf"
samba-tool ntacl sysvolreset
"#;

fn logon_rights(world: &World) -> Verdict {
    let node = world.installed()?;
    let dc = world.dc()?;
    check::status("make the policy", &dc.sh(POLICY, &["make"])?, 0)?;
    let verdict = (|| {
        let joined = product::join(&node)?;
        check::status("join", &joined, 0)?;
        check::holds("join", &joined.stdout, "group policies may set logon rights, which are not enforced here")?;
        check::holds("join", &joined.stdout, "\"Server logon\"")?;
        node.apt_install(&["smbclient"])?;
        let checked = node.run(&["entractl", "check", "security"])?;
        check::status("check security", &checked, 0)?;
        let line = "the group policy \"Server logon\" sets SeInteractiveLogonRight: not enforced here";
        check::holds("check security", &checked.stdout, line)
    })();
    check::status("remove the policy", &dc.sh(POLICY, &["remove"])?, 0)?;
    verdict?;
    let checked = node.run(&["entractl", "check", "security"])?;
    check::holds("check security without it", &checked.stdout, "no group policy sets logon rights")
}

fn dns_servers(world: &World) -> Verdict {
    let node = world.installed()?;
    let before = node.read_file("/etc/resolv.conf")?;
    let shown = check::text("dns show", node.run(&["entractl", "dns", "show"])?)?;
    check::holds("dns show", &shown, &format!("servers:  {}", dc::ADDRESS))?;
    let wrong = ["entractl", "dns", "set", "--domain", dc::DNS_DOMAIN, "10.53.0.99"];
    let dry = node.run(&[&wrong[..], &["--dry-run"]].concat())?;
    check::status("dns set --dry-run", &dry, 0)?;
    check::holds("dns set --dry-run", &dry.stdout, "nameserver 10.53.0.99")?;
    check::holds("dns set --dry-run of a dead server", &dry.stdout, "warn  ask")?;
    check::equal("resolv.conf after --dry-run", &node.read_file("/etc/resolv.conf")?, &before)?;
    let other = node.run(&["runuser", "-u", "localuser", "--", "entractl", "dns", "set", dc::ADDRESS])?;
    check::status("dns set as localuser", &other, 5)?;
    check::status("dns set", &node.run(&wrong)?, 0)?;
    let failed = product::join(&node)?;
    check::status("join with a dead DNS server", &failed, 4)?;
    check::status("dns set --revert", &node.run(&["entractl", "dns", "set", "--revert"])?, 0)?;
    check::equal("resolv.conf after --revert", &node.read_file("/etc/resolv.conf")?, &before)?;
    let right = node.run(&["entractl", "dns", "set", "--domain", dc::DNS_DOMAIN, dc::ADDRESS])?;
    check::holds("dns set", &right.stdout, &format!("{} names 1 domain controllers", dc::ADDRESS))?;
    check::status("dns set --revert", &node.run(&["entractl", "dns", "set", "--revert"])?, 0)?;
    check::status("dns set --revert again", &node.run(&["entractl", "dns", "set", "--revert"])?, 1)
}
