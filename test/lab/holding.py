"""Holds HTTP connections: holding.py COUNT VIP…  On each SIGUSR1 it asks once more on every
connection, and prints a line for each VIP: VIP ANSWERED OF, and a reason where one failed."""

import signal
import socket
import sys


def ask(held, wait):
    held.settimeout(wait)
    held.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"\n"):
        part = held.recv(4096)
        if not part:
            raise OSError("closed by the other end")
        answer += part


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    count, vips = int(sys.argv[1]), sys.argv[2:]
    held = {vip: [] for vip in vips}
    for vip in vips:
        for _ in range(count):
            connection = socket.create_connection((vip, 80), timeout=10)
            ask(connection, 10)
            held[vip].append(connection)
    print("ready", flush=True)
    while True:
        signal.sigwait({signal.SIGUSR1})
        for vip in vips:
            answered, reason = 0, ""
            for connection in held[vip]:
                try:
                    ask(connection, 8)
                    answered += 1
                except OSError as error:
                    reason = str(error) or type(error).__name__
            print(vip, answered, count, reason, flush=True)
        print("done", flush=True)


main()
