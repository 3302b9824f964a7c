"""Servers whose TLS is wrong in one way each: `PORT MODE CERTIFICATE KEY VERSION`..., where MODE is "ldaps" or "starttls"
and VERSION the only one spoken ("1.1", "1.2", or "any"). Nothing stands behind them: a client that gets through the
handshake is told so by a log line, and by silence.
"""
import socket
import ssl
import sys
import threading

GRANTED = bytes.fromhex("300c02010178070a010004000400")
VERSIONS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2}


def context(certificate, key, version):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("DEFAULT@SECLEVEL=0")
    made.load_cert_chain(certificate, key)
    if version in VERSIONS:
        made.minimum_version = made.maximum_version = VERSIONS[version]
    return made


def talk(client, mode, made, port):
    try:
        if mode == "starttls":
            client.recv(1024)
            client.sendall(GRANTED)
        with made.wrap_socket(client, server_side=True) as inside:
            print(f"{port}: a handshake succeeded", flush=True)
            inside.recv(1)
    except OSError as error:
        print(f"{port}: {error}", flush=True)


def serve(listener, mode, made, port):
    while True:
        client, _ = listener.accept()
        client.settimeout(10)
        threading.Thread(target=talk, args=(client, mode, made, port), daemon=True).start()


words = sys.argv[1:]
threads = []
for at in range(0, len(words), 5):
    port, mode, certificate, key, version = words[at : at + 5]
    listener = socket.create_server(("10.53.0.10", int(port)))
    threads.append(threading.Thread(target=serve, args=(listener, mode, context(certificate, key, version), port)))
for thread in threads:
    thread.start()
print("ready", flush=True)
