"""Packets of the queue 7 of the packet filter are held for a time, or lost: what a long and bad line does (the kernel may
lack netem). Arguments: seconds of delay, part that is lost. Prints how many were delayed, and then how many were lost.

The messages are those of linux/netfilter/nfnetlink_queue.h.
"""

import random
import select
import socket
import struct
import sys
import time
from collections import deque

DELAY, LOSS = float(sys.argv[1]), float(sys.argv[2])
QUEUE, QUEUES = 7, 3
PACKET, VERDICT, CONFIG = 0, 1, 2
DROP, ACCEPT = 0, 1


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def tell(kind, attributes):
    body = struct.pack("=BBH", 0, 0, socket.htons(QUEUE)) + attributes
    link.send(struct.pack("=IHHII", 16 + len(body), QUEUES << 8 | kind, 1, 0, 0) + body)


def decide(verdict, number):
    tell(VERDICT, attribute(2, struct.pack(">II", verdict, number)))


def packet_id(message):
    at = 20
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind & 0x3fff == 1:
            return struct.unpack_from(">I", message, at + 4)[0]
        at += max(4, length + 3 & ~3)
    return None


link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
link.bind((0, 0))
link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
tell(CONFIG, attribute(1, struct.pack(">BBH", 1, 0, socket.AF_INET)))
tell(CONFIG, attribute(2, struct.pack(">IB", 0, 1)))
tell(CONFIG, attribute(3, struct.pack(">I", 20000)))
held, delayed, lost = deque(), 0, 0
while True:
    wait = max(0, held[0][0] - time.monotonic()) if held else 1
    ready = select.select([link], [], [], wait)[0]
    while held and held[0][0] <= time.monotonic():
        decide(ACCEPT, held.popleft()[1])
        delayed += 1
    if ready:
        message = link.recv(65536)
        number = packet_id(message) if struct.unpack_from("=H", message, 4)[0] == QUEUES << 8 | PACKET else None
        if number is not None:
            if random.random() < LOSS:
                decide(DROP, number)
                lost += 1
            else:
                held.append((time.monotonic() + DELAY, number))
    else:
        print(delayed, lost)
