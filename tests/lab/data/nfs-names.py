"""Maps names through libnfsidmap, as rpc.idmapd, nfsidmap and rpc.svcgssd do: python3 - CONFIGURATION, questions on standard
input, a line each: `user NAME@DOMAIN`, `group NAME@DOMAIN`, `uid N`, `gid N`, `principal NAME@REALM`.
"""

import ctypes
import sys

# Its plugins use its symbols, as those of a library that a program is linked with.
library = ctypes.CDLL("libnfsidmap.so.1", mode=ctypes.RTLD_GLOBAL)
if library.nfs4_init_name_mapping(sys.argv[1].encode()) != 0:
    sys.exit("libnfsidmap does not take the configuration")
domain = ctypes.create_string_buffer(512)
library.nfs4_get_default_domain(None, domain, ctypes.c_size_t(len(domain)))

for line in sys.stdin:
    kind, value = line.rstrip("\n").split(" ", 1)
    number, group = ctypes.c_uint32(), ctypes.c_uint32()
    text = ctypes.create_string_buffer(512)
    if kind == "user":
        failed = library.nfs4_name_to_uid(value.encode(), ctypes.byref(number))
        answer = str(number.value)
    elif kind == "group":
        failed = library.nfs4_name_to_gid(value.encode(), ctypes.byref(number))
        answer = str(number.value)
    elif kind == "principal":
        failed = library.nfs4_gss_princ_to_ids(b"krb5", value.encode(), ctypes.byref(number), ctypes.byref(group))
        answer = f"{number.value} {group.value}"
    else:
        ask = library.nfs4_uid_to_name if kind == "uid" else library.nfs4_gid_to_name
        failed = ask(ctypes.c_uint32(int(value)), domain, text, ctypes.c_size_t(len(text)))
        answer = text.value.decode()
    print(line.rstrip("\n"), "->", "nobody" if failed else answer)
