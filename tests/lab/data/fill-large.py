"""Adds to the small directory of the bench what makes it a large one: 50,000 users in all and 1,800 more groups.

Run by Debian's own python3 in the DC's node while Samba is stopped.
"""

import fill
import importlib

small = importlib.import_module("fill-small")

USER_COUNT = 50000
GROUP_COUNT = 1800
MEMBERS = 25


def main():
    filler = fill.Filler()
    small.existing(filler)
    filler.sam.transaction_start()
    try:
        names = [f"person{number:05}" for number in range(1, USER_COUNT - len(filler.dns) + 1)]
        for name in names:
            filler.user(name, display=f"Person {name[6:]}", unit=fill.BULK)
        for number in range(GROUP_COUNT):
            start = number * MEMBERS % (len(names) - MEMBERS)
            filler.group(f"department-{number:04}", names[start:start + MEMBERS])
    except BaseException:
        filler.sam.transaction_cancel()
        raise
    filler.sam.transaction_commit()


if __name__ == "__main__":
    main()
