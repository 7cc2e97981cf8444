"""Echo requests to each address, at a fixed distance: probe.py PERIOD_MS SECONDS ADDRESS…

Prints "ready" after the first answers, and at the end a line of JSON: for each address its probes
in order as [sent, answered], nanoseconds of CLOCK_MONOTONIC; null: not answered.
"""

import json
import os
import select
import socket
import struct
import sys
import time

ECHO_REQUEST, ECHO_REPLY = 8, 0


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def request(ident, number):
    head = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, ident, number)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum(head), ident, number)


def main():
    period = int(float(sys.argv[1]) * 1e6)
    last = int(float(sys.argv[2]) * 1e9)
    addresses = sys.argv[3:]
    # The instrument's own delays must not be read as the directors'.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    probe = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    probe.setblocking(False)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    ident = os.getpid() & 0xFFFF
    sent = {address: [] for address in addresses}
    ready = False
    start = due = time.monotonic_ns()
    number = 0
    while (now := time.monotonic_ns()) - start < last:
        if now >= due:
            packet = request(ident, number & 0xFFFF)
            for address in addresses:
                sent[address].append([time.monotonic_ns(), None])
                try:
                    probe.sendto(packet, (address, 0))
                except OSError:
                    pass  # no route or neighbour at the moment: a probe without an answer
            number += 1
            due = max(due + period, now)
        if not select.select([probe], [], [], max(0, due - time.monotonic_ns()) / 1e9)[0]:
            continue
        try:
            data, (source, _) = probe.recvfrom(128)
        except OSError:
            continue
        arrived = time.monotonic_ns()
        kind, _, _, whose, which = struct.unpack("!BBHHH", data[20:28])
        if kind != ECHO_REPLY or whose != ident or source not in sent:
            continue
        # Numbers come round: the latest probe of that number.
        at = number - 1 - ((number - 1 - which) & 0xFFFF)
        if 0 <= at < len(sent[source]) and sent[source][at][1] is None:
            sent[source][at][1] = arrived
        if not ready and all(any(a for _, a in sent[one]) for one in addresses):
            ready = True
            print("ready", flush=True)
    print(json.dumps(sent), flush=True)


main()
