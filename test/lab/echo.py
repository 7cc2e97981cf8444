"""A program beside a director: echo.py WORD  Answers every line on TCP port 7007 with WORD and it."""

import socket
import socketserver
import sys


class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(sys.argv[1].encode() + b" " + line)


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


with Server(("::", 7007), Answer) as server:
    print("listening", flush=True)
    server.serve_forever()
