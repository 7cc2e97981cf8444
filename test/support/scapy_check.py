"""Reads pcaps with scapy and reports, one JSON line a packet, what it sees in them.

An independent dissector: every checksum is computed anew by scapy's own functions and compared
with the one in the packet, for inner (IPIP) and quoted (ICMP error) packets too where all of their
bytes are there. usage: scapy_check.py FILE.pcap...
"""
import json
import logging
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import ICMP, IP, TCP, UDP, in4_chksum  # noqa: E402
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.layers.sctp import SCTP, crc32c  # noqa: E402
from scapy.utils import RawPcapReader, checksum  # noqa: E402


def hexed(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [hexed(item) for item in value]
    return value


def option_kind(option):
    if not hasattr(option, "copy_flag"):  # padding behind the end of the list
        return 0
    return int(option.copy_flag) << 7 | int(option.optclass) << 5 | int(option.option)


def ip_facts(data, path, out):
    """data: bytes from the first byte of an IPv4 header on, possibly cut off."""
    ip = IP(data)
    header = ip.ihl * 4
    facts = {
        "at": path, "src": ip.src, "dst": ip.dst, "ttl": ip.ttl, "id": ip.id, "tos": ip.tos,
        "len": ip.len, "ihl": ip.ihl, "flags": str(ip.flags), "frag": ip.frag, "proto": ip.proto,
        "options": [{"kind": option_kind(o), "raw": bytes(o).hex()} for o in ip.options],
        "bad": [],
    }
    out.append(facts)
    if len(data) >= header and checksum(data[:header]) != 0:
        facts["bad"].append("ip")
    body = data[header:ip.len]
    complete = len(data) >= ip.len and ip.frag == 0 and not ip.flags.MF
    if ip.frag != 0:
        return
    if ip.proto == 6 and len(body) >= 20:
        tcp = TCP(body)
        facts["tcp"] = {"sport": tcp.sport, "dport": tcp.dport, "seq": tcp.seq, "ack": tcp.ack,
                        "flags": str(tcp.flags), "doff": tcp.dataofs, "window": tcp.window,
                        "options": [[str(k), hexed(v)] for k, v in tcp.options]}
        if complete:
            blank = body[:16] + b"\0\0" + body[18:]
            if in4_chksum(6, ip, blank) != tcp.chksum:
                facts["bad"].append("tcp")
    elif ip.proto == 17 and len(body) >= 8:
        udp = UDP(body)
        facts["udp"] = {"sport": udp.sport, "dport": udp.dport, "len": udp.len}
        if complete and udp.chksum != 0:
            blank = body[:6] + b"\0\0" + body[8:]
            if (in4_chksum(17, ip, blank) or 0xFFFF) != udp.chksum:
                facts["bad"].append("udp")
    elif ip.proto == 132 and len(body) >= 12:
        sctp = SCTP(body)
        facts["sctp"] = {"sport": sctp.sport, "dport": sctp.dport, "tag": sctp.tag}
        if complete and crc32c(body[:8] + bytes(4) + body[12:]) != sctp.chksum:
            facts["bad"].append("sctp")
    elif ip.proto == 1 and len(body) >= 8:
        icmp = ICMP(body)
        facts["icmp"] = {"type": icmp.type, "code": icmp.code, "mtu": getattr(icmp, "nexthopmtu", 0)}
        if complete and checksum(body) != 0:
            facts["bad"].append("icmp")
        if icmp.type in (3, 4, 5, 11, 12) and len(body) >= 28:
            ip_facts(body[8:], path + ".quote", out)
    elif ip.proto == 4 and len(body) >= 20:
        ip_facts(body, path + ".inner", out)


def main(files):
    for file in files:
        for data, _ in RawPcapReader(file):
            frame = Ether(data)
            line = {"file": file, "dst": frame.dst, "src": frame.src, "type": frame.type, "ip": []}
            if frame.type == 0x0800:
                ip_facts(data[14:], "ip", line["ip"])
            elif ARP in frame:
                arp = frame[ARP]
                line["arp"] = {"op": arp.op, "hwsrc": arp.hwsrc, "psrc": arp.psrc,
                               "hwdst": arp.hwdst, "pdst": arp.pdst}
            # What scapy's own layering makes of the frame.
            line["layers"] = [layer.__name__ for layer in frame.layers()]
            print(json.dumps(line))


main(sys.argv[1:])
