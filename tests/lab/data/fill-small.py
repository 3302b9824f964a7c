"""Adds to the filled directory what the bench measures: users in many groups, groups of many members.

Run by Debian's own python3 in the DC's node while Samba is stopped. The names stand in src/measured.rs too.
"""

import ldb

import fill

# Users in so many groups of their own, two of them: one for initgroups, one for id.
OF_MANY = 60
CHAINS, DEPTH = 280, 10


def existing(filler):
    """DNs of the people of the filled directory (its machines and built-in accounts left out)."""
    found = []
    for unit in (fill.USERS, fill.BULK):
        found += filler.sam.search(unit, ldb.SCOPE_SUBTREE, "(objectClass=user)", ["sAMAccountName"])
    for entry in found:
        filler.dns[str(entry["sAMAccountName"][0])] = str(entry.dn)


def main():
    filler = fill.Filler()
    existing(filler)
    everyone = sorted(filler.dns)
    filler.sam.transaction_start()
    try:
        for name in ("sixty-a", "sixty-b"):
            filler.user(name, display="Member of 60 Groups")
            for number in range(1, OF_MANY + 1):
                filler.group(f"{name}-{number:02}", [name])
        filler.user("deep", display="Member of 2,800 nested Groups")
        for chain in range(1, CHAINS + 1):
            below = "deep"
            for level in range(1, DEPTH + 1):
                name = f"deep-{chain:03}-{level:02}"
                filler.group(name, [below])
                below = name
        filler.group("big-100", everyone[:100])
        filler.group("big-5200", everyone)
    except BaseException:
        filler.sam.transaction_cancel()
        raise
    filler.sam.transaction_commit()


if __name__ == "__main__":
    main()
