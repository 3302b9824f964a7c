"""50 clients that send garbage: random bytes, lengths that lie, halves of frames, frames of random content.

Prints how many pieces were taken.
"""

import os
import random
import socket
import struct
import threading
import time

SOCKETS = ["/run/entra/nss.sock", "/run/entra/pam.sock", "/run/entra/ctl.sock"]
taken = 0
lock = threading.Lock()


def piece():
    body = os.urandom(random.randrange(1, 300))
    return random.choice([
        body,
        struct.pack("<I", len(body)) + body,
        struct.pack("<I", 0xffffffff) + body,
        struct.pack("<I", len(body) + 50) + body,
        struct.pack("<I", len(body)) + bytes([1, 0, random.randrange(40)]) + body[3:],
    ])


def client():
    global taken
    while True:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.settimeout(2)
                stream.connect(random.choice(SOCKETS))
                stream.sendall(piece())
                with lock:
                    taken += 1
                stream.recv(4096)
        except OSError:
            pass
        time.sleep(0.02)


for _ in range(50):
    threading.Thread(target=client, daemon=True).start()
while True:
    print(taken)
    time.sleep(0.2)
