"""Serves kdcproxy over HTTPS at the path of one tenant, as login.microsoftonline.com does: python3 cloud-proxy.py ADDRESS TENANT PEM.

Any other path is not found. `PEM` holds the key and the certificate.
"""

import socketserver
import ssl
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import kdcproxy

address, tenant, pem = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        # Here and not in accept(): a client that gives up during the handshake must not hold the others up.
        with context.wrap_socket(request, server_side=True) as channel:
            super().finish_request(channel, client_address)

    def handle_error(self, request, client_address):
        print(f"{client_address[0]}: {sys.exc_info()[1]}", file=sys.stderr, flush=True)


def application(environment, start_response):
    if environment["PATH_INFO"].rstrip("/").lower() != f"/{tenant}/kerberos":
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return [b""]
    return kdcproxy.application(environment, start_response)


class Handler(WSGIRequestHandler):
    def address_string(self):
        # Without asking DNS for a name.
        return self.client_address[0]


server = make_server(address, 443, application, Server, Handler)
print("ready", flush=True)
server.serve_forever()
