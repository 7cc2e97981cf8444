#!/bin/sh
# Runs as process 1 inside User-Mode-Linux, over the host's root, read-only. Reads one shell
# command a line from the console and answers with its output, a line feed and a line "@@ STATUS".
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc none /proc
stty raw -echo </dev/console
mount -t sysfs none /sys
mount -t tmpfs none /run
mkdir -p /run/root/lib
ln -s /usr/lib/uml/modules /run/root/lib/modules
printf '\n@@ 0\n'
while IFS= read -r line; do
  eval "$line" </dev/null 2>&1
  printf '\n@@ %s\n' $?
done
