"""A real server's end of an IPv6 tunnel where the kernel has no ip6tnl: takes IPv6 in IPv6 from a
raw socket and hands what is inside to the kernel by a TUN device. Prints a line when it listens.
"""
import fcntl
import socket
import struct
import subprocess

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

device = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"six0", IFF_TUN | IFF_NO_PI))
subprocess.run(["ip", "link", "set", "six0", "up"], check=True)
outer = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 41)
print("listening", flush=True)
while True:
    device.write(outer.recv(65536))
