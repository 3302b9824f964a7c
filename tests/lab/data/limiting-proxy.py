"""An LDAP server in front of the DC that keeps Active Directory's limits, which Samba does not keep:

- an attribute has at most 1,500 values in an answer: the rest is asked for with "member;range=1500-*";
- a search without paging ends at 1,000 entries with sizeLimitExceeded, and a page holds at most 1,000;
- nobody reads anything but the root DSE before a bind, and a bind is GSSAPI or GSS-SPNEGO with sealing.

Clients seal what they say, so the proxy is the acceptor itself, with the DC's keys; it speaks to Samba over the local
socket, as the system. Kerberos is passed on as it is, so a client can take this for a whole domain controller.

Arguments: the address to listen on, the DC's own address, the keytab.
"""

import os
import socket
import sys
import threading

import gssapi

from ber import (APPLICATION, INTEGER, OCTETS, SEQUENCE, BerError, decode_integer, encode, encode_integer, members,
                 message_length)

VALUES, ENTRIES = 1500, 1000
BACKEND = "/var/lib/samba/private/ldap_priv/ldapi"
PAGING = b"1.2.840.113556.1.4.319"

BIND, BIND_ANSWER, UNBIND = APPLICATION | 0x20, APPLICATION | 0x21, APPLICATION | 2
SEARCH, ENTRY, DONE = APPLICATION | 0x23, APPLICATION | 0x24, APPLICATION | 0x25
EXTENDED, EXTENDED_ANSWER = APPLICATION | 0x37, APPLICATION | 0x38
SIMPLE, SASL, SASL_CREDENTIALS, CONTROLS = 0x80, 0xA3, 0x87, 0xA0

SUCCESS, OPERATIONS_ERROR, SIZE_LIMIT, STRONGER_AUTH, IN_PROGRESS = 0, 1, 4, 8, 14
BAD_CREDENTIALS, UNAVAILABLE = 49, 52
# Largest sealed buffer that is offered and sent; what sealing adds fits between this and 64 KiB.
FRAME, PLAIN = 0xFFFF, 60000


def result(tag, code, text="", extra=b""):
    return encode(tag, encode(0x0A, bytes([code])) + encode(OCTETS, b"") + encode(OCTETS, text.encode()) + extra)


class Session:
    """One client, with a connection of its own to Samba."""

    def __init__(self, client, keytab):
        self.client, self.keytab = client, keytab
        self.backend = socket.socket(socket.AF_UNIX)
        self.backend.connect(BACKEND)
        self.context = None
        self.mechanism = None
        # Wrapping and unwrapping happen in two threads; writing to the client too.
        self.seal, self.send = threading.Lock(), threading.Lock()
        self.sealed = self.bound = False
        self.layer_offered = False
        self.limit = PLAIN
        # Unpaged searches that run: message id to entries sent.
        self.counts = {}

    def serve(self):
        threading.Thread(target=self.answers, daemon=True).start()
        try:
            for message in self.requests():
                self.request(message)
        except (BerError, OSError, EOFError, gssapi.exceptions.GSSError) as error:
            print(f"connection ended: {error!r}", flush=True)
        finally:
            for end in (self.client, self.backend):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def requests(self):
        stream = self.client.makefile("rb")
        plain = b""
        while True:
            if self.sealed:
                size = int.from_bytes(exactly(stream, 4), "big")
                token = exactly(stream, size)
                with self.seal:
                    plain += self.context.unwrap(token).message
            else:
                plain += exactly(stream, 1)
            while (length := message_length(plain)) is not None and len(plain) >= length:
                message, plain = plain[:length], plain[length:]
                yield message

    def request(self, message):
        (_, body), = members(message)
        parts = members(body)
        number, (tag, content) = parts[0][1], parts[1]
        controls = parts[2][1] if len(parts) > 2 and parts[2][0] == CONTROLS else b""
        if tag == BIND:
            self.bind(number, content)
        elif tag == UNBIND:
            raise EOFError("unbind")
        elif tag == EXTENDED:
            self.reply(number, result(EXTENDED_ANSWER, UNAVAILABLE, "not on this server"))
        elif tag == SEARCH:
            base, scope = members(content)[0][1], members(content)[1][1]
            if not self.bound and (base or scope != b"\0"):
                self.reply(number, result(DONE, OPERATIONS_ERROR, "In order to perform this operation a successful "
                                                                  "bind must be completed on the connection."))
                return
            paged = PAGING in [members(control)[0][1] for _, control in members(controls)]
            if not paged:
                self.counts[number] = 0
            self.backend.sendall(rebuilt(number, (tag, content), limited_pages(controls)))
        else:
            self.backend.sendall(message)

    def bind(self, number, content):
        (_, _), (_, name), (kind, value) = members(content)
        if kind == SIMPLE and not name and not value:
            # An anonymous bind succeeds and gives nothing: RFC 4513, 5.1.1.
            self.reply(number, result(BIND_ANSWER, SUCCESS))
            return
        if kind != SASL:
            self.reply(number, result(BIND_ANSWER, STRONGER_AUTH, "BindSimple: Transport encryption required."))
            return
        parts = members(value)
        mechanism, token = parts[0][1], parts[1][1] if len(parts) > 1 else b""
        if mechanism not in (b"GSSAPI", b"GSS-SPNEGO"):
            self.reply(number, result(BIND_ANSWER, 7, "mechanism not supported"))
            return
        try:
            self.accept(number, mechanism, token)
        except gssapi.exceptions.GSSError as error:
            self.context = None
            self.reply(number, result(BIND_ANSWER, BAD_CREDENTIALS, str(error)))

    def accept(self, number, mechanism, token):
        if self.layer_offered:
            chosen = self.context.unwrap(token).message
            if chosen[0] != 4:
                self.reply(number, result(BIND_ANSWER, STRONGER_AUTH, "sealing required"))
                return
            largest = int.from_bytes(chosen[1:4], "big")
            self.limit = max(512, min(PLAIN, largest - 256))
            self.finish(number)
            return
        if self.context is None:
            credentials = gssapi.Credentials(usage="accept", store={"keytab": "FILE:" + self.keytab})
            self.context = gssapi.SecurityContext(creds=credentials, usage="accept")
        if not self.context.complete:
            answer = self.context.step(token) or b""
            if not self.context.complete or (mechanism == b"GSSAPI" and answer):
                self.in_progress(number, answer)
                return
            if mechanism == b"GSS-SPNEGO":
                # No offer of layers here: the context's own flags decide, and sealing begins at once.
                self.finish(number, encode(SASL_CREDENTIALS, answer) if answer else b"")
                return
        self.layer_offered = True
        offer = bytes([4]) + FRAME.to_bytes(3, "big")
        self.in_progress(number, self.context.wrap(offer, False).message)

    def in_progress(self, number, token):
        self.reply(number, result(BIND_ANSWER, IN_PROGRESS, extra=encode(SASL_CREDENTIALS, token)))

    def finish(self, number, extra=b""):
        print(f"bound: {self.context.initiator_name} to {self.context.target_name}", flush=True)
        self.reply(number, result(BIND_ANSWER, SUCCESS, extra=extra))
        self.sealed = self.bound = True

    def reply(self, number, operation):
        self.write(encode(SEQUENCE, encode(INTEGER, number) + operation))

    def answers(self):
        """Samba's messages, limited, to the client."""
        stream = self.backend.makefile("rb")
        plain = b""
        try:
            while chunk := stream.read1(1 << 16):
                plain += chunk
                out = []
                while (length := message_length(plain)) is not None and len(plain) >= length:
                    out.append(self.limited(plain[:length]))
                    plain = plain[length:]
                self.write(b"".join(out))
        except (OSError, BerError) as error:
            print(f"answers ended: {error!r}", flush=True)
        self.client.close()

    def limited(self, message):
        (_, body), = members(message)
        parts = members(body)
        number, (tag, content) = parts[0][1], parts[1]
        if tag == DONE:
            count = self.counts.pop(number, 0)
            if count > ENTRIES:
                return encode(SEQUENCE, encode(INTEGER, number) + result(DONE, SIZE_LIMIT))
        if tag != ENTRY:
            return message
        if number in self.counts:
            self.counts[number] += 1
            if self.counts[number] > ENTRIES:
                return b""
        (_, name), (_, attributes) = members(content)
        entry = encode(OCTETS, name) + encode(SEQUENCE, limited_attributes(attributes))
        return encode(SEQUENCE, encode(INTEGER, number) + encode(ENTRY, entry))

    def write(self, plain):
        with self.send:
            if not self.sealed:
                self.client.sendall(plain)
                return
            for start in range(0, len(plain), self.limit):
                with self.seal:
                    token = self.context.wrap(plain[start:start + self.limit], True).message
                self.client.sendall(len(token).to_bytes(4, "big") + token)


def limited_attributes(attributes):
    out = []
    for _, attribute in members(attributes):
        (_, name), (_, values) = members(attribute)
        every = members(values)
        if len(every) > VALUES:
            # Samba answers a ranged request to its end: "member;range=1500-*".
            bare, _, window = name.partition(b";range=")
            first = int(window.partition(b"-")[0] or 0)
            if not window:
                # As Active Directory does: the attribute itself, empty, beside its first range.
                out.append(encode(SEQUENCE, encode(OCTETS, name) + encode(0x31, b"")))
            name = b"%s;range=%d-%d" % (bare, first, first + VALUES - 1)
            values = b"".join(encode(tag, value) for tag, value in every[:VALUES])
        out.append(encode(SEQUENCE, encode(OCTETS, name) + encode(0x31, values)))
    return b"".join(out)


def limited_pages(controls):
    """The same controls, with a page of at most 1,000 entries."""
    out = []
    for _, control in members(controls):
        parts = members(control)
        if parts[0][1] == PAGING:
            (_, size), (_, cookie) = members(members(parts[-1][1])[0][1])
            size = decode_integer(size)
            size = ENTRIES if size > ENTRIES else size
            value = encode(SEQUENCE, encode(INTEGER, encode_integer(size)) + encode(OCTETS, cookie))
            parts = [*parts[:-1], (OCTETS, value)]
        out.append(encode(SEQUENCE, b"".join(encode(tag, content) for tag, content in parts)))
    return b"".join(out)


def rebuilt(number, operation, controls):
    tail = encode(CONTROLS, controls) if controls else b""
    return encode(SEQUENCE, encode(INTEGER, number) + encode(*operation) + tail)


def exactly(stream, size):
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the client went away")
    return data


def listen(address, port, handle):
    server = socket.create_server((address, port), backlog=64)

    def loop():
        while True:
            client, _ = server.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=handle, args=(client,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def pass_stream(target):
    def copy(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def handle(client):
        other = socket.create_connection(target, timeout=5)
        other.settimeout(None)
        back = threading.Thread(target=copy, args=(other, client), daemon=True)
        back.start()
        copy(client, other)
        back.join()
        client.close()
        other.close()

    return handle


def pass_datagrams(address, target):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, target[1]))

    def ask(data, client):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.settimeout(5)
            other.sendto(data, target)
            try:
                server.sendto(other.recv(1 << 16), client)
            except OSError:
                pass

    def loop():
        while True:
            data, client = server.recvfrom(1 << 16)
            threading.Thread(target=ask, args=(data, client), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def main():
    address, dc, keytab = sys.argv[1:]
    # The same authenticator may well arrive twice when a test asks in parallel.
    os.environ["KRB5RCACHENAME"] = "none:"
    listen(address, 389, lambda client: Session(client, keytab).serve())
    for port in (88, 464):
        listen(address, port, pass_stream((dc, port)))
        pass_datagrams(address, (dc, port))
    pass_datagrams(address, (dc, 389))
    print("ready", flush=True)
    threading.Event().wait()


main()
