"""Adds the user "formerly", whose tickets carry a SID of a domain that is gone, and prints that SID; or deletes it:
python3 - add PASSWORD|delete.

Active Directory puts a user's sIDHistory there, Samba's KDC does not. It puts the SIDs of the user's groups there, and a
group can be given any SID. A SID is never taken twice: deleted objects keep theirs.
"""

import random
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc.security import dom_sid
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.samdb import SamDB

parameters = LoadParm()
parameters.load_default()
sam = SamDB(session_info=system_session(), lp=parameters)
user, group = "formerly", "formerly's SID"
SECURITY_GLOBAL = str(-(1 << 31) + 2)


def place(name):
    return f"CN={name},CN=Users,{sam.domain_dn()}"


for name in (user, group):
    for entry in sam.search(sam.domain_dn(), expression=f"(sAMAccountName={name})", attrs=["dn"]):
        sam.delete(entry.dn)
if sys.argv[1] == "add":
    sam.add({"dn": place(user), "objectClass": "user", "sAMAccountName": user, "userAccountControl": "512",
             "unicodePwd": f'"{sys.argv[2]}"'.encode("utf-16-le")})
    sid = f"S-1-5-21-9-8-7-{random.randrange(1000, 1 << 30)}"
    sam.add({"dn": place(group), "objectClass": "group", "sAMAccountName": group, "groupType": SECURITY_GLOBAL,
             "objectSid": ndr_pack(dom_sid(sid))}, ["relax:0", "provision:0"])
    member = ldb.Message(ldb.Dn(sam, place(group)))
    member["member"] = ldb.MessageElement(place(user), ldb.FLAG_MOD_ADD, "member")
    sam.modify(member)
    print(sid)
