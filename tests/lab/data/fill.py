"""Fills a freshly provisioned domain: units, groups, accounts of every kind that a client must cope with.

Run by Debian's own python3 in the DC's node while Samba is stopped. When it fails, the node is thrown away with what
was written so far.
The accounts that tests name stand in src/accounts.rs too; both lists are compared by the lab suite.
"""

import time

import ldb
from samba.auth import system_session
from samba.dcerpc import dnsp, security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

DOMAIN = "DC=aadds,DC=contoso,DC=com"
USERS = "OU=AADDC Users," + DOMAIN
COMPUTERS = "OU=AADDC Computers," + DOMAIN
BULK = "OU=Bulk," + DOMAIN
USER_COUNT = 2000
GROUP_COUNT = 200
# Beside the users' unit, so that one group can have 5,000 members.
BULK_COUNT = 3200

ENABLED, DISABLED, NO_EXPIRY = 0x200, 0x202, 0x10000
SECURITY_GROUP, DISTRIBUTION_GROUP = -2147483646, 2
COMPUTER_CLASS = "bf967a86-0de6-11d0-a285-00aa003049e2"


def filetime(seconds):
    """100 ns units since 1601, the form in which the directory keeps times."""
    return str(int((seconds + 11644473600) * 10_000_000))


class Filler:
    def __init__(self):
        parameters = LoadParm()
        parameters.load_default()
        # Without these an addition costs ten times as much in a directory of 50,000: each nested transaction of the
        # modules copies the index entries that all users share.
        options = ["batch_mode:1", "transaction_index_cache_size:200000"]
        self.sam = SamDB(session_info=system_session(), lp=parameters, options=options)
        # DN of every user and group by sAMAccountName.
        self.dns = {}
        self.people = []
        self.groups = []
        self.written = 0

    def unit(self, dn):
        self.sam.add({"dn": dn, "objectClass": "organizationalUnit"})

    def user(self, sam, cn=None, upn=None, password=None, display=None, unit=USERS, flags=ENABLED, **more):
        dn = ldb.Dn(self.sam, unit)
        dn.add_child(ldb.Dn(self.sam, "CN=x"))
        dn.set_component(0, "CN", cn or sam)
        message = {
            "dn": dn,
            "objectClass": "user",
            "sAMAccountName": sam,
            "userPrincipalName": upn or f"{sam}@contoso.com",
            # Without a password the account exists as a cloud-only user does before its first password change.
            "userAccountControl": str(flags if password else flags | 0x20),
        }
        if display:
            message["displayName"] = display
        if password:
            message["unicodePwd"] = f'"{password}"'.encode("utf-16-le")
        message.update(more)
        self.write(sam, message)

    def group(self, sam, members=(), kind=SECURITY_GROUP, cn=None):
        dn = ldb.Dn(self.sam, USERS)
        dn.add_child(ldb.Dn(self.sam, "CN=x"))
        dn.set_component(0, "CN", cn or sam)
        message = {"dn": dn, "objectClass": "group", "sAMAccountName": sam, "groupType": str(kind)}
        if members:
            message["member"] = [self.dns[name] for name in members]
        self.write(sam, message)
        self.groups.append(sam)

    def write(self, sam, message):
        self.sam.add(message)
        self.dns[sam] = str(message["dn"])
        self.written += 1
        # What a transaction wrote stays in memory until its end.
        if self.written % 5000 == 0:
            self.sam.transaction_commit()
            self.sam.transaction_start()

    def change(self, dn, attribute, value):
        message = ldb.Message(ldb.Dn(self.sam, dn))
        message[attribute] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, attribute)
        self.sam.modify(message)

    def allow(self, dn, entries):
        """Adds entries to an object's discretionary access list, in front of the others."""
        found = self.sam.search(dn, ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"])[0]
        old = ndr_unpack(security.descriptor, found["nTSecurityDescriptor"][0])
        sid = security.dom_sid(self.sam.get_domain_sid())
        text = old.as_sddl(sid).replace("D:AI", "D:AI" + entries, 1) if "D:AI" in old.as_sddl(sid) else \
            old.as_sddl(sid).replace("D:", "D:" + entries, 1)
        self.change(dn, "nTSecurityDescriptor", ndr_pack(security.descriptor.from_sddl(text, sid)))


def policy(fill):
    minutes = 60 * 10_000_000
    fill.change(DOMAIN, "lockoutThreshold", "5")
    fill.change(DOMAIN, "lockoutDuration", str(-30 * minutes))
    fill.change(DOMAIN, "lockOutObservationWindow", str(-2 * minutes))
    fill.change(DOMAIN, "maxPwdAge", str(-90 * 24 * 60 * minutes))
    # Tests change passwords right after setting them.
    fill.change(DOMAIN, "minPwdAge", "0")
    fill.change("CN=Partitions,CN=Configuration," + DOMAIN, "uPNSuffixes", "contoso.com")


def units(fill):
    for dn in (USERS, COMPUTERS, BULK):
        fill.unit(dn)
    # Computers that are joined without naming a unit land here, as in the managed domain.
    found = fill.sam.search(DOMAIN, ldb.SCOPE_BASE, attrs=["wellKnownObjects"])[0]["wellKnownObjects"]
    old = [str(value) for value in found if "AA312825768811D1ADED00C04FD8D5CD" in str(value)]
    message = ldb.Message(ldb.Dn(fill.sam, DOMAIN))
    message["old"] = ldb.MessageElement(old, ldb.FLAG_MOD_DELETE, "wellKnownObjects")
    message["new"] = ldb.MessageElement(
        f"B:32:AA312825768811D1ADED00C04FD8D5CD:{COMPUTERS}", ldb.FLAG_MOD_ADD, "wellKnownObjects")
    fill.sam.modify(message)


def people(fill):
    """Accounts that tests log in with or ask for by name. Alice is first: her RID is known."""
    fill.user("alice", cn="Alice Example", display="Alice Example", password="Alice-Pass-1")
    fill.user("bob", cn="Bob Builder", display="Bob Builder", password="Bob-Pass-1")
    fill.user("carol", upn="carol@aadds.contoso.com", password="Carol-Pass-1")
    fill.user("dave", password="Dave-Pass-1", flags=DISABLED)
    fill.user("erin", password="Erin-Pass-1", accountExpires=filetime(time.time() - 86400))
    fill.user("frank", password="Frank-Pass-1")
    # A lock lasts 30 minutes; set far ahead, it outlives the snapshot.
    fill.change(fill.dns["frank"], "lockoutTime", filetime(time.time() + 10 * 365 * 86400))
    fill.change(fill.dns["frank"], "badPwdCount", "5")
    fill.user("grace", password="Grace-Pass-1", pwdLastSet="0")
    fill.user("ivan", upn="ivan.petrov@contoso.com", display="Ivan Petrov", password="Ivan-Pass-1")
    fill.user("many", display="Member of 150 Groups", password="Many-Pass-1")
    fill.user("nested", display="Member five levels down", password="Nested-Pass-1")
    fill.user("zoë", cn="Zoë Ångström", display="Zoë Ångström", password="Zoe-Pass-1")
    fill.user("ünal", display="Ünal", password="Unal-Pass-1")
    fill.user("日本", display="日本 太郎", password="Nihon-Pass-1")
    fill.user("o'hara", cn="Scarlett O'Hara", upn="o'hara@contoso.com", password="Ohara-Pass-1")
    fill.user("jane doe", cn="Jane Doe", upn="jane.doe@contoso.com", password="Jane-Pass-1")
    fill.user("paul (ext)", cn="Paul (External)", upn="paul.ext@contoso.com", password="Paul-Pass-1")
    fill.user("backslash", cn='Back\\slash, Plus+ "Quote" <x>; #y', display="Back\\slash", password="Back-Pass-1")
    fill.user("MixedCase", cn="Mixed Case", upn="Mixed.Case@Contoso.com", password="Mixed-Pass-1")
    fill.user("twentycharactersname", password="Twenty-Pass-1")
    fill.user("dcadmin", display="Joins computers", password="Join-Pass-1!", flags=ENABLED | NO_EXPIRY)


def groups(fill):
    fill.group("AAD DC Administrators", ["dcadmin"])
    fill.group("Linux Admins", ["alice", "bob"])
    fill.group("sales (emea)", ["alice", "zoë", "backslash"], cn="Sales (EMEA), \"East\\West\"")
    fill.group("sudo", ["alice"])
    fill.group("docker", ["bob"])
    fill.group("größe", ["zoë", "日本"])
    fill.group("announcements", ["alice"], kind=DISTRIBUTION_GROUP)
    fill.group("empty")
    fill.group("nest-5", ["nested"])
    for level in (4, 3, 2, 1):
        fill.group(f"nest-{level}", [f"nest-{level + 1}"])


def crowd(fill):
    """Nameless accounts up to the counts, and the groups whose size is their point."""
    plain = [f"user{number:04}" for number in range(1, USER_COUNT - len(fill.people) + 1)]
    for name in plain:
        fill.user(name, display=f"User {name[4:]}")
    bulk = [f"bulk{number:04}" for number in range(1, BULK_COUNT + 1)]
    for name in bulk:
        fill.user(name, unit=BULK)
    fill.group("big-1600", plain[:1600])
    fill.group("big-5000", (plain + bulk)[:5000])
    for number in range(1, 151):
        fill.group(f"team-{number:03}", ["many", *plain[number * 10:number * 10 + 5]])
    # The rest up to the count; two levels, so that tokenGroups of a plain user holds more than its own groups.
    rest = [f"project-{number:02}" for number in range(1, GROUP_COUNT - len(fill.groups) + 1)]
    for number, name in enumerate(rest):
        fill.group(name, plain[number * 40:number * 40 + 60] + rest[max(0, number - 1):number])


def second_name(fill):
    """The name and address under which the limiting proxy answers for this DC (see limiting-proxy.py)."""
    dc = f"CN=DC1,OU=Domain Controllers,{DOMAIN}"
    message = ldb.Message(ldb.Dn(fill.sam, dc))
    names = ["ldap/dcl.aadds.contoso.com", "ldap/dcl.aadds.contoso.com/aadds.contoso.com"]
    message["spn"] = ldb.MessageElement(names, ldb.FLAG_MOD_ADD, "servicePrincipalName")
    fill.sam.modify(message)
    zone = f"DC=aadds.contoso.com,CN=MicrosoftDNS,DC=DomainDnsZones,{DOMAIN}"
    record = dnsp.DnssrvRpcRecord()
    record.wType, record.rank, record.dwTtlSeconds, record.data = dnsp.DNS_TYPE_A, dnsp.DNS_RANK_ZONE, 900, "10.53.0.11"
    fill.sam.add({"dn": f"DC=dcl,{zone}", "objectClass": "dnsNode", "dnsRecord": ndr_pack(record)})


def delegate(fill):
    """The administrators' group may create, change and delete computers in the computers' unit, and nothing else."""
    sid = fill.sam.search(fill.dns["AAD DC Administrators"], ldb.SCOPE_BASE, attrs=["objectSid"])[0]["objectSid"][0]
    sid = str(ndr_unpack(security.dom_sid, sid))
    fill.allow(COMPUTERS, f"(OA;CI;CCDC;{COMPUTER_CLASS};;{sid})(OA;CIIO;GA;;{COMPUTER_CLASS};{sid})")


def main():
    fill = Filler()
    fill.sam.transaction_start()
    try:
        policy(fill)
        units(fill)
        people(fill)
        fill.people = list(fill.dns)
        groups(fill)
        crowd(fill)
        delegate(fill)
        second_name(fill)
    except BaseException:
        fill.sam.transaction_cancel()
        raise
    fill.sam.transaction_commit()


if __name__ == "__main__":
    main()
