#!/usr/bin/env python3
"""A capture as JSON lines, read by scapy, which checks every checksum independently of us."""
import json
import struct
import sys

from scapy.all import ICMP, IP, TCP, UDP, PcapReader, in4_chksum, raw
from scapy.utils import checksum


def transport(ip, entry):
    layer = ip[TCP] if TCP in ip else ip[UDP]
    data = bytes(ip)[ip.ihl * 4:ip.len]
    entry.update(sport=layer.sport, dport=layer.dport)
    if ip.frag or "MF" in ip.flags:
        return
    at = 16 if TCP in ip else 6
    zero = UDP in ip and layer.chksum == 0
    blank = data[:at] + b"\0\0" + data[at + 2:]
    good = in4_chksum(ip.proto, ip, blank) or (0xFFFF if UDP in ip else 0)
    entry["l4Good"] = zero or layer.chksum == good
    if TCP in ip:
        entry.update(flags=str(layer.flags), bytes=len(data) - layer.dataofs * 4,
                     options=[[str(kind), value if isinstance(value, int) else str(value)]
                              for kind, value in layer.options])
    else:
        entry["bytes"] = len(data) - 8


def entry_of(frame):
    ip = frame[IP]
    head = bytes(ip)[:ip.ihl * 4]
    entry = {"src": ip.src, "dst": ip.dst, "protocol": ip.proto, "ttl": ip.ttl, "tos": ip.tos,
             "ihl": ip.ihl, "length": ip.len, "fragment": ip.frag, "more": "MF" in ip.flags,
             "ipGood": checksum(head) == 0}
    if ip.frag == 0 and ip.proto in (6, 17):
        transport(ip, entry)
    elif ip.frag == 0 and ip.proto == 1:
        message = bytes(ip)[ip.ihl * 4:ip.len]
        entry.update(icmp=[message[0], message[1]], l4Good=checksum(message) == 0)
        if message[0] in (3, 4, 11, 12):
            quoted = message[8:]
            words = (quoted[0] & 15) * 4
            sport, dport = struct.unpack("!HH", quoted[words:words + 4])
            entry["quoted"] = {
                "src": ".".join(map(str, quoted[12:16])), "dst": ".".join(map(str, quoted[16:20])),
                "sport": sport, "dport": dport, "protocol": quoted[9],
                "ipGood": checksum(quoted[:words]) == 0}
            length = struct.unpack("!H", quoted[2:4])[0]
            if quoted[9] == 17 and len(quoted) >= length:
                inner = IP(quoted[:length])
                check = {}
                transport(inner, check)
                entry["quoted"]["l4Good"] = check.get("l4Good")
    return entry


for each in PcapReader(sys.argv[1]):
    if IP in each:
        print(json.dumps(entry_of(each)))
