"""Holds 5,000 connections to the daemon's sockets and says nothing; makes a new one for each that is closed.

Prints how many it has made.
"""

import select
import socket
import time

SOCKETS = ["/run/entra/nss.sock", "/run/entra/pam.sock", "/run/entra/ctl.sock"]
held = {}
made = 0
poll = select.poll()
while True:
    while len(held) < 5000:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        try:
            client.connect(SOCKETS[made % 3])
        except OSError:
            # The backlog is full, or the daemon is away.
            client.close()
            break
        made += 1
        held[client.fileno()] = client
        poll.register(client, select.POLLIN)
    print(made)
    for number, _ in poll.poll(100):
        poll.unregister(number)
        held.pop(number).close()
    time.sleep(0.05)
