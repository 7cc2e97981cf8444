"""Plays an advert again that it has heard: replay.py INTERFACE SOURCE ROUTER_ID

Of IPsec's AH over IPv4, with the interface's own MAC. Says `heard` when it has one, and `sent` after
each SIGUSR1.
"""

import signal
import socket
import sys

ETHERNET = 14
AH_BYTES = 24
IPV4, AH, VRRP = 0x0800, 51, 112

interface, source, router_id = sys.argv[1], socket.inet_aton(sys.argv[2]), int(sys.argv[3])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(IPV4))
link.bind((interface, IPV4))


def is_wanted(frame: bytes) -> bool:
    packet = frame[ETHERNET:]
    header = (packet[0] & 15) * 4
    if packet[9] != AH or packet[12:16] != source or packet[header] != VRRP:
        return False
    return packet[header + AH_BYTES + 1] == router_id


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
while True:
    heard = link.recv(2048)
    if len(heard) > ETHERNET + 20 + AH_BYTES and is_wanted(heard):
        break
print("heard", flush=True)
mac = bytes.fromhex(open(f"/sys/class/net/{interface}/address").read().strip().replace(":", ""))
while signal.sigwait([signal.SIGUSR1]):
    link.send(heard[:6] + mac + heard[12:])
    print("sent", flush=True)
