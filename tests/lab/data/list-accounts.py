"""Prints every user and security group of the directory as JSON, read from the DC's own database: whom a client can be
asked about, and what the answer must hold.

{"users": [name…], "groups": {name: {"direct": [user…], "nested": [group…], "primary": bool}}}, names in lower case.
"primary": the group is somebody's primary group, which `member` does not tell.
"""

import json

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

parameters = LoadParm()
parameters.load_default()
sam = SamDB(session_info=system_session(), lp=parameters)


def search(expression, attributes):
    return sam.search(sam.domain_dn(), expression=expression, attrs=["sAMAccountName", *attributes])


def name(entry):
    return str(entry["sAMAccountName"][0]).lower()


accounts = search("(objectClass=user)", ["objectClass", "primaryGroupID"])
people = {str(entry.dn): name(entry) for entry in accounts if b"computer" not in list(entry["objectClass"])}
primary = {int(str(entry["primaryGroupID"][0])) for entry in accounts}
# groupType: a security group, and none of BUILTIN's, which have no SID of the domain.
wanted = "(&(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648)(!(groupType:1.2.840.113556.1.4.803:=1)))"
entries = search(wanted, ["member", "primaryGroupToken"])
groups = {str(entry.dn): name(entry) for entry in entries}
told = {}
for entry in entries:
    members = [str(value) for value in entry.get("member", [])]
    told[name(entry)] = {
        "direct": [people[dn] for dn in members if dn in people],
        "nested": [groups[dn] for dn in members if dn in groups],
        "primary": int(str(entry["primaryGroupToken"][0])) in primary,
    }
print(json.dumps({"users": sorted(people.values()), "groups": told}))
