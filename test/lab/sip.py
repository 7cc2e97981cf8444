"""SIP over UDP, as much of it as a test needs.

sip.py serve WORD                       answers every request on port 5060; WORD is its Server
sip.py ask ADDRESS PORT CALL-ID FIELD   asks from PORT, and prints the Server of the answer
"""

import socket
import sys


def header(message, *names):
    for line in message.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() in names:
            return value.strip()
    return ""


def serve(word):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 5060))
        print("listening", flush=True)
        while True:
            request, client = server.recvfrom(65535)
            call = header(request.decode(), "call-id", "i")
            answer = f"SIP/2.0 200 OK\r\nCall-ID: {call}\r\nServer: {word}\r\n\r\n"
            server.sendto(answer.encode(), client)


def ask(address, port, call, field):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("0.0.0.0", int(port)))
        client.settimeout(5)
        request = f"OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {port}\r\n{field}: {call}\r\n\r\n"
        client.sendto(request.encode(), (address, 5060))
        answer = client.recv(65535).decode()
        assert header(answer, "call-id") == call
        print(header(answer, "server"))


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
