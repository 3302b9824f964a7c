"""Holds 5,000 connections to the daemon's sockets and says nothing; those that are closed are made again, 50 at a time.

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
    most = 5000 if made < 5000 else 50
    for _ in range(min(5000 - len(held), most)):
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
    time.sleep(0.1)
