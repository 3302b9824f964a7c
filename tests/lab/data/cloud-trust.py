"""Makes the objects of a cloud trust in the running directory, or removes them: python3 - VERB SECRET.

What Microsoft's cmdlet makes is not known in every attribute; these are the ones that facts of the protocol demand.
`trust`: the trusted domain object over LSA, type 2 with a SID, as an MIT realm of type 3 gets no referrals from Samba.
`claim`: the trust beside another one, which has its top-level name. `objects`: the computer with its linked, disabled user. `rotate`: a new key for that user.
"""

import os
import sys
import time

import ldb
from samba import unix2nttime
from samba.auth import system_session
from samba.credentials import Credentials
from samba.dcerpc import drsblobs, lsa, security
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.samdb import SamDB
from samba.trust_utils import CreateTrustedDomainRelax

REALM = "KERBEROS.MICROSOFTONLINE.COM"
SECRET = sys.argv[2]
SID = "S-1-5-21-1111111111-2222222222-3333333333"
OTHER = "OTHER.EXAMPLE"
OTHER_SID = "S-1-5-21-1111111111-2222222222-1444444444"

parameters = LoadParm()
parameters.load_default()
sam = SamDB(session_info=system_session(), lp=parameters)
base = sam.domain_dn()
computer = f"CN=AzureADKerberos,OU=Domain Controllers,{base}"
user = f"CN=krbtgt_AzureAD,CN=Users,{base}"


def passwords():
    """The trust's secret, current alone, as MS-ADTS 6.1.6.9.1 stores it."""
    secret = list(SECRET.encode("utf-16-le"))
    clear = drsblobs.AuthInfoClear()
    clear.size = len(secret)
    clear.password = secret
    now = drsblobs.AuthenticationInformation()
    now.LastUpdateTime = unix2nttime(int(time.time()))
    now.AuthType = lsa.TRUST_AUTH_TYPE_CLEAR
    now.AuthInfo = clear
    array = drsblobs.AuthenticationInformationArray()
    array.count = 1
    array.array = [now]
    both = drsblobs.trustAuthInOutBlob()
    both.count = 1
    both.current = array
    return both


def trust(realm=REALM, netbios="KERBEROS", sid=SID, top_level_name="windows.net"):
    if sam.search(f"CN=System,{base}", expression=f"(trustPartner={realm})", attrs=["cn"]):
        return
    machine = Credentials()
    machine.guess(parameters)
    machine.set_machine_account(parameters)
    local = f"ncalrpc:{parameters.get('netbios name')}[,auth_type=ncalrpc_as_system]"
    pipe = lsa.lsarpc(local, parameters, machine)
    attributes = lsa.ObjectAttribute()
    attributes.sec_qos = lsa.QosInfo()
    policy = pipe.OpenPolicy2("", attributes, security.SEC_FLAG_MAXIMUM_ALLOWED)
    info = lsa.TrustDomainInfoInfoEx()
    info.domain_name.string = realm
    info.netbios_name.string = netbios
    info.sid = security.dom_sid(sid)
    info.trust_direction = lsa.LSA_TRUST_DIRECTION_INBOUND
    info.trust_type = lsa.LSA_TRUST_TYPE_UPLEVEL
    info.trust_attributes = lsa.LSA_TRUST_ATTRIBUTE_FOREST_TRANSITIVE
    CreateTrustedDomainRelax(pipe, policy, info, security.SEC_STD_DELETE, passwords(), passwords())
    found = sam.search(f"CN=System,{base}", expression=f"(trustPartner={realm})", attrs=["cn"])[0]
    record = drsblobs.ForestTrustInfoRecord()
    record.flags = 0
    record.timestamp = 0
    record.type = lsa.LSA_FOREST_TRUST_TOP_LEVEL_NAME
    record.data = drsblobs.ForestTrustString()
    record.data.string = top_level_name
    armor = drsblobs.ForestTrustInfoRecordArmor()
    armor.record = record
    names = drsblobs.ForestTrustInfo()
    names.version = 1
    names.count = 1
    names.records = [armor]
    change = ldb.Message(found.dn)
    for name, value in (("msDS-TrustForestTrustInfo", ndr_pack(names)), ("msDS-SupportedEncryptionTypes", b"24")):
        change[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    sam.modify(change)


def claim():
    remove()
    trust(top_level_name="usgovcloudapi.net")
    trust(OTHER, "OTHER", OTHER_SID)


def rotate():
    change = ldb.Message(ldb.Dn(sam, user))
    password = f'"{os.urandom(16).hex()}-Aa1"'.encode("utf-16-le")
    change["unicodePwd"] = ldb.MessageElement(password, ldb.FLAG_MOD_REPLACE, "unicodePwd")
    sam.modify(change)


def objects():
    # Samba gives the number and a name made of it, as AD does for every read-only domain controller.
    sam.add({"dn": user, "objectClass": "user", "userAccountControl": "514"}, ["rodc_join:1:1"])
    named = ldb.Message(ldb.Dn(sam, user))
    named["sAMAccountName"] = ldb.MessageElement("krbtgt_AzureAD", ldb.FLAG_MOD_REPLACE, "sAMAccountName")
    sam.modify(named)
    rotate()
    sam.add(
        {
            "dn": computer,
            "objectClass": "computer",
            "sAMAccountName": "AzureADKerberos$",
            "userAccountControl": "4096",
            "msDS-KrbTgtLink": user,
        },
        controls=["relax:0"],
    )


def remove():
    for dn in (computer, user):
        try:
            sam.delete(dn, ["relax:0"])
        except ldb.LdbError as error:
            if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                raise
    for realm, netbios in ((REALM, "KERBEROS"), (OTHER, "OTHER")):
        for entry in sam.search(f"CN=System,{base}", expression=f"(trustPartner={realm})", attrs=["cn"]):
            sam.delete(entry.dn, ["tree_delete:0"])
        for entry in sam.search(base, expression=f"(sAMAccountName={netbios}$)", attrs=["cn"]):
            sam.delete(entry.dn)


{"trust": trust, "claim": claim, "objects": objects, "rotate": rotate, "remove": remove}[sys.argv[1]]()
