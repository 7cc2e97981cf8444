#!/usr/bin/env python3
"""A director of the simplest kind, for tests of the real server's agent without our dataplane.

It takes frames from two packet sockets, does TUN, FullNAT and ENAT one packet at a time, and
recomputes checksums from nothing. PACKET_VNET_HDR gives it a local kernel's frames as they are,
partial checksums and segments of 64 KB included, and hands them on as such: the agent meets what
it would meet on a virtual machine. Prints a JSON line for each flow.

  director.py '{"front": "f0", "back": "b0", "answers": {"f0": [...], "b0": [...]},
               "router": MAC, "servers": {RIP: MAC}, "dip": ..., "local": [...],
               "services": [{"protocol": 6, "listen": [VIP, port], "mode": "enat",
                             "server": [RIP, port], "source": "vip"}]}'
"""
import json
import select
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
NEEDS_CSUM, MTU = 1, 1500
TCP, UDP, ICMP, IPIP = 6, 17, 1, 4
FIN, SYN, RST, ACK = 1, 2, 4, 16


def pack(address):
    return socket.inet_aton(address)


def text(address):
    return socket.inet_ntoa(address)


def mac(words):
    return bytes.fromhex(words.replace(":", ""))


def total(data):
    """One's complement sum of 16-bit words (RFC 1071): the number modulo 2^16 - 1."""
    if len(data) % 2:
        data += b"\0"
    return int.from_bytes(data, "big") % 0xFFFF


def checksum(data):
    return 0xFFFF - total(data)


class Packet:
    """Ethernet, IPv4 and what follows; `partial` is (gso_type, gso_size) of a partial checksum."""

    def __init__(self, frame):
        flags, gso_type, _, gso_size, _, _ = struct.unpack("<BBHHHH", frame[:10])
        self.source_mac, self.ethertype = frame[16:22], frame[22:24]
        ip = frame[24:]
        self.good = self.ethertype == b"\x08\x00" and len(ip) >= 20 and ip[0] >> 4 == 4
        if not self.good:
            return
        words = (ip[0] & 15) * 4
        self.tos, length, self.id, self.fragment, self.ttl, self.protocol = struct.unpack(
            "!xBHHHBB", ip[:10])
        self.source, self.destination = ip[12:16], ip[16:20]
        self.options = ip[20:words]
        self.l4 = bytearray(ip[words:length or len(ip)])
        self.partial = bool(flags & NEEDS_CSUM)
        self.gso = (gso_type, gso_size)

    def ports(self):
        return struct.unpack("!HH", self.l4[:4])

    def later(self):
        return (self.fragment & 0x1FFF) != 0

    def bytes(self):
        """vnet header and IPv4 packet with every checksum made anew."""
        gso_type, gso_size = self.gso
        vnet = bytes(10)
        ihl = 20 + len(self.options)
        at = {TCP: 16, UDP: 6}.get(self.protocol)
        if at is not None and not self.later() and not self.fragment & 0x2000:
            self.l4[at:at + 2] = b"\0\0"
            pseudo = self.source + self.destination + struct.pack(
                "!BBH", 0, self.protocol, len(self.l4))
            if self.partial:
                self.l4[at:at + 2] = struct.pack("!H", total(pseudo))
                head = (self.l4[12] >> 4) * 4 if self.protocol == TCP else 8
                vnet = struct.pack("<BBHHHH", NEEDS_CSUM, gso_type,
                                   14 + ihl + head if gso_type else 0, gso_size, 14 + ihl, at)
            else:
                self.l4[at:at + 2] = struct.pack("!H", checksum(pseudo + self.l4) or 0xFFFF)
        elif self.protocol == ICMP:
            self.l4[2:4] = b"\0\0"
            self.l4[2:4] = struct.pack("!H", checksum(bytes(self.l4)))
        header = bytearray(struct.pack(
            "!BBHHHBBH4s4s", 0x40 | ihl // 4, self.tos, ihl + len(self.l4), self.id, self.fragment,
            self.ttl, self.protocol, 0, self.source, self.destination) + self.options)
        header[10:12] = struct.pack("!H", checksum(bytes(header)))
        return vnet, bytes(header) + bytes(self.l4)


class Flow:
    def __init__(self, service, client, lip, lport):
        self.service, self.client, self.lip, self.lport = service, client, lip, lport
        self.packets, self.isn1, self.fragments = 0, None, set()


class Director:
    def __init__(self, config):
        self.config = config
        self.dip = pack(config["dip"])
        self.local = [pack(each) for each in config["local"]]
        self.router = mac(config["router"])
        self.servers = {pack(rip): mac(each) for rip, each in config["servers"].items()}
        self.toa_kind = config.get("toaKind", 254)
        self.udp_marks = config.get("udpMarks", 3)
        self.services = {}
        for service in config["services"]:
            vip, vport = service["listen"]
            service["rip"], service["rport"] = pack(service["server"][0]), service["server"][1]
            self.services[(service["protocol"], pack(vip), vport)] = service
        self.vips = {key[1] for key in self.services}
        self.flows, self.back_flows, self.reported = {}, {}, set()
        self.next_port = config.get("firstPort", 20000)
        self.sockets, self.macs, self.answers = {}, {}, {}
        for side in ("front", "back"):
            name = config[side]
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            sock.bind((name, 0))
            self.sockets[side] = sock
            self.macs[side] = sock.getsockname()[4]
            self.answers[side] = {pack(each) for each in config["answers"][side]}

    def send(self, side, to, packet):
        vnet, ip = packet.bytes()
        self.raw(side, to, ip, vnet)

    def raw(self, side, to, ip, vnet=bytes(10)):
        try:
            self.sockets[side].send(vnet + to + self.macs[side] + b"\x08\x00" + ip)
        except OSError as error:
            print(json.dumps({"error": str(error), "bytes": len(ip)}), flush=True)

    def arp(self, side, frame):
        arp = frame[24:52]
        if arp[6:8] != b"\0\1" or arp[24:28] not in self.answers[side]:
            return
        own = self.macs[side]
        reply = arp[:6] + b"\0\2" + own + arp[24:28] + arp[8:18]
        self.sockets[side].send(bytes(10) + arp[8:14] + own + b"\x08\x06" + reply)

    def flow(self, packet):
        source_port, port = packet.ports()
        service = self.services.get((packet.protocol, packet.destination, port))
        if not service:
            return None
        key = (packet.protocol, packet.source, source_port, packet.destination, port)
        if key not in self.flows or service.get("fresh"):
            lip = packet.destination if service.get("source") == "vip" else self.local[
                self.next_port % len(self.local)]
            flow = Flow(service, (packet.source, source_port), lip, self.next_port)
            self.next_port += 1
            self.flows[key] = flow
            self.back_flows[(packet.protocol, lip, flow.lport)] = (flow, packet.destination, port)
            print(json.dumps({"flow": [text(packet.source), source_port],
                              "local": [text(lip), flow.lport], "mode": service["mode"]}),
                  flush=True)
        return self.flows[key]

    def tcp_options(self, packet, flow):
        flags, acknowledged = packet.l4[13], struct.unpack("!I", packet.l4[8:12])[0]
        if flow.isn1 is None and not flags & SYN:
            flow.isn1 = acknowledged  # the client's first ACK
        if flags & SYN and not self.config.get("markSyn", True):
            return b""
        if not flags & SYN and (flags & RST or acknowledged != flow.isn1):
            return b""
        cip, cport = flow.client
        option = struct.pack("!BBH4s", self.toa_kind, 8, cport, cip)
        if flow.service["mode"] == "enat":
            vip, vport = flow.service.get("tell", flow.service["listen"])
            option += struct.pack("!BBHH4sBB", 253, 10, 0x534C, vport, pack(vip), 1, 1)
        option += bytes.fromhex(self.config.get("clientOptions", ""))  # the client's own, behind
        if (packet.l4[12] >> 4) * 4 + len(option) > 60:
            return b""
        if not packet.gso[0] and 20 + len(packet.l4) + len(option) > MTU:
            return b""
        return option

    def udp_options(self, packet, flow):
        enat = flow.service["mode"] == "enat"
        if flow.packets >= self.udp_marks and not (enat and flow.packets % 32 == 0):
            return b""
        cip, cport = flow.client
        option = struct.pack("!BBH4s", 31, 8, cport, cip)
        if enat:
            vip, vport = flow.service["listen"]
            option += struct.pack("!BBH4s", 94, 8, vport, pack(vip))
        return option if 20 + len(packet.l4) + len(option) <= MTU else b""

    def tunnel(self, packet, service):
        packet.ttl -= 1
        _, inner = packet.bytes()
        outer = bytearray(struct.pack(
            "!BBHHHBBH4s4s", 0x45, self.config.get("outerTos", packet.tos), 20 + len(inner), 0, 0x4000, packet.ttl, IPIP, 0,
            self.dip, service["rip"]))
        outer[10:12] = struct.pack("!H", checksum(bytes(outer)))
        self.raw("back", self.servers[service["rip"]], bytes(outer) + inner)

    def request(self, packet):
        if packet.later():
            for flow in self.flows.values():
                if (packet.source, packet.id) in flow.fragments:
                    self.translate(packet, flow)
            return
        if packet.protocol == ICMP:
            self.error_of_client(packet)
            return
        flow = self.flow(packet) if packet.protocol in (TCP, UDP) else None
        if not flow:
            return
        if flow.service["mode"] == "tun":
            self.tunnel(packet, flow.service)
            return
        if packet.fragment & 0x2000:
            flow.fragments.add((packet.source, packet.id))
        if flow.service.get("clientAddress", True):
            if packet.protocol == TCP:
                option = self.tcp_options(packet, flow)
                packet.l4[20:20] = option
                packet.l4[12] += len(option) // 4 << 4
            else:
                packet.options = self.udp_options(packet, flow) + packet.options
        flow.packets += 1
        packet.l4[:4] = struct.pack("!HH", flow.lport, flow.service["rport"])
        if packet.fragment & 0x2000:
            self.fix_fragmented(packet, flow)
        self.translate(packet, flow)

    def fix_fragmented(self, packet, flow):
        """The checksum of the whole datagram, carried on by difference (RFC 1624)."""
        at = 6
        old = struct.unpack("!H", packet.l4[at:at + 2])[0]
        if old == 0:
            return
        cip, cport = flow.client
        vip, vport = flow.service["listen"]
        before = total(cip + pack(vip) + struct.pack("!HH", cport, vport))
        after = total(flow.lip + flow.service["rip"] + struct.pack(
            "!HH", flow.lport, flow.service["rport"]))
        new = (0xFFFF - old - before + after) % 0xFFFF
        packet.l4[at:at + 2] = struct.pack("!H", 0xFFFF - new)

    def translate(self, packet, flow):
        packet.source, packet.destination = flow.lip, flow.service["rip"]
        packet.ttl -= 1
        self.send("back", self.servers[flow.service["rip"]], packet)

    def error_of_client(self, packet):
        """An ICMP error about a reply: it quotes VIP → CIP, the server is told RIP → LIP."""
        if packet.l4[0] not in (3, 11, 12) or len(packet.l4) < 36:
            return
        quoted = packet.l4[8:]
        ihl = (quoted[0] & 15) * 4
        vport, cport = struct.unpack("!HH", quoted[ihl:ihl + 4])
        key = (quoted[9], bytes(quoted[16:20]), cport, bytes(quoted[12:16]), vport)
        flow = self.flows.get(key)
        if not flow:
            return
        rip = flow.service["rip"]
        if flow.service["mode"] == "tun":
            self.tunnel(packet, flow.service)
            return
        quoted[12:20] = rip + flow.lip
        quoted[ihl:ihl + 4] = struct.pack("!HH", flow.service["rport"], flow.lport)
        quoted[10:12] = b"\0\0"
        quoted[10:12] = struct.pack("!H", checksum(bytes(quoted[:ihl])))
        packet.l4[8:] = quoted
        packet.destination = rip
        self.send("back", self.servers[rip], packet)

    def reply(self, packet):
        if packet.later():
            for flow, vip, _ in list(self.back_flows.values()):
                if (packet.source, packet.id) in flow.fragments:
                    packet.source, packet.destination = vip, flow.client[0]
                    packet.ttl -= 1
                    self.send("front", self.router, packet)
            return
        if packet.protocol == ICMP:
            self.error_of_server(packet)
            return
        if packet.protocol not in (TCP, UDP):
            return
        rport, port = packet.ports()
        found = self.back_flows.get((packet.protocol, packet.destination, port))
        if not found:
            return
        flow, vip, vport = found
        if packet.fragment & 0x2000:
            flow.fragments.add((packet.source, packet.id))
            old = struct.unpack("!H", packet.l4[6:8])[0]
            before = total(packet.source + packet.destination + struct.pack("!HH", rport, port))
            after = total(vip + flow.client[0] + struct.pack("!HH", vport, flow.client[1]))
            packet.l4[6:8] = struct.pack("!H", 0xFFFF - (0xFFFF - old - before + after) % 0xFFFF)
        packet.l4[:4] = struct.pack("!HH", vport, flow.client[1])
        packet.source, packet.destination = vip, flow.client[0]
        packet.ttl -= 1
        self.send("front", self.router, packet)

    def error_of_server(self, packet):
        """An ICMP error about a request: it quotes LIP → RIP, the client is told CIP → VIP."""
        if packet.l4[0] not in (3, 11, 12) or len(packet.l4) < 36:
            return
        quoted = packet.l4[8:]
        ihl = (quoted[0] & 15) * 4
        lport, _ = struct.unpack("!HH", quoted[ihl:ihl + 4])
        found = self.back_flows.get((quoted[9], bytes(quoted[12:16]), lport))
        if not found:
            return
        flow, vip, vport = found
        quoted[12:20] = flow.client[0] + vip
        quoted[ihl:ihl + 4] = struct.pack("!HH", flow.client[1], vport)
        quoted[10:12] = b"\0\0"
        quoted[10:12] = struct.pack("!H", checksum(bytes(quoted[:ihl])))
        packet.l4[8:] = quoted
        packet.source, packet.destination = vip, flow.client[0]
        self.send("front", self.router, packet)

    def run(self):
        print(json.dumps({"ready": True}), flush=True)
        sides = {self.sockets[side]: side for side in self.sockets}
        while True:
            for sock in select.select(list(sides), [], [])[0]:
                frame = sock.recv(80000)
                side = sides[sock]
                if frame[22:24] == b"\x08\x06":
                    self.arp(side, frame)
                    continue
                packet = Packet(frame)
                if not packet.good:
                    continue
                if side == "front" and packet.destination in self.vips:
                    self.request(packet)
                elif side == "back" and packet.destination in self.answers[side]:
                    self.reply(packet)


Director(json.loads(sys.argv[1])).run()
