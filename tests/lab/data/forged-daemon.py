"""Stands in for entrad and lies: python3 - FOLDER plain|rights. Serves FOLDER/nss.sock and FOLDER/pam.sock.

plain: every user and group that is asked for exists, with ids that the configuration grants; every login succeeds.
rights: answers that would give rights on this host, each in a frame that is in order.
The grammar stands in common/wire/src/protocol.rs.
"""

import os
import selectors
import socket
import struct
import sys

OK = 0
FIRST = 674190000
DOMAIN_SUDO = 674001126
LOCAL_STAFF = 1000

# name asked for: name, uid, gid in the answer
USERS = {
    "mallory": ("mallory", 0, FIRST),
    "trent": ("trent", FIRST + 1, 27),
    "eve": ("root", FIRST + 2, FIRST),
    "oscar": ("localuser", FIRST + 3, FIRST),
    "walter": ("walter", LOCAL_STAFF, FIRST),
    "peggy": ("peggy", FIRST + 5, FIRST),
    "localuser": ("localuser", FIRST + 6, FIRST),
}
# name asked for: name, gid, members in the answer
GROUPS = {
    "evil": ("evil", 27, ["peggy"]),
    "vile": ("sudo", FIRST + 10, ["peggy"]),
    "loud": ("SUDO", FIRST + 12, ["peggy"]),
    "live": ("live", 0, ["peggy"]),
    "veil": ("veil", FIRST + 11, ["root", "localuser", "peggy"]),
}


def string(text):
    return struct.pack("<H", len(text.encode())) + text.encode()


def passwd(name, uid, gid):
    return string(name) + string("") + string("/tmp") + string("/bin/sh") + struct.pack("<II", uid, gid)


def group(name, gid, members):
    return string(name) + struct.pack("<II", gid, len(members)) + b"".join(string(member) for member in members)


def ids(primary, others):
    return struct.pack("<II", primary, len(others)) + struct.pack(f"<{len(others)}I", *others)


def plain(op, key):
    name = key if isinstance(key, str) else "mallory"
    number = key if isinstance(key, int) else FIRST
    return {1: passwd(name, FIRST, FIRST), 2: passwd(name, number, FIRST), 3: group(name, FIRST, ["mallory"]),
            4: group("evil", number, ["mallory"]), 5: ids(FIRST, [FIRST + 1])}.get(op)


def rights(op, key):
    if op == 1 and key in USERS:
        return passwd(*USERS[key])
    if op == 2:
        return passwd("root", key, FIRST)
    if op == 3 and key in GROUPS:
        return group(*GROUPS[key])
    if op == 4:
        return group("sudo" if key == DOMAIN_SUDO else "granted", key, ["peggy"])
    if op == 5:
        return ids(FIRST, [0, 27, LOCAL_STAFF, DOMAIN_SUDO])
    return None


def answer(body, lie):
    op = body[3]
    if op >= 32:
        return struct.pack("<H", 0) + string("") + string("") + struct.pack("<I", 0)
    key = struct.unpack("<I", body[4:8])[0] if op in (2, 4) else body[6:].decode()
    return lie(op, key)


def serve(listener, lie):
    client, _ = listener.accept()
    with client:
        client.settimeout(5)
        length = struct.unpack("<I", client.recv(4, socket.MSG_WAITALL))[0]
        body = client.recv(length, socket.MSG_WAITALL)
        payload = answer(body, lie)
        print(f"asked: op {body[3]} {body[4:]!r}", flush=True)
        head = struct.pack("<HBB", 0x4E45, 1, OK if payload is not None else 1)
        client.sendall(struct.pack("<I", len(head) + len(payload or b"")) + head + (payload or b""))


def main():
    folder, lie = sys.argv[1], {"plain": plain, "rights": rights}[sys.argv[2]]
    selector = selectors.DefaultSelector()
    for name in ("nss.sock", "pam.sock"):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.path.join(folder, name))
        os.chmod(os.path.join(folder, name), 0o666)
        listener.listen(16)
        selector.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            try:
                serve(key.fileobj, lie)
            except (OSError, struct.error, IndexError) as error:
                print(f"broken off: {error}", flush=True)


main()
