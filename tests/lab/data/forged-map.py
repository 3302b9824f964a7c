"""Writes a shared cache that lies: python3 - FILE. As whoever has taken over the worker could, without its writer.

Nothing in it ever expires, and its stillness never ends. The layout stands in docs/design/cache-map.md.
"""

import os
import struct
import sys
import time

FIRST = 674190000
HIGH = FIRST + 50  # uid of the local user, gid of the local group "localhigh"
SIZE, BUCKETS, BUCKETS_AT, RING_AT, LOG_AT = 1 << 20, 1024, 4096, 8192, 12288
NEVER, MASK = 0xFFFFFFFF, (1 << 64) - 1
USER_NAME, UID, GROUP_NAME, GID, GROUPS_OF_UID = 1, 2, 4, 5, 7

# key: name, uid, gid in the record
USERS = {
    "mallory": ("mallory", FIRST, FIRST),
    "trent": ("root", FIRST + 1, FIRST),
    "eve": ("localuser", FIRST + 2, FIRST),
    "igor": ("LocalUser", FIRST + 3, FIRST),
    "oscar": ("oscar", 1000, FIRST),
    "walter": ("walter", 0, FIRST),
    "wendy": ("wendy", HIGH, FIRST),
    "localuser": ("victor", FIRST + 4, FIRST),
    "peggy": ("peggy", FIRST + 5, FIRST),
}
# uid: gids in the record
GROUPS_OF = {
    FIRST: [FIRST + 13],
    FIRST + 4: [FIRST + 13],
    FIRST + 5: [FIRST + 10, FIRST + 12],
    1000: [FIRST + 13],
}
# key: name, gid, members in the record
GROUPS = {
    "fine": ("fine", FIRST + 13, ["mallory"]),
    "evil": ("evil", 27, ["peggy"]),
    "vile": ("sudo", FIRST + 10, ["peggy"]),
    "loud": ("SUDO", FIRST + 12, ["peggy"]),
    "live": ("live", 0, ["peggy"]),
    "high": ("high", HIGH, ["peggy"]),
    "sudo": ("domainsudo", FIRST + 14, ["peggy"]),
    "veil": ("veil", FIRST + 11, ["mallory", "localuser"]),
    "lief": ("lief", FIRST + 15, ["root"]),
}


def padded(data, unit=4):
    return data + bytes(-len(data) % unit)


def digest(kind, key):
    factor = 0x9E3779B97F4A7C15
    value = kind * factor & MASK
    for (word,) in struct.iter_unpack("=I", padded(key)):
        value = (value ^ word) * factor & MASK
        value ^= value >> 32
    value = value * factor & MASK
    return value ^ value >> 29


class Map:
    def __init__(self):
        self.words = bytearray(SIZE)
        self.end = LOG_AT

    def put(self, at, *words):
        struct.pack_into(f"={len(words)}I", self.words, at, *words)

    def append(self, body, tag):
        at, size = self.end, (4 + len(body) + 7) & ~7
        self.put(at, size | tag)
        self.words[at + 4:at + 4 + len(body)] = body
        self.end += size
        return at

    def record(self, body, keys):
        at = self.append(body, 2)
        for number, key in keys:
            key = struct.pack("=I", key) if isinstance(key, int) else key.lower().encode()
            kind = number | len(key) << 16
            hashed = digest(kind, key)
            bucket = BUCKETS_AT + 4 * (hashed >> 32 & BUCKETS - 1)
            (older,) = struct.unpack_from("=I", self.words, bucket)
            entry = struct.pack("=4I", older, at, hashed & 0xFFFFFFFF, kind) + padded(key)
            self.put(bucket, self.append(entry, 1))


def main():
    path = sys.argv[1]
    forged = Map()
    for key, (name, uid, gid) in USERS.items():
        gecos, home, shell = "", "/tmp", "/bin/sh"
        lengths = (len(name), len(home) | len(shell) << 16, 0)
        text = f"{name}\0*\0{gecos}\0{home}\0{shell}\0".encode()
        body = struct.pack("=7I", 1, NEVER, uid, gid, *lengths) + text
        forged.record(body, [(USER_NAME, key), (UID, uid)])
    for uid, gids in GROUPS_OF.items():
        body = struct.pack(f"=5I{len(gids)}I", 3, NEVER, uid, FIRST, len(gids), *gids)
        forged.record(body, [(GROUPS_OF_UID, uid)])
    for key, (name, gid, members) in GROUPS.items():
        text, places = f"{name}\0*\0", []
        for member in members:
            places.append(len(text))
            text += member + "\0"
        head = struct.pack("=7I", 2, NEVER, gid, NEVER, len(members), len(text), len(name))
        forged.record(head + struct.pack(f"={len(places)}I", *places) + text.encode(), [(GROUP_NAME, key), (GID, gid)])
    beat = int(time.clock_gettime(time.CLOCK_MONOTONIC))
    forged.put(8, 1, 1, 0xF0, 0x96ED, SIZE, 0, 1, beat, NEVER, BUCKETS, BUCKETS_AT, RING_AT, 16, LOG_AT, forged.end, 1)
    forged.put(72, 0, NEVER)
    forged.words[0:8] = b"ENTRAMAP"
    with open(path + ".forged", "wb") as file:
        file.write(forged.words)
    os.chmod(path + ".forged", 0o644)
    os.rename(path + ".forged", path)


main()
