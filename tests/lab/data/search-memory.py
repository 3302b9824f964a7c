#!/usr/bin/python3
"""Looks for secrets in the memory of processes: search-memory.py PID...

Standard input has lines "NAME HEX"; a secret of a keytab is named "keytab", and its HEX is the file's path in hex. Prints
"PID bytes NUMBER" for each process that was read, and "PID NAME ADDRESS" for each place where a secret lies.
"""

import struct
import sys


def keys(path):
    """The keys of a keytab (MIT's format 0x0502), as bytes."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] != b"\x05\x02":
        sys.exit(f"{path} is no keytab")
    at, found = 2, []
    while at + 4 <= len(data):
        (length,) = struct.unpack_from(">i", data, at)
        at += 4
        if length < 0:  # A hole.
            at -= length
            continue
        entry, pos = data[at : at + length], 2
        (components,) = struct.unpack_from(">H", entry, 0)
        for _ in range(components + 1):  # The realm too.
            pos += 2 + struct.unpack_from(">H", entry, pos)[0]
        pos += 4 + 4 + 1 + 2  # Type of name, time, kvno, enctype.
        (size,) = struct.unpack_from(">H", entry, pos)
        found.append(entry[pos + 2 : pos + 2 + size])
        at += length
    if not found:
        sys.exit(f"{path} has no key")
    return found


def areas(pid):
    """Everything that the process can read, but for devices."""
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            fields = line.split(None, 5)
            path = fields[5].strip() if len(fields) > 5 else ""
            if "r" in fields[1] and path not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                yield [int(part, 16) for part in fields[0].split("-")]


def search(pid, secrets):
    total = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for first, last in areas(pid):
            try:
                memory.seek(first)
                data = b""
                while len(data) < last - first:
                    part = memory.read(last - first - len(data))
                    if not part:
                        break
                    data += part
            except OSError:  # A mapped file that is shorter than its mapping.
                continue
            total += len(data)
            for name, secret in secrets:
                at = data.find(secret)
                while at >= 0:
                    print(pid, name, hex(first + at))
                    at = data.find(secret, at + 1)
    print(pid, "bytes", total)


secrets = []
for line in sys.stdin:
    name, text = line.split()
    value = bytes.fromhex(text)
    secrets += [(name, key) for key in keys(value)] if name == "keytab" else [(name, value)]
for pid in sys.argv[1:]:
    search(pid, secrets)
