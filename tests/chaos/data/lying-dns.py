"""A DNS server that leads everybody to 127.0.0.66, and what listens there: it accepts, and answers rubbish.

Prints how many lies and answers of rubbish it has told.
"""

import os
import socket
import struct
import threading

LIAR, IMPOSTOR = "127.0.0.53", "127.0.0.66"
PORTS = {"_ldap": 389, "_kerberos": 88, "_gc": 3268, "_kpasswd": 464}
told = 0
lock = threading.Lock()


def count():
    global told
    with lock:
        told += 1
        print(told)


def labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def lie(question):
    end = question.index(b"\0", 12)
    kind = struct.unpack(">H", question[end + 1:end + 3])[0]
    asked = question[12:end + 5]
    first = question[13:13 + question[12]].decode(errors="replace").lower()
    if kind == 33:
        data = struct.pack(">HHH", 0, 100, PORTS.get(first, 389)) + labels("dc9.aadds.contoso.com")
    elif kind == 1:
        data = socket.inet_aton(IMPOSTOR)
    else:
        return question[:2] + b"\x85\x80\0\1\0\0\0\0\0\0" + asked
    answer = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
    return question[:2] + b"\x85\x80\0\1\0\1\0\0\0\0" + asked + answer


def datagrams(address, port, reply):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    while True:
        heard, client = server.recvfrom(65535)
        server.sendto(reply(heard), client)
        count()


def rubbish(stream):
    with stream:
        try:
            stream.recv(65535)
            stream.sendall(os.urandom(200))
            count()
            stream.recv(65535)
        except OSError:
            pass


def streams(port):
    server = socket.create_server((IMPOSTOR, port))
    while True:
        threading.Thread(target=rubbish, args=(server.accept()[0],), daemon=True).start()


for port in (88, 389, 464, 636):
    threading.Thread(target=streams, args=(port,), daemon=True).start()
    threading.Thread(target=datagrams, args=(IMPOSTOR, port, lambda heard: os.urandom(150)), daemon=True).start()
datagrams(LIAR, 53, lie)
