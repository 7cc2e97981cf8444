#!/usr/bin/env python3
"""A server that says whom it sees: TCP on PORT (IPv4) and PORT + 1 (dual-stack), UDP on PORT.

TCP: a JSON line with accept()'s and getpeername()'s answer; then commands of the client, a line
each: `give N` (N bytes come), `take N` (N bytes go, `taken` comes), `bye`.
UDP: `who N` is answered by the JSON line, padded to N bytes; unconnected on PORT, by a socket
connect()ed to the client (as DTLS and QUIC servers do) on PORT + 1.
"""
import json
import socket
import struct
import sys
import threading

IP_PKTINFO = 8
PORT = int(sys.argv[1])
BLOCK = b"0123456789abcdef" * 4096


def serve(peer, address):
    line = {"accept": address[:2], "getpeername": peer.getpeername()[:2],
            "local": peer.getsockname()[:2]}
    print(json.dumps(line), flush=True)
    with peer, peer.makefile("rb") as lines:
        peer.sendall(json.dumps(line).encode() + b"\n")
        for command in lines:
            words = command.split()
            if words[0] == b"give":
                left = int(words[1])
                while left > 0:
                    left -= peer.send(BLOCK[:min(left, len(BLOCK))])
            elif words[0] == b"take":
                left = int(words[1])
                while left > 0:
                    left -= len(lines.read(min(left, 65536))) or left
                peer.sendall(b"taken\n")
            else:
                return


def listen(family, port):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("", port))
    sock.listen(64)
    while True:
        peer, address = sock.accept()
        threading.Thread(target=serve, args=(peer, address), daemon=True).start()


def answer(data, address, tos=None):
    size = int(data.split()[1]) if len(data.split()) > 1 else 0
    return json.dumps({"from": address, "tos": tos, "got": len(data)}).encode().ljust(size)


def udp():
    """Answers from the address asked, as a server of many addresses must (the VIP, in TUN)."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    sock.bind(("", PORT))
    while True:
        data, ancillary, _, address = sock.recvmsg(65535, 256)
        told = {kind: value for _, kind, value in ancillary}
        asked = told[IP_PKTINFO][8:12]  # in_pktinfo: interface, routing answer, destination
        tos = told[socket.IP_TOS][0]
        info = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 0, asked, bytes(4)))
        sock.sendmsg([answer(data, address, tos)], [info], 0, address)


def converse(peer, data):
    """From its first answer on the connected socket gets the client's datagrams."""
    peer.settimeout(30)
    while data:
        peer.send(answer(data, peer.getpeername()))
        try:
            data = peer.recv(65535)
        except OSError:
            return


def connected_udp():
    first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    first.bind(("", PORT + 1))
    while True:
        data, address = first.recvfrom(65535)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        peer.bind(("", PORT + 1))
        peer.connect(address)
        threading.Thread(target=converse, args=(peer, data), daemon=True).start()


for target, args in ((listen, (socket.AF_INET6, PORT + 1)), (udp, ()), (connected_udp, ())):
    threading.Thread(target=target, args=args, daemon=True).start()
listen(socket.AF_INET, PORT)
