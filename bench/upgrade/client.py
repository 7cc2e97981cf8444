"""What a client sees of a director while it is upgraded: HTTP connections that are held and asked again
and again, new ones all the time, and a paced UDP stream of DNS queries with sequence numbers.

  client.py HELD RATE VIP...

HELD connections a VIP; RATE queries a second to each, 0: none. Prints `ready` when all are held, runs
until SIGUSR1, and prints one JSON object a VIP.
"""
import asyncio
import json
import os
import select
import signal
import socket
import struct
import sys
import time

HELD, RATE, VIPS = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
ASK_SECONDS, NEW_SECONDS = 0.2, 0.1
# Retransmissions are a client's right; after so long it would give up.
ANSWER_SECONDS = 20
GRACE_SECONDS = 2


def query(number):
    name = b"\x06whoami\x07example\x00"
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 16, 1)


def stream(vip, report):
    """One flow at RATE queries a second, in a process of its own; its figures go into a pipe."""
    stopped = []
    signal.signal(signal.SIGUSR1, lambda *_: stopped.append(time.monotonic()))
    udp = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect((vip, 53))
    udp.setblocking(False)
    begun = last = time.monotonic()
    # A frame that both processes took is answered twice, and counts once.
    sent_at, answered = [], set()
    gap = late = 0.0
    while not stopped or time.monotonic() - stopped[0] < GRACE_SECONDS:
        now = time.monotonic()
        due = begun + len(sent_at) / RATE
        if not stopped and now >= due and len(sent_at) < 65536:
            try:
                udp.send(query(len(sent_at)))
            except OSError:
                pass  # an ICMP error about one before: that one counts as lost
            sent_at.append(now)
            continue
        try:
            if not select.select([udp], [], [], max(0.0, min(due - now, 0.05)))[0]:
                continue
            number = struct.unpack("!H", udp.recv(512)[:2])[0]
        except (OSError, InterruptedError):
            continue
        now = time.monotonic()
        if answered and not stopped:
            gap = max(gap, now - last)
        last = now
        late = max(late, now - sent_at[number])
        answered.add(number)
    figures = {"sent": len(sent_at), "answered": len(answered), "gapMs": gap * 1000, "lateMs": late * 1000}
    os.write(report, json.dumps(figures).encode())
    os._exit(0)


class Vip:
    def __init__(self, address):
        self.address = address
        self.held = self.broken = self.asked = 0
        self.new = self.failed = 0
        self.why = ""

    async def ask(self, reader, writer, keep):
        connection = "keep-alive" if keep else "close"
        writer.write(f"GET / HTTP/1.1\r\nHost: lab\r\nConnection: {connection}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.decode())

    async def hold(self, ready, stop):
        try:
            reader, writer = await asyncio.open_connection(self.address, 80)
            await self.ask(reader, writer, True)
            self.held += 1
            ready()
            while not stop.is_set():
                await asyncio.sleep(ASK_SECONDS)
                await asyncio.wait_for(self.ask(reader, writer, True), ANSWER_SECONDS)
                self.asked += 1
            writer.close()
        except Exception as error:  # noqa: BLE001: whatever it is, the connection is lost
            self.broken += 1
            self.why = self.why or repr(error)

    async def connect(self, stop):
        while not stop.is_set():
            self.new += 1
            try:
                await asyncio.wait_for(self.once(), ANSWER_SECONDS)
            except Exception as error:  # noqa: BLE001
                self.failed += 1
                self.why = self.why or repr(error)
            await asyncio.sleep(NEW_SECONDS)

    async def once(self):
        reader, writer = await asyncio.open_connection(self.address, 80)
        await self.ask(reader, writer, False)
        writer.close()


async def run(streams):
    stop, all_held = asyncio.Event(), asyncio.Event()
    vips = [Vip(address) for address in VIPS]
    missing = HELD * len(vips)

    def ready():
        nonlocal missing
        missing -= 1
        if missing == 0:
            all_held.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, stop.set)
    held = [asyncio.ensure_future(vip.hold(ready, stop)) for vip in vips for _ in range(HELD)]
    new = [asyncio.ensure_future(vip.connect(stop)) for vip in vips]
    await all_held.wait()
    print("ready", flush=True)
    await asyncio.gather(*held, *new)
    for vip, (pid, pipe) in zip(vips, streams):
        figures = {"vip": vip.address, "held": vip.held, "broken": vip.broken, "asked": vip.asked}
        figures |= {"new": vip.new, "failed": vip.failed, "why": vip.why, "udp": None}
        if pid:
            os.kill(pid, signal.SIGUSR1)
            figures["udp"] = json.loads(os.read(pipe, 4096))
        print(json.dumps(figures), flush=True)


def start_stream(vip):
    if RATE == 0:
        return 0, -1
    pipe, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        stream(vip, report)
    os.close(report)
    return pid, pipe


signal.signal(signal.SIGUSR1, signal.SIG_IGN)
asyncio.run(run([start_stream(vip) for vip in VIPS]))
