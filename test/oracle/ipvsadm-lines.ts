// Command lines for both ipvsadms, and where ours answers differently on purpose.

/** Why ours may differ, in one sentence each. */
export const REASONS = {
  'not yet': 'The dataplane cannot do it yet: refused with a code, where IPVS does it.',
  check: 'An address that the director’s rules forbid (its own, multicast, loopback) is refused.',
  help: 'The help and the version are our own words.',
  'own options': 'A letter that DPVS’s ipvsadm has and upstream’s has not.',
  thresholds: 'Upstream’s -S leaves thresholds out; ours writes them, so that -R brings them back.',
  order: 'Unsorted, IPVS lists by hash and newest first, Sluice in the order of its configuration.',
  weight: 'Weights go to 65535 here.',
  brackets: 'IPv4 in brackets is no address here; upstream reads it and loses its port.',
} as const;

export interface Line {
  /** The arguments, as a shell has them (quotes and all). */
  line: string;
  /** The standard input. */
  input?: string;
  differs?: keyof typeof REASONS;
  /** With `differs`: what ours must answer. */
  ours?: { status: number; error?: RegExp; out?: RegExp };
  /** Run on IPVS alone, to be where ours is again. */
  undo?: string;
}

const lines = (...all: string[]): Line[] => all.map((line) => ({ line }));
const restore = (input: string): Line => ({ line: '-R', input });
const lacking = (line: string, undo?: string): Line => ({
  line,
  differs: 'not yet',
  ours: { status: 255, error: /^ERR_UNSUPPORTED: / },
  ...(undo ? { undo } : {}),
});

/** Each is run from an empty table. */
export const SEQUENCES: { say: string; lines: Line[] }[] = [
  {
    say: 'commands and options that are not there, or not in this place',
    lines: [
      ...lines('', '-L', '-l', '-L --', '--list --numeric'),
      ...lines('-n', '-t', '-t 192.0.2.100:80', 'foo', '--foo', '-q', '-', '""', '-- -L'),
      ...lines('--list=5', '-L=5', '-nL', '--add -t 192.0.2.1:80', '--Add-service'),
      ...lines('-A -D', '-AD', '-La', '-Ld', '-L -h', '-L --version', '-C -C'),
      ...lines('-Lq', '-L -q', '-L --foo', '-A --foo -t 1.1.1.1:1', '-L --exact=5', '-Ln=5'),
      ...lines('-A -t', '-A -t 1.1.1.1:1 -w', '-a -t 1.1.1.1:1 -r', '-L --pe', '--start-daemon'),
      ...lines('-L foo', '-L -- foo', '-L -', '-L ""', '-C foo', '-R foo', '-S -n foo', '-Z foo'),
      ...lines('-A', '-D', '-E', '-a', '-a -t 1.1.1.1:1', '-a -r 1.1.1.1', '-e', '-d'),
      ...lines('-A -n', '-A -w 5 -n', '-A -x 5 foo', '-C -n', '-C -t 1.1.1.1:1', '-R -n', '-Z -n'),
      ...lines('-S -t 1.1.1.1:1', '-L -w 5', '-L -o', '-A -t 1.1.1.1:1 -r 1.1.1.1'),
      ...lines('-d -t 1.1.1.1:1 -r 2.2.2.2 -w 2', '-a -t 1.1.1.1:1 -r 2.2.2.2 -s rr'),
      ...lines('-L -n -n', '-A -t 1.1.1.1:1 -t 1.1.1.1:1', '-A -t 1.1.1.1:1 -u 1.1.1.1:1'),
      ...lines('-A -t 1.1.1.1:1 -s rr -s rr', '-a -t 1.1.1.1:1 -r 2.2.2.2 -g -m'),
      ...lines('-L -6', '-L6', '-A -6 -f 5'),
      { line: '-U', differs: 'own options', ours: { status: 255, error: /^ERR_UNSUPPORTED: / } },
      { line: '-G', differs: 'own options', ours: { status: 0, out: /^VIP:VPORT / } },
      { line: '-h', differs: 'help', ours: { status: 0, out: /^ipvsadm v1\.31 .*\nUsage:\n/ } },
      { line: '--version foo', differs: 'help', ours: { status: 0, out: /^ipvsadm v1\.31 / } },
    ],
  },
  {
    say: 'values that cannot be',
    lines: [
      ...lines('-A -t 192.0.2.100', '-A -t 192.0.2.100:0', '-A -t 192.0.2.100:99999'),
      ...lines('-A -t 192.0.2.100:', '-A -t :80', '-A -t ""', '-A -t 192.0.2.300:80'),
      ...lines('-A -t 192.0.2.1:a:5', '-A -t 192.0.2.1:nosuch', '-A -t 192.0.2.1:tftp'),
      ...lines('-A -t 192.0.2.1:0x50', '-A -t 1.2.3.4.5:8', '-A -t -s rr', '-A -t [2001:db8::1]'),
      ...lines('-A -t nosuch.invalid:80', '-A -t 192.0.2.1:5 -o', '-A -t 192.0.2.1 -o'),
      ...lines('-A -f 0', '-A -f x', '-A -f -1', '-A -f 4294967296', '-A -f 0x10', '-A -f ""'),
      ...lines('-A -t 192.0.2.1:5 -p 0', '-A -t 192.0.2.1:5 -p x', '-A -t 192.0.2.1:5 -p 2678401'),
      ...lines(
        '-A -t 192.0.2.1:5 -ps rr',
        '-A -t 192.0.2.1:5 -p -5',
        '-A -t 192.0.2.1:5 -M x -p 3',
      ),
      ...lines('-A -t 192.0.2.1:5 -b nonsense', '-A -t 192.0.2.1:5 -b sh-port'),
      ...lines('-A -t 192.0.2.1:5 -s rr -b sh-port', '-A -t 192.0.2.1:5 -s mh -b sh-port'),
      ...lines('-A -b nonsense -x 5', '-A -b nonsense -x bad', '-A -b sh-port foo', '-L -b flag-1'),
      ...lines('-D -t 192.0.2.1:5 -b flag-1', '-A -t 192.0.2.1:5 -s nosuch'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1:99999', '-a -t 192.0.2.1:5 -r nosuch.invalid'),
      ...lines('-a -r nosuch.invalid -t 192.0.2.1:5 -w bad', '-a -r 1.1.1.1:tftp -u 192.0.2.1:5'),
      ...lines('-L -r 1.1.1.1:99999'),
      ...['-1', 'x', '2147483648', '""'].map((w) => ({
        line: `-a -t 192.0.2.1:5 -r 1.1.1.1 -w ${w}`,
      })),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -x -1', '-a -t 192.0.2.1:5 -r 1.1.1.1 -x 4294967295'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -y x'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-type foo'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 --tun-type ipip'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -m --tun-type gre'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-port 5'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-csum'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-type gre --tun-remcsum'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-type gue'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-type gue --tun-port 0'),
      ...lines('-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-type gre --tun-csum --tun-nocsum'),
      ...lines(
        '-a -t 192.0.2.1:5 -r 1.1.1.1 -i --tun-type gue --tun-port 6 --tun-csum --tun-remcsum',
      ),
      ...lines('-a -i --tun-type gue', '-a -t 192.0.2.1:5 -r [2001:db8::2]:80'),
      ...lines('--start-daemon foo', '--stop-daemon foo', '--stop-daemon', '--stop-daemon backup'),
      ...lines('--start-daemon master --syncid 300', '--start-daemon master --sync-maxlen 0'),
      ...lines('--start-daemon master --mcast-ttl 0', '--start-daemon master --mcast-port 0'),
      ...lines('--start-daemon master --mcast-group 1.2.3.4', '--start-daemon backup -n'),
      ...lines('--start-daemon master --mcast-group 2001:db8::1'),
      {
        line: '-A -t [192.0.2.1]:80',
        differs: 'brackets',
        ours: { status: 2, error: /^illegal virtual server address/ },
      },
    ],
  },
  {
    say: 'listings that exclude one another',
    lines: lines(
      '-L -c -t 1.1.1.1:1',
      '-L -c --stats',
      '-L -c --rate',
      '-L -c --thresholds',
      '-L -c --timeout',
      '-L -c --daemon',
      '-L -c --exact',
      '-L -c --nosort --sort',
      '-L -c --persistent-conn',
      '-L -c --tun-info',
      '-L -c --stats -x 3',
      '-L --timeout',
      '-L --timeout -t 1.1.1.1:1',
      '-L --timeout --stats',
      '-L --timeout --exact',
      '-L --timeout --daemon',
      '-L --timeout --persistent-conn',
      '-L --timeout --nosort',
      '-L --daemon',
      '-L --daemon -t 1.1.1.1:1',
      '-L --daemon --rate',
      '-L --daemon --timeout -c',
      '-L --stats --rate --thresholds',
      '-Ln --syncid 5',
    ),
  },
  {
    say: 'timeouts',
    lines: [
      ...lines('--set', '--set 1', '--set 1 2', '--set 1 2 3 4', '--set a b c', '--set -1 0 0'),
      ...lines('--set a b c -t 1.1.1.1:1', '--set 1 -t 192.0.2.1:1 2 3', '--set 5 5 5 --foo'),
      ...lines('--set 2678401 1 1', '--set 1.5 2 3', '-L --timeout'),
      ...lines('--set 100 20 30', '-Ln --timeout', '--set 0 0 0', '-L --timeout'),
      ...lines('--set 0 7 0', '-L --timeout', '--set +1 010 2678400', '-L --timeout'),
      ...lines('--set 900 120 300', '-L --timeout'),
    ],
  },
  {
    say: 'services come, change and go',
    lines: [
      ...lines('-A -t 203.0.113.10:80', '-A -t 203.0.113.10:80', '-A -t 203.0.113.10:http'),
      ...lines('-Ln', '-L', '-Sn', '-S', '-Ln -t 203.0.113.10:80', '-L -t 203.0.113.10:www'),
      ...lines('-At 203.0.113.10:81 -srr', '-A -t203.0.113.10:82 -s=rr', '-A -t 203.0.113.10:083'),
      ...lines('--add-service --udp-service=203.0.113.10:53 --scheduler=rr --ops'),
      ...lines('-A -u 203.0.113.10:domain -s rr', '-A -u 203.0.113.10:tftp -s sh'),
      ...lines('-A -t 203.0.113.9:80 -s lc', '-A -t 10.0.2.0:30 -s wrr', '-A -t 203.0.113:9 -s rr'),
      ...lines('-A -t 203.0.113.10:90 -b sh-port -s sh', '-A -t 203.0.113.10:91 -s sh -b flag-1'),
      ...lines('-A -t 203.0.113.10:92 -s mh -b mh-port,mh-fallback', '-A -t 203.0.113.10:93 -s ""'),
      ...lines(
        '-A -t 203.0.113.10:94 -s rr -b flag-2,flag-1',
        '-A -u 203.0.113.10:95 -s sh -o -b sh-port',
      ),
      ...lines(
        '-A -t 203.0.113.10:96 -s rr -M 255.255.255.0',
        '-A -t 203.0.113.10:97 -s sh -b sh-port,',
      ),
      ...lines(
        '-Ln',
        '-L',
        '-Sn',
        '-S',
        '-Ln --exact',
        '-Ln --thresholds',
        '-Ln --persistent-conn',
      ),
      ...lines(
        '-Ln --stats',
        '-Ln --rate',
        '-Ln --tun-info',
        '-Ln --stats --exact',
        '-L --rate --exact',
      ),
      ...lines('-E -t 203.0.113.10:80 -s rr', '-E -t 203.0.113.10:90', '-E -t 203.0.113.10:999'),
      ...lines('-E -t 203.0.113.10', '-E -u 203.0.113.10:53 -s wlc', '-Sn'),
      ...lines('-Z', '-Z -t 203.0.113.10:80', '-Z -t 203.0.113.10:999', '-Z -t 203.0.113.10'),
      ...lines('-D -t 203.0.113.10:999', '-D -t 203.0.113.10', '-D -t 203.0.113.10:http', '-Sn'),
      ...lines('-Ln -t 203.0.113.10:80', '-L -t 203.0.113.10', '-Ln -u 203.0.113.10:53 --stats'),
      ...lines('-D -u 203.0.113.10:domain', '-Sn', '-C', '-Ln', '-Sn', '-C'),
    ],
  },
  {
    say: 'real servers come, change and go',
    lines: [
      ...lines('-a -t 203.0.113.10:80 -r 198.51.100.11', '-d -t 203.0.113.10:80 -r 198.51.100.11'),
      ...lines('-e -t 203.0.113.10:80 -r 198.51.100.11', '-a -t 203.0.113.10 -r 198.51.100.11:5'),
      ...lines('-A -t 203.0.113.10:80 -s rr', '-A -u 203.0.113.10:53 -s rr'),
      ...lines(
        '-a -t 203.0.113.10:80 -r 198.51.100.11:8080',
        '-a -t 203.0.113.10:80 -r 198.51.100.11',
      ),
      ...lines('-a -t 203.0.113.10:80 -r 198.51.100.12:8080 -m -w 5 -x 100 -y 50'),
      ...lines(
        '-a -t 203.0.113.10:80 -r 198.51.100.13 -i',
        '-a -t 203.0.113.10:80 -r 198.51.100.14 -mw 3',
      ),
      ...lines(
        '-a -t 203.0.113.10:80 -r 198.51.100.14:81 -mw3',
        '-a -t 203.0.113.10:80 -r 198.51.100.9 -g -w 0',
      ),
      ...lines(
        '-a -t 203.0.113.10:80 -r 200.0.0.9',
        '-a -t 203.0.113.10:80 -r 10.0.0.9:www -m -w +7',
      ),
      ...lines('-a -t 203.0.113.10:80 -r 10.0.0.10 -i --tun-type ipip -w 010'),
      ...lines(
        '-a -t 203.0.113.10:80 -r 10.0.0.11 -x 50 -y 100',
        '-a -t 203.0.113.10:80 -r 10.0.0.11 -y 1',
      ),
      ...lines(
        '-a -u 203.0.113.10:53 -r 198.51.100.11:tftp -m',
        '-a -u 203.0.113.10:53 -r 10.0.0.12 -w 65535',
      ),
      ...lines('-Ln', '-L', '-Ln --thresholds', '-L --thresholds', '-Ln --persistent-conn'),
      ...lines(
        '-Ln --tun-info',
        '-Ln --stats',
        '-L --stats',
        '-Ln --rate',
        '-Ln -t 203.0.113.10:80',
      ),
      ...lines(
        '-Ln -t 203.0.113.10:80 --stats',
        '-L -u 203.0.113.10:53 --tun-info',
        '-Ln --thresholds --stats',
      ),
      {
        line: '-Sn',
        differs: 'thresholds',
        ours: { status: 0, out: /198\.51\.100\.12:8080 -m -w 5 -x 100 -y 50\n/ },
      },
      ...lines(
        '-e -t 203.0.113.10:80 -r 198.51.100.12:8080 -m -w 7',
        '-Sn',
        '-S',
        '-Ln --thresholds',
      ),
      ...lines(
        '-e -t 203.0.113.10:80 -r 198.51.100.12:8080 -g',
        '-e -t 203.0.113.10:80 -r 198.51.100.99',
      ),
      ...lines(
        '-e -t 203.0.113.10:80 -r 198.51.100.13 -m',
        '-e -t 203.0.113.10:80 -r 198.51.100.11 -i -w 9',
      ),
      ...lines('-e -t 203.0.113.10:80 -r 198.51.100.14:81 -m -x 5 -y 6', '-Sn'),
      ...lines('-d -t 203.0.113.10:80 -r 198.51.100.14', '-d -t 203.0.113.10:80 -r 198.51.100.14'),
      ...lines(
        '-d -t 203.0.113.10:80 -r 198.51.100.11:8080',
        '-d -t 203.0.113.10:80 -r 198.51.100.14:81',
      ),
      ...lines(
        '-Sn',
        '-E -t 203.0.113.10:80 -s sh -b sh-port',
        '-Ln',
        '-D -t 203.0.113.10:80',
        '-Ln',
        '-C',
      ),
      {
        line: '-Ln --nosort',
      },
    ],
  },
  {
    say: 'unsorted',
    lines: [
      ...lines('-A -t 203.0.113.10:80 -s rr', '-a -t 203.0.113.10:80 -r 10.0.0.9'),
      ...lines('-a -t 203.0.113.10:80 -r 10.0.0.10', '-Ln --sort'),
      {
        line: '-Ln --nosort',
        differs: 'order',
        ours: { status: 0, out: /10\.0\.0\.9:80 .*\n {2}-> 10\.0\.0\.10:80 / },
      },
    ],
  },
  {
    say: 'what IPVS does and Sluice does not yet, or never',
    lines: [
      ...lines('-A -t 203.0.113.10:80 -s rr'),
      lacking('-A -f 5 -s rr', '-C'),
      ...lines('-A -t 203.0.113.10:80 -s rr').map((line) => ({
        ...line,
        differs: 'not yet' as const,
        ours: { status: 255 },
      })),
      lacking('-A -t 203.0.113.10:82 -p', '-D -t 203.0.113.10:82'),
      lacking('-A -t 203.0.113.10:83 -p600 -s rr', '-D -t 203.0.113.10:83'),
      lacking('-A -t 203.0.113.10:84 --persistent=600 -M 255.255.255.0', '-D -t 203.0.113.10:84'),
      lacking('-A -t 203.0.113.10 -p', '-D -t 203.0.113.10'),
      lacking('-E -t 203.0.113.10:80 -p 60', '-E -t 203.0.113.10:80 -s rr'),
      lacking('-A -t 203.0.113.10:85 -s rr -b flag-3', '-D -t 203.0.113.10:85'),
      lacking('-A --sctp-service 203.0.113.10:80', '-D --sctp-service 203.0.113.10:80'),
      lacking('-A -f 6 -6', '-D -f 6 -6'),
      lacking('-A -t [2001:db8::1]:80', '-D -t [2001:db8::1]:80'),
      lacking('-a -t 203.0.113.10:80 -r 10.0.0.9:0 -m', '-d -t 203.0.113.10:80 -r 10.0.0.9:0'),
      lacking(
        '-a -t 203.0.113.10:80 -r 10.0.0.9 -i --tun-type gue --tun-port 6080',
        '-d -t 203.0.113.10:80 -r 10.0.0.9',
      ),
      lacking(
        '-a -t 203.0.113.10:80 -r 10.0.0.9 -i --tun-type gre --tun-csum',
        '-d -t 203.0.113.10:80 -r 10.0.0.9',
      ),
      lacking('--start-daemon master --mcast-interface lo', '--stop-daemon master'),
      {
        line: '-a -t 203.0.113.10:80 -r 10.0.0.9 -w 65536',
        differs: 'weight',
        ours: { status: 255, error: /^ERR_UNSUPPORTED: weights go to 65535/ },
        undo: '-d -t 203.0.113.10:80 -r 10.0.0.9',
      },
      {
        line: '-A -t 127.0.0.1:80',
        differs: 'check',
        ours: { status: 255, error: /^ERR_CONFIG_VALUE: .* is a loopback address/ },
        undo: '-D -t 127.0.0.1:80',
      },
      {
        line: '-A -t 224.0.0.1:80',
        differs: 'check',
        ours: { status: 255, error: /^ERR_CONFIG_VALUE: .* is a multicast address/ },
        undo: '-D -t 224.0.0.1:80',
      },
      {
        line: '-a -t 203.0.113.10:80 -r 203.0.113.10',
        differs: 'check',
        ours: { status: 255, error: /^ERR_CONFIG_CONFLICT: / },
        undo: '-d -t 203.0.113.10:80 -r 203.0.113.10',
      },
      ...lines('-Sn'),
    ],
  },
  {
    say: 'lines from the standard input',
    lines: [
      restore('-A -t 203.0.113.10:60 -s rr\n-a -t 203.0.113.10:60 -r 10.0.0.9:60 -g -w 1\n'),
      ...lines('-Sn'),
      restore('-A -t 203.0.113.10:60 -s rr\n-a -t 203.0.113.10:61 -r 10.0.0.9 -g -w 1\n'),
      restore('-A -t 203.0.113.10:62 -s rr\n-A -t 203.0.113.10:62 -s rr\n-A -t 203.0.113.10:63\n'),
      restore('-D -t 203.0.113.10:999\n-A -t 203.0.113.10:64 -s rr\n'),
      restore('-A -t 203.0.113.10:65 -s rr\n-A\n-A -t 203.0.113.10:66 -s rr\n'),
      restore('# a comment\n-A -t 203.0.113.10:67\n'),
      restore('\n   \n\t-A\t-t  203.0.113.10:68 -s rr\nipvsadm\nipvsadm -A -t 203.0.113.10:69\n'),
      restore('-A -q\n-A -t 203.0.113.10:70\n'),
      restore('-A -t\n'),
      restore('foo\n-A -t 203.0.113.10:71'),
      restore('-A -t 203.0.113.10:72\n-R\n-A -t 203.0.113.10:73\n'),
      restore('/sbin/ipvsadm -A -t 203.0.113.10:74\n'),
      restore('-A -t 203.0.113.10:75 -s "rr"\n'),
      restore('-A -t 203.0.113.10:76 foo\n-A -t 203.0.113.10:77\n'),
      restore(''),
      ...lines('-Sn'),
      restore('-C\n-L -n\n-A -t 203.0.113.10:78 -s rr'),
      ...lines('-Sn'),
    ],
  },
];
