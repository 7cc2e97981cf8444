"""Holds HTTP connections: hold.py ADDRESS COUNT.  Prints "ready" and how many have had an answer. On
SIGUSR1 it asks on every connection once more and prints "answered" and of how many.
"""

import resource
import select
import signal
import socket
import sys
import time

QUESTION = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
AT_ONCE = 256
PATIENCE_S = 8


class Held:
    def __init__(self, address):
        self.address = address
        self.answer = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.connected = False
        self.begun = 0.0

    def begin(self):
        self.answer = b""
        self.begun = time.monotonic()
        if self.connected:
            self.socket.send(QUESTION)
        else:
            self.socket.connect_ex((self.address, 80))

    def go_on(self, events):
        """True when it has its answer; OSError when it never will."""
        if not self.connected:
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "connect")
            self.connected = True
            self.socket.send(QUESTION)
            return False
        if not events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return False
        part = self.socket.recv(4096)
        if not part:
            raise OSError("closed by the other end")
        self.answer += part
        return b"\r\n\r\n" in self.answer and self.answer.endswith(b"\n")


def ask(everybody):
    """Those that were answered."""
    poll = select.epoll()
    waiting, answered = {}, []
    queue = iter(everybody)
    left = True
    while left or waiting:
        while left and len(waiting) < AT_ONCE:
            one = next(queue, None)
            if one is None:
                left = False
                break
            try:
                one.begin()
            except OSError:
                continue
            waiting[one.socket.fileno()] = one
            interest = select.EPOLLIN if one.connected else select.EPOLLOUT
            poll.register(one.socket, interest)
        for fd, events in poll.poll(0.1):
            one = waiting[fd]
            was = one.connected
            try:
                done = one.go_on(events)
            except OSError:
                poll.unregister(fd)
                del waiting[fd]
                continue
            if done:
                poll.unregister(fd)
                del waiting[fd]
                answered.append(one)
            elif not was:
                poll.modify(fd, select.EPOLLIN)
        late = time.monotonic() - PATIENCE_S
        for fd in [fd for fd, one in waiting.items() if one.begun < late]:
            poll.unregister(fd)
            del waiting[fd]
    poll.close()
    return answered


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    held = ask([Held(sys.argv[1]) for _ in range(int(sys.argv[2]))])
    print("ready", len(held), flush=True)
    while True:
        signal.sigwait({signal.SIGUSR1})
        print("answered", len(ask(held)), flush=True)


main()
