#!/usr/bin/env python3
"""A client for server.py. Prints one JSON line.

  client.py tcp ADDRESS PORT [--from PORT] [--give N] [--take N] [--wait S] [--hold S]
  client.py udp ADDRESS PORT [--from PORT] [--size N] [--send N] [--times N] [--warm]
"""
import argparse
import json
import socket
import time

parser = argparse.ArgumentParser()
parser.add_argument("protocol", choices=["tcp", "udp"])
parser.add_argument("address")
parser.add_argument("port", type=int)
parser.add_argument("--from", dest="source", type=int, default=0)
parser.add_argument("--give", type=int, default=0)
parser.add_argument("--take", type=int, default=0)
parser.add_argument("--size", type=int, default=0)
parser.add_argument("--send", type=int, default=0)
parser.add_argument("--tos", type=int, default=0)
parser.add_argument("--warm", action="store_true")
parser.add_argument("--times", type=int, default=1)
parser.add_argument("--timeout", type=float, default=5)
parser.add_argument("--wait", type=float, default=0)
parser.add_argument("--hold", type=float, default=0)
args = parser.parse_args()


def tcp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(args.timeout)
    sock.bind(("", args.source))
    sock.connect((args.address, args.port))
    lines = sock.makefile("rb")
    seen = json.loads(lines.readline())
    result = {"own": sock.getsockname(), "seen": seen}
    time.sleep(args.wait)
    start = time.monotonic()
    if args.give:
        sock.sendall(b"give %d\n" % args.give)
        result["given"] = 0
        while result["given"] < args.give:
            got = lines.read1(65536)
            if not got:
                break
            result["given"] += len(got)
    if args.take:
        sock.sendall(b"take %d\n" % args.take)
        sock.sendall(bytes(args.take))
        result["taken"] = lines.readline().strip() == b"taken"
    result["seconds"] = time.monotonic() - start
    time.sleep(args.hold)
    sock.sendall(b"bye\n")
    return result


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(args.timeout)
    sock.bind(("", args.source))
    sock.connect((args.address, args.port))
    result = {"own": sock.getsockname(), "seen": [], "bytes": [], "tos": [], "got": []}
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, args.tos)
    if args.warm:
        sock.send(b"who")
        sock.recv(65535)
    for _ in range(args.times):
        sock.send((b"who %d " % args.size).ljust(args.send))
        answer = sock.recv(65535)
        said = json.loads(answer)
        result["seen"].append(said["from"])
        result["tos"].append(said["tos"])
        result["got"].append(said["got"])
        result["bytes"].append(len(answer))
    return result


try:
    print(json.dumps(tcp() if args.protocol == "tcp" else udp()))
except OSError as error:
    print(json.dumps({"error": error.strerror or str(error), "errno": error.errno}))
