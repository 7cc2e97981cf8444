"""A real server's end of an IPv6 tunnel where the kernel has no ip6tnl: takes IPv6 and IPv4 in IPv6
from raw sockets and hands what is inside to the kernel by a TUN device. Prints a line when it listens.
"""
import fcntl
import select
import socket
import struct
import subprocess

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

device = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"six0", IFF_TUN | IFF_NO_PI))
subprocess.run(["ip", "link", "set", "six0", "up"], check=True)
IPV6_IN_IP, IPV4_IN_IP = 41, 4
outer = [socket.socket(socket.AF_INET6, socket.SOCK_RAW, inside) for inside in (IPV6_IN_IP, IPV4_IN_IP)]
print("listening", flush=True)
while True:
    for ready in select.select(outer, [], [])[0]:
        device.write(ready.recv(65536))
