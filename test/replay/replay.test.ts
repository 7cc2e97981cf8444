/** `sluice replay` from end to end: captures in, captures and verdicts out, through the engine. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Loaded, parseConfig } from '../../src/config/load.js';
import type { Frame } from '../../src/replay/frame.js';
import { PcapWriter, readCapture } from '../../src/replay/pcap.js';
import { runReplay, type Verdict } from '../../src/replay/replay.js';
import { Folder } from '../cli/support.js';
import { dissect } from '../support/dissect.js';
import { arp, tcp, udp } from '../support/packet.js';

const folder = new Folder();
test.after(() => folder.remove());

const YAML = `\
director: { maxConnections: 4096, maxServices: 16, maxServers: 32 }
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:00:fe }
  - { address: 198.51.100.11, mac: 02:00:00:00:02:01 }
  - { address: 198.51.100.12, mac: 02:00:00:00:02:02 }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    scheduler: rr
    servers: [{ address: 198.51.100.11:8080 }]
  - name: wide
    listen: 203.0.113.10:443
    mode: fullnat
    scheduler: rr
    localAddresses: [198.51.100.200]
    servers: [{ address: 198.51.100.12:8443 }]
`;
folder.write('director.yaml', YAML);

const FRONT = { toMac: '02:00:00:00:01:01', fromMac: '02:00:00:00:00:fe' };
const BACK = { toMac: '02:00:00:00:01:02', fromMac: '02:00:00:00:02:01' };
const CLIENT = '198.18.0.7:40000';
const MS = 1_000_000n;
const START = 1_767_225_600_000_000_000n;

function capture(name: string, frames: [ms: number, frame: Uint8Array][]): string {
  const writer = new PcapWriter(folder.file(name));
  for (const [ms, frame] of frames) writer.write(START + BigInt(ms) * MS, frame);
  writer.close();
  return folder.file(name);
}

const web = { from: CLIENT, to: '203.0.113.10:80', ...FRONT };
capture('front.pcap', [
  [0, tcp({ ...web, flags: 'S', seq: 100 })],
  [20, tcp({ ...web, flags: 'A', seq: 101, ack: 501 })],
  [30, tcp({ from: CLIENT, to: '203.0.113.10:443', flags: 'S', seq: 7, ...FRONT })],
  [40, udp({ from: CLIENT, to: '203.0.113.10:80', payload: 'who?', ...FRONT })],
  [50, tcp({ from: CLIENT, to: '192.0.2.1:22', flags: 'S', ...FRONT })],
  [60, arp({ op: 1, senderMac: FRONT.fromMac, sender: '192.0.2.254', target: '203.0.113.10' })],
  [70, tcp({ ...web, flags: 'S', ipChecksum: 'bad' })],
]);
capture('back.pcap', [
  // Between the client's SYN and ACK: the order of times decides, not that of files.
  [10, tcp({ from: '198.51.100.11:8080', to: CLIENT, flags: 'SA', seq: 500, ack: 101, ...BACK })],
]);
const INPUTS = ['--in', 'front=front.pcap', '--in', 'back=back.pcap'];

const verdicts = (stdout: string): Verdict[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Verdict);

test('a verdict a packet, by time, and what left each port', async () => {
  const ran = await folder.run(
    'replay',
    '-c',
    'director.yaml',
    ...INPUTS,
    '--out',
    'out',
    '--json',
  );
  assert.is(ran.stderr, '');
  assert.is(ran.status, 0);
  const to = (port: string, packet: number, twin = false) => [{ port, twin, packet }];
  const web = { mode: 'nat', service: 'web', server: '198.51.100.11:8080' };
  const wide = { mode: 'fullnat', service: 'wide', server: '198.51.100.12:8443' };
  const none = { mode: null, service: null, server: null };
  const time = (ms: number) => `1767225600.${String(ms).padStart(3, '0')}000000`;
  const row = (port: string, packet: number, ms: number, verdict: string, reason: string) => ({
    packet,
    port,
    time: time(ms),
    verdict,
    reason,
  });
  assert.equal(verdicts(ran.stdout), [
    { ...row('front', 1, 0, 'forwarded', 'forwarded_nat'), ...web, out: to('back', 1) },
    { ...row('back', 1, 10, 'forwarded', 'forwarded_nat_reply'), ...web, out: to('front', 1) },
    { ...row('front', 2, 20, 'forwarded', 'forwarded_nat'), ...web, out: to('back', 2) },
    { ...row('front', 3, 30, 'forwarded', 'forwarded_fullnat'), ...wide, out: to('back', 3) },
    {
      ...row('front', 4, 40, 'answered', 'answered_port_unreachable'),
      ...none,
      out: to('front', 2),
    },
    { ...row('front', 5, 50, 'punted', 'punted_not_ours'), ...none, out: to('front', 1, true) },
    { ...row('front', 6, 60, 'answered', 'answered_arp'), ...none, out: to('front', 3) },
    { ...row('front', 7, 70, 'dropped', 'bad_ip_checksum'), ...none, out: [] },
  ]);

  const left = (name: string) => readCapture(folder.file(`out/${name}.pcap`));
  const told = ({ time: at, bytes }: Frame): string => {
    const { eth, arp: answer, ip } = dissect(bytes);
    const ports = ip?.tcp ? ` ${ip.tcp.sport}>${ip.tcp.dport} ${ip.tcp.flags}` : '';
    const icmp = ip?.icmp ? ` icmp ${ip.icmp.type}/${ip.icmp.code}` : '';
    const what = answer ? `arp ${answer.op} ${answer.senderMac}` : `${ip?.src}>${ip?.dst}`;
    return `${(at - START) / MS} ms ${eth.src}>${eth.dst} ${what}${ports}${icmp}`;
  };
  const back = left('back').map(told);
  const local = /198\.51\.100\.200>198\.51\.100\.12 (\d+)>8443 S$/.exec(back[2] ?? '')?.[1];
  assert.ok(Number(local) > 0, back[2]);
  assert.equal(back, [
    '0 ms 02:00:00:00:01:02>02:00:00:00:02:01 198.18.0.7>198.51.100.11 40000>8080 S',
    '20 ms 02:00:00:00:01:02>02:00:00:00:02:01 198.18.0.7>198.51.100.11 40000>8080 A',
    `30 ms 02:00:00:00:01:02>02:00:00:00:02:02 198.51.100.200>198.51.100.12 ${local}>8443 S`,
  ]);
  assert.equal(left('front').map(told), [
    '10 ms 02:00:00:00:01:01>02:00:00:00:00:fe 203.0.113.10>198.18.0.7 80>40000 SA',
    '40 ms 02:00:00:00:01:01>02:00:00:00:00:fe 203.0.113.10>198.18.0.7 icmp 3/3',
    '60 ms 02:00:00:00:01:01>02:00:00:00:00:fe arp 2 02:00:00:00:01:01',
  ]);
  // To the kernel as it came.
  assert.equal(left('front.twin')[0]?.bytes, readCapture(folder.file('front.pcap'))[4]?.bytes);
  assert.is(left('back.twin').length, 0);
});

test('the same input gives the same bytes; another seed other local ports', async () => {
  const out = (name: string, ...more: string[]) =>
    folder.run('replay', '-c', 'director.yaml', ...INPUTS, '--out', name, '--json', ...more);
  const [one, two, three] = await Promise.all([out('a'), out('b'), out('c', '--seed', '2')]);
  assert.is(one.status, 0, one.stderr);
  assert.is(one.stdout, two.stdout);
  assert.is(three.stdout, one.stdout);
  const read = (name: string) => readFileSync(folder.file(name));
  for (const port of ['front', 'back', 'front.twin', 'back.twin']) {
    assert.equal(read(`a/${port}.pcap`), read(`b/${port}.pcap`), port);
  }
  assert.not.equal(read('a/back.pcap'), read('c/back.pcap'));
});

test('without --json: a summary of ends, of ways and of files', async () => {
  const ran = await folder.run('replay', '-c', 'director.yaml', ...INPUTS, '--out', 'text');
  assert.is(
    ran.stdout,
    `8 packets in

Verdict    Reason                     Packets
answered   answered_arp                     1
answered   answered_port_unreachable        1
dropped    bad_ip_checksum                  1
forwarded  forwarded_fullnat                1
forwarded  forwarded_nat                    2
forwarded  forwarded_nat_reply              1
punted     punted_not_ours                  1

Service  Server              Forward  Packets
web      198.51.100.11:8080  Masq           3
wide     198.51.100.12:8443  FullNat        1

Written               Packets
text/front.pcap             3
text/front.twin.pcap        1
text/back.pcap              3
text/back.twin.pcap         0
`,
  );
});

test('mistakes are sentences', async () => {
  folder.write('bare.yaml', YAML.replace('mac: 02:00:00:00:01:02, ', ''));
  folder.write('torn.pcap', readFileSync(folder.file('front.pcap')).subarray(0, 100));
  const rows: [args: string[], status: number, says: string][] = [
    [
      ['-c', 'director.yaml', '--in', 'frnt=front.pcap', '--out', 'x'],
      1,
      'sluice: frnt=front.pcap: no port is called frnt, expected one of front, back [ERR_REPLAY_PORT]\n',
    ],
    [
      ['-c', 'bare.yaml', '--in', 'front=front.pcap', '--out', 'x'],
      1,
      'sluice: bare.yaml:4:5: ports[1]: port back has no mac; replay has no device to ask, ' +
        'expected mac: with the address that frames in the capture are sent to [ERR_REPLAY_MAC]\n',
    ],
    [
      ['-c', 'director.yaml', '--in', 'front=torn.pcap', '--out', 'x'],
      1,
      'sluice: torn.pcap: byte 94: the header of record 2 needs 16 bytes, 6 are left [ERR_PCAP_TRUNCATED]\n',
    ],
    [
      ['-c', 'director.yaml', '--in', 'front=front.pcap', '--out', 'front.pcap/x'],
      1,
      "sluice: cannot write to front.pcap/x: ENOTDIR: not a directory, mkdir 'front.pcap/x' [ERR_REPLAY_OUTPUT]\n",
    ],
  ];
  const all = await Promise.all(rows.map(([args]) => folder.run('replay', ...args)));
  assert.equal(
    all.map(({ status, stderr }) => ({ status, stderr })),
    rows.map(([, status, stderr]) => ({ status, stderr })),
  );
});

// In this process: what holds for any traffic.

const loaded: Loaded = parseConfig(YAML, 'director.yaml');

function replay(
  frames: Frame[],
  out: string,
  burst = 32,
): { verdicts: Verdict[]; files: Buffer[] } {
  const found: Verdict[] = [];
  runReplay(loaded, [{ port: 'front', file: 'in.pcap', frames }], {
    out: folder.file(out),
    burst,
    seed: 1,
    onVerdict: (verdict) => found.push(verdict),
  });
  const files = ['front', 'front.twin', 'back', 'back.twin'];
  return {
    verdicts: found,
    files: files.map((name) => readFileSync(folder.file(`${out}/${name}.pcap`))),
  };
}

test('more frames than a batch holds: each has its verdict, in order', () => {
  const frames = Array.from({ length: 20_000 }, (_, index): Frame => {
    const bytes = tcp({
      ...web,
      from: `198.18.1.${index % 200}:${1024 + (index % 7)}`,
      flags: 'S',
    });
    return {
      number: index + 1,
      time: START + BigInt(index) * 1000n,
      bytes,
      wireLength: bytes.length,
    };
  });
  const { verdicts: found } = replay(frames, 'many');
  assert.is(found.length, 20_000);
  assert.ok(found.every(({ packet, out }, index) => packet === index + 1 && out.length === 1));
  assert.is(found[19_999]?.out[0]?.packet, 20_000);
});

test('property: any bytes have a verdict; the size of bursts changes nothing for one flow', () => {
  const noise = fc.uint8Array({ maxLength: 120 });
  const mixed = noise.map((bytes) => {
    const frame = tcp({ ...web, flags: 'S', payload: bytes });
    return bytes.length % 3 === 0 ? bytes : frame;
  });
  fc.assert(
    fc.property(fc.array(mixed, { minLength: 1, maxLength: 40 }), (list) => {
      const frames = list.map((bytes, index): Frame => {
        // Several frames of one time: these come in one burst.
        const time = START + BigInt(Math.floor(index / 10)) * MS;
        return { number: index + 1, time, bytes, wireLength: bytes.length };
      });
      const wide = replay(frames, 'wide', 32);
      assert.is(wide.verdicts.length, list.length);
      assert.equal(replay(frames, 'narrow', 1), wide);
    }),
    { numRuns: 25, seed: 5 },
  );
});

test.run();
