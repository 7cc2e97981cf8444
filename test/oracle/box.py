"""Holds one User-Mode-Linux and its two TAPs, and plays frames into them.

Runs inside fresh network, PID and mount namespaces, as their process 1 (see uml.ts): when it ends
for whatever reason, the kernel ends everything in them, and TAPs and temporary files with it.
Requests and answers are JSON, one a line, on stdin and stdout.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SOL_PACKET = 263
PACKET_AUXDATA = 8
TP_STATUS_CSUMNOTREADY = 8
PORTS = ("front", "back")
PROBE = b"sluice oracle barrier"


def run(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


class Console:
    """The guest's console: one command in, its output and status out."""

    def __init__(self, arguments):
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.pending = b""

    def answer(self, seconds):
        lines = []
        end = time.monotonic() + seconds
        while True:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                text = line.decode("utf-8", "replace").rstrip("\r")
                if text.startswith("@@ "):
                    return int(text[3:]), "\n".join(lines).rstrip("\n")
                lines.append(text)
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError("no answer from the guest after: " + "\n".join(lines[-20:]))
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise EOFError("the guest ended: " + "\n".join(lines[-20:]))
            self.pending += data

    def command(self, line, seconds=20):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.answer(seconds)


class Box:
    def __init__(self, request):
        self.probes = {}
        self.sequence = 0
        self.kicks = 0
        run("ip", "link", "set", "lo", "up")
        self.sockets = {}
        for port in PORTS:
            run("ip", "tuntap", "add", port, "mode", "tap")
            # Nothing of this namespace's own kernel may reach the guest: no IPv6, no ARP.
            with open(f"/proc/sys/net/ipv6/conf/{port}/disable_ipv6", "w") as file:
                file.write("1")
            run("ip", "link", "set", port, "arp", "off", "mtu", "9000", "up")
            handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            handle.bind((port, ETH_P_ALL))
            handle.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            handle.setblocking(False)
            self.sockets[port] = handle
        run("mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", "/run")
        shutil.copy(request["init"], "/run/init")
        os.chmod("/run/init", 0o755)
        os.environ["TMPDIR"] = "/run"
        self.console = Console(
            [
                "linux.uml", "mem=" + request["memory"], "rootfstype=hostfs", "rootflags=/", "ro",
                "quiet", "loglevel=1", "init=/run/init", "uml_dir=/run/uml",
                "vec0:transport=tap,ifname=front,depth=128,gro=0",
                "vec1:transport=tap,ifname=back,depth=128,gro=0",
                "con=null", "con0=fd:0,fd:1", "ssl=null",
            ]
        )
        self.console.answer(60)

    def barrier(self, request):
        """Learns the echo request a port, whose answer marks the end of a frame's consequences."""
        for port, probe in request["probes"].items():
            self.probes[port] = {key: bytes.fromhex(value) for key, value in probe.items()}

    def probe(self, port):
        at = self.probes[port]
        body = self.sequence.to_bytes(4, "big") + PROBE
        icmp = b"\x08\0\0\0\x53\x4c\0\0" + body
        icmp = icmp[:2] + checksum(icmp) + icmp[4:]
        ip = b"\x45\0" + (20 + len(icmp)).to_bytes(2, "big") + b"\0\0\0\0\x40\x01\0\0"
        ip += at["source"] + at["destination"]
        ip = ip[:10] + checksum(ip) + ip[12:]
        return at["destinationMac"] + at["sourceMac"] + b"\x08\0" + ip + icmp

    def play(self, frames):
        """One frame, then an echo on both ports: each port is first in, first out inside the guest,
        so what left before both answers is the frame's, however slow the machine is."""
        results = []
        for frame in [None, *frames]:
            self.sequence += 1
            if frame is not None:
                self.sockets[frame["port"]].send(bytes.fromhex(frame["hex"]))
            waiting = set(PORTS)
            sent = []
            for port in PORTS:
                self.sockets[port].send(self.probe(port))
            end = time.monotonic() + 10
            while waiting:
                ready = select.select(list(self.sockets.values()), [], [], 0.2)[0]
                if not ready and time.monotonic() > end:
                    raise TimeoutError(f"no echo from the guest on {sorted(waiting)}")
                if not ready:
                    # The guest's driver now and then sleeps on a queue until the next frame.
                    self.kicks += 1
                    for port in waiting:
                        self.sockets[port].send(self.probe(port))
                for port, handle in self.sockets.items():
                    if handle in ready:
                        self.drain(port, handle, sent, waiting)
            results.append(sent)
        return results[1:]

    def listen(self, seconds):
        """What the guest sends by itself."""
        sent = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = max(end - time.monotonic(), 0)
            ready = select.select(list(self.sockets.values()), [], [], min(left, 0.2))[0]
            for port, handle in self.sockets.items():
                if handle in ready:
                    self.drain(port, handle, sent, set())
            for port in PORTS:
                self.sockets[port].send(self.probe(port))  # as a kick, see play()
        return sent

    def drain(self, port, handle, sent, waiting):
        while True:
            try:
                data, extra, _, address = handle.recvmsg(65536, 256)
            except BlockingIOError:
                return
            if address[2] == PACKET_OUTGOING:
                continue
            if PROBE in data and data[14:15] == b"\x45" and data[23] == 1 and data[34] == 0:
                if int.from_bytes(data[42:46], "big") == self.sequence:
                    waiting.discard(port)
                continue
            status = int.from_bytes(extra[0][2][:4], sys.byteorder) if extra else 0
            partial = bool(status & TP_STATUS_CSUMNOTREADY)
            sent.append({"port": port, "hex": data.hex(), "partial": partial})

    def close(self):
        self.console.process.kill()
        self.console.process.wait()


def main():
    box = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "boot":
                box = Box(request)
                answer = {}
            elif request["do"] == "barrier":
                box.barrier(request)
                answer = {}
            elif request["do"] == "command":
                status, output = box.console.command(request["line"])
                answer = {"status": status, "output": output}
            elif request["do"] == "listen":
                answer = {"frames": [box.listen(request["seconds"])]}
            else:
                answer = {"frames": box.play(request["frames"]), "kicks": box.kicks}
        except Exception as error:  # told to the caller, which decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    if box:
        box.close()


main()
