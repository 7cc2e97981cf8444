import { VERSION } from '../version.js';

export const VERSION_LINE = `ipvsadm v1.31 (as Sluice ${VERSION} has it)`;

export const HELP = `${VERSION_LINE}
Usage:
  ipvsadm -A|-E SERVICE [-s SCHEDULER] [-b FLAGS] [-o] [-p [SECONDS]] [-M MASK]
  ipvsadm -D SERVICE
  ipvsadm -a|-e SERVICE -r SERVER [-g|-i|-m|-b|--enat] [-w WEIGHT] [-x UPPER] [-y LOWER]
  ipvsadm -d SERVICE -r SERVER
  ipvsadm -P|-Q SERVICE -z ADDRESS [-F PORT]
  ipvsadm -G [SERVICE]
  ipvsadm -U|-V SERVICE -k CLIENT
  ipvsadm -O|-Y SERVICE -2 CLIENT
  ipvsadm -B|-W [SERVICE]
  ipvsadm -L|-l [SERVICE] [-n] [-c] [--stats|--rate|--thresholds|--persistent-conn|--tun-info]
                [--exact] [--nosort] [--timeout|--daemon]
  ipvsadm -S [-n]
  ipvsadm -R < FILE
  ipvsadm -Z [SERVICE]
  ipvsadm -C
  ipvsadm --set TCP TCPFIN UDP
  ipvsadm --start-daemon master|backup --mcast-interface NAME [--syncid N] [--sync-maxlen BYTES]
                [--mcast-group ADDRESS] [--mcast-port N] [--mcast-ttl N]
  ipvsadm --stop-daemon master|backup

Commands:
  -A --add-service      a new virtual service         -a --add-server      a new real server
  -E --edit-service     its settings anew             -e --edit-server     its settings anew
  -D --delete-service   remove it with its servers    -d --delete-server   remove it
  -L --list             show services, connections    -Z --zero            counters from zero
  -S --save             print lines for -R            -R --restore         read such lines
  -C --clear            remove all services           --set                timeouts in seconds
  -P --add-laddr        a local address for FullNAT   -Q --del-laddr       remove one
  -G --get-laddr        show local addresses          -h --help, -v --version
  -U --add-blklst       a client that is denied       -V --del-blklst      no longer
  -O --add-whtlst       a client that is allowed      -Y --del-whtlst      no longer
  -B --get-blklst       show who is denied            -W --get-whtlst      show who is allowed

SERVICE is -t|--tcp-service, -u|--udp-service or --sctp-service with HOST:PORT, PORT 0 for any
(with -p), or -f|--fwmark-service with the mark that a rule of the configuration gives (-6: IPv6);
SERVER and HOST are addresses or names, PORT a number or a name of /etc/services.

Options:
  -s --scheduler NAME    rr wrr lc wlc sh mh dh sed nq fo ovf twos lblc lblcr; wlc
                         unless given
  -b --sched-flags LIST  with -A, -E: sh-port sh-fallback mh-port mh-fallback
  -o --ops               one-packet scheduling (UDP)
  -p --persistent [N]    a client's connections go to one server, for N seconds (360 unless given)
  -M --netmask MASK      of clients that count as one: a netmask, for IPv6 a length
  --pe sip               with -p, UDP: a client's calls, by Call-ID, have a server each; -o looks
                         at every packet, else a flow's first one; -M 0.0.0.0: whoever calls
  -g --gatewaying        direct routing (the default)     -b --fullnat   with -a, -e: FullNAT
  -i --ipip              tunnel (--tun-type ipip)         --enat         ENAT
  --tun-type TYPE        with -i: ipip (unless given), gre, gue; gue needs --tun-port N
  --tun-nocsum --tun-csum --tun-remcsum   without a checksum (unless given), with one (gre, gue)
  -m --masquerading      NAT
  -w --weight N          1 unless given; 0 drains
  -x --u-threshold N     most connections; 0: any number
  -y --l-threshold N     connections at which it takes new ones again
  -k --blklst, -2 --whtlst CLIENT   an address, a network, or a range such as 192.0.2.1-9; with any
                         that is allowed, nobody else is
  -n --numeric           addresses and ports as numbers
  -c --connection        connections
  --exact                whole numbers instead of K, M, G and T

The director is that of $SLUICE_SOCKET, or of /run/sluice/sluice.sock.
`;
