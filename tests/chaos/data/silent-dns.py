"""A DNS server that hears and says nothing. Prints how many questions it has heard."""

import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.53", 53))
asked = 0
while True:
    server.recvfrom(4096)
    asked += 1
    print(asked)
