#!/bin/sh
# Installs, upgrades and purges a package on a copy of this machine that nobody else sees and that is
# gone when this ends: its writes go to memory. $1: the package. $2: an empty folder.
set -e
mount -t tmpfs -o size=1g tmpfs "$2"
mkdir "$2/up" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$2/up,workdir=$2/work" "$2/root"
mount -t tmpfs tmpfs "$2/root/run"
mount -t proc proc "$2/root/proc"
mount --bind /dev "$2/root/dev"
cp "$1" "$2/root/run/sluice.deb"
chroot "$2/root" sh -ec '
  cd /run
  dpkg -i sluice.deb
  echo "version $(sluice --version)"
  sluice check -c /etc/sluice/director.yaml
  sluice errors | grep -c ERR_
  man -w 8 sluice
  man -w 5 sluice.yaml
  sluice show status || echo "show status: $?"
  /usr/lib/sluice/bin/ipvsadm -Ln || echo "ipvsadm: $?"
  systemd-analyze verify /lib/systemd/system/sluice.service && echo unit verified
  echo "# mine" >> /etc/sluice/director.yaml
  dpkg -i sluice.deb
  tail -n 1 /etc/sluice/director.yaml
  dpkg -r sluice
  ls /etc/sluice
  dpkg -P sluice
  if [ -e /usr/lib/sluice ] || [ -e /etc/sluice ]; then echo something is left; else echo nothing is left; fi
' 2>&1
