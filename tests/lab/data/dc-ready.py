"""Asks the DC's services until all answer: DNS, LDAP, CLDAP (the "netlogon ping" by which clients find their DC; without
it adcli falls back to names that have no key), Kerberos. Says which does not after 30 seconds.

Argument: the DC's address.
"""

import socket
import sys
import time

from ber import APPLICATION, INTEGER, OCTETS, SEQUENCE, encode

PATIENCE = 30
DOMAIN = b"aadds.contoso.com"


def root_search(filter_part, attribute):
    search = b"".join([
        encode(OCTETS, b""), encode(0x0A, b"\0"), encode(0x0A, b"\0"), encode(INTEGER, b"\0"), encode(INTEGER, b"\0"),
        encode(1, b"\0"), filter_part, encode(SEQUENCE, encode(OCTETS, attribute))])
    return encode(SEQUENCE, encode(INTEGER, b"\1") + encode(APPLICATION | 0x23, search))


def equals(attribute, value):
    return encode(0xA3, encode(OCTETS, attribute) + encode(OCTETS, value))


def stream(address, port, question):
    with socket.create_connection((address, port), timeout=1) as connection:
        connection.sendall(question)
        return connection.recv(4096)


def datagram(address, port, question):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(1)
        connection.sendto(question, (address, port))
        return connection.recv(4096)


def dns(address):
    labels = b"".join(bytes([len(label)]) + label for label in b"_ldap._tcp.dc._msdcs".split(b".") + DOMAIN.split(b"."))
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\x21\0\1"
    answer = datagram(address, 53, question)
    return answer[6:8] != b"\0\0"


def ldap(address):
    return b"DC=" in stream(address, 389, root_search(encode(0x87, b"objectClass"), b"defaultNamingContext"))


def cldap(address):
    ping = encode(0xA0, equals(b"DnsDomain", DOMAIN) + equals(b"NtVer", b"\x16\0\0\0"))
    return b"netlogon" in datagram(address, 389, root_search(ping, b"netlogon")).lower()


def kerberos(address):
    socket.create_connection((address, 88), timeout=1).close()
    return True


def main():
    address, end = sys.argv[1], time.monotonic() + PATIENCE
    for service in (dns, ldap, cldap, kerberos):
        while True:
            try:
                if service(address):
                    break
                reason = "a wrong answer"
            except OSError as error:
                reason = error
            if time.monotonic() > end:
                sys.exit(f"{service.__name__}: {reason}")
            time.sleep(0.02)


main()
