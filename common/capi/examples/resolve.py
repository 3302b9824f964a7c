#!/usr/bin/env python3
"""Resolves SIDs to uids and gids through libentra, many at once.

    python3 resolve.py < sids.txt    one SID on each line, as text

Prints `SID user|group ID` for each, and to standard error how many a second that was.
"""

import ctypes
import sys
import time

OK, NOT_FOUND, UNAVAILABLE, RANGE, INVALID = range(5)
KINDS = {1: "user", 2: "group"}


class Sid(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint8 * 68)]


class Mapping(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("kind", ctypes.c_uint32), ("id", ctypes.c_uint32)]


class Library:
    """libentra.so.1"""

    def __init__(self):
        self._library = ctypes.CDLL("libentra.so.1")
        self._library.entra_sid_parse.argtypes = [ctypes.c_char_p, ctypes.POINTER(Sid)]
        self._library.entra_sids_to_ids.argtypes = [ctypes.POINTER(Sid), ctypes.c_size_t, ctypes.POINTER(Mapping)]
        self._library.entra_strerror.argtypes = [ctypes.c_int]
        self._library.entra_strerror.restype = ctypes.c_char_p

    def parse(self, texts):
        """An array of SIDs. Raises ValueError for a text that is none."""
        sids = (Sid * len(texts))()
        for at, text in enumerate(texts):
            if self._library.entra_sid_parse(text.encode(), ctypes.byref(sids[at])) != OK:
                raise ValueError(f"no SID: {text!r}")
        return sids

    def resolve(self, sids):
        """An array with the status, kind and id of each SID."""
        mappings = (Mapping * len(sids))()
        self._library.entra_sids_to_ids(sids, len(sids), mappings)
        return mappings

    def words(self, status):
        """What a status means."""
        return self._library.entra_strerror(status).decode()


def main():
    library = Library()
    texts = sys.stdin.read().split()
    sids = library.parse(texts)
    started = time.perf_counter()
    mappings = library.resolve(sids)
    seconds = time.perf_counter() - started
    for text, mapping in zip(texts, mappings):
        if mapping.status == OK:
            print(text, KINDS[mapping.kind], mapping.id)
        else:
            print(text, library.words(mapping.status))
    if texts:
        print(f"{len(texts)} SIDs, {len(texts) / seconds:.0f} a second", file=sys.stderr)


if __name__ == "__main__":
    main()
