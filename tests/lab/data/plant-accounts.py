"""Adds accounts to the running directory, or deletes them: python3 - add|delete, a JSON list on standard input.

[{"kind": "user"|"group", "name": …, "password": …, "members": [name…], "attributes": {name: value}}]
Prints the RID of each, in the order of the list. Deleting what is not there is fine.
"""

import json
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

parameters = LoadParm()
parameters.load_default()
sam = SamDB(session_info=system_session(), lp=parameters)


def found(name):
    expression = f"(sAMAccountName={ldb.binary_encode(name)})"
    return sam.search(sam.domain_dn(), expression=expression, attrs=["objectSid"])


def add(account):
    dn = f"CN=planted {account['kind']} {account['name']},CN=Users,{sam.domain_dn()}"
    message = {"dn": dn, "objectClass": account["kind"], "sAMAccountName": account["name"]}
    message.update(account.get("attributes", {}))
    if account["kind"] == "user":
        message["userAccountControl"] = "512"
        message["unicodePwd"] = f'"{account["password"]}"'.encode("utf-16-le")
    if account.get("members"):
        message["member"] = [str(found(name)[0].dn) for name in account["members"]]
    sam.add(message)
    sid = ndr_unpack(security.dom_sid, found(account["name"])[0]["objectSid"][0])
    print(sid.split()[1])


verb, accounts = sys.argv[1], json.load(sys.stdin)
sam.transaction_start()
for account in accounts:
    if verb == "add":
        add(account)
    else:
        for entry in found(account["name"]):
            sam.delete(entry.dn)
sam.transaction_commit()
