"""Adds the user "faraway" with RID 200001 and two SIDs of former times (sIDHistory), one of this domain and one of a domain
that is gone, or deletes it: python3 - add|delete.

The pool of RIDs is moved there for the one addition, and put back.
"""

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
dn = ldb.Dn(sam, f"CN=far away,CN=Users,{sam.domain_dn()}")
FIRST, LAST, FORMER = 200_000, 200_499, 4_000_000
GONE = dom_sid("S-1-5-21-9-8-7-500")

for entry in sam.search(sam.domain_dn(), expression="(sAMAccountName=faraway)", attrs=["dn"]):
    sam.delete(entry.dn)
if sys.argv[1] == "add":
    names = ["rIDPreviousAllocationPool", "rIDNextRID"]
    pool = sam.search(sam.domain_dn(), expression="(objectClass=rIDSet)", attrs=names)[0]

    def place(values):
        message = ldb.Message(pool.dn)
        for name, value in zip(names, values):
            message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
        sam.modify(message)

    place([str(LAST << 32 | FIRST), str(FIRST)])
    try:
        password = '"Planted-Pass-1"'.encode("utf-16-le")
        sam.add({"dn": dn, "objectClass": "user", "sAMAccountName": "faraway", "userAccountControl": "512",
                 "unicodePwd": password})
    finally:
        place([str(pool[name][0]) for name in names])
    sid = sam.search(dn, ldb.SCOPE_BASE, attrs=["objectSid"])[0]["objectSid"][0]
    former = bytes(sid)[:-4] + FORMER.to_bytes(4, "little")
    message = ldb.Message(dn)
    message["former"] = ldb.MessageElement([former, ndr_pack(GONE)], ldb.FLAG_MOD_ADD, "sIDHistory")
    sam.modify(message)
