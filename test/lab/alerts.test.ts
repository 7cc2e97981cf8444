// timeout: 180
/**
 * What is about to run out, made to: a table, local ports, packet buffers, one worker of two. Each is
 * told in the log and by the API, and is over when its cause is (fragments wait for half a minute:
 * the test does not).
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { StatusReport } from '../../src/api/types.js';
import { until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { fiveModesYaml } from '../../src/lab/five-modes.js';
import { DnsServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const FLOOD = new URL('flood.py', import.meta.url).pathname;
const LONG_MS = 60_000;
const MAX_CONNECTIONS = 2_048;
/** Of 2 048 connections a worker, and of some 32 000 ports of a server's four sets. */
const FLOWS = 1_600;
/** Each of so many fragments, a buffer each: more than a percent of the least number of buffers. */
const DATAGRAMS = 100;
const SETTINGS = `
  mbufs: 1024
  alerts: { table: 20, localPorts: 1, mbufs: 1, skew: 3, load: 0, rings: 0 }`;

/** Fragments of datagrams whose rest never comes: four of each. */
const FRAGMENTS_PY = `
import socket, struct, sys
to = socket.inet_aton(sys.argv[1])
own = socket.inet_aton(sys.argv[2])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for n in range(int(sys.argv[3])):
    udp = struct.pack("!HHHH", 5000, 53, 2000, 0) + bytes(72)
    for part in range(4):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 0, n + 1, 0x2000 | 10 * part, 64, 17, 0) + own + to
        raw.sendto(head + (udp if part == 0 else bytes(80)), (sys.argv[1], 0))
`;
/** One flow, as fast as it goes: one worker's. */
const STREAM_PY = `
import socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect((sys.argv[1], 53))
while True:
    try:
        udp.send(b"none")
    except OSError:
        pass
`;

const raised = async (director: Director) =>
  ((await director.get('/v1/status')) as StatusReport).alerts;

/** The log comes by a pipe, later than what the API says. */
async function logged(director: Director, line: RegExp): Promise<void> {
  assert.ok(await until(() => line.test(director.log), LONG_MS), `${line}\n${director.log}`);
}

/** Until an alert is told by both, and until it is over. */
async function tells(director: Director, code: string, message: RegExp): Promise<void> {
  let said: string | undefined;
  const begins = async () => {
    const alerts = await raised(director);
    said = alerts.find((alert) => alert.code === code)?.message ?? said;
    return said !== undefined;
  };
  assert.ok(await until(begins, LONG_MS), `${code}\n${director.log}`);
  assert.match(said ?? '', message);
  await logged(director, new RegExp(`warn: .*\\[${code}\\]`));
}

async function ends(director: Director, code: string): Promise<void> {
  const over = async () => !(await raised(director)).some((alert) => alert.code === code);
  assert.ok(
    await until(over, LONG_MS),
    `${code} goes on: ${JSON.stringify(await raised(director))}`,
  );
  await logged(director, new RegExp(`no more: .*\\[${code}\\]`));
}

if (process.getuid?.() !== 0) {
  skip('alerts in the lab', 'network namespaces need root');
} else {
  let lab: Lab;
  let director: Director;
  test.before(async () => {
    lab = await Lab.create({ realServers: 1 });
    await DnsServer.start(lab, 'rs1');
    const socket = lab.path('director1.sock');
    const options = { modes: ['fullnat'], workers: 2, maxConnections: MAX_CONNECTIONS } as const;
    const yaml = `${fiveModesYaml(lab, socket, options)}timeouts: { udp: 3 }\n`;
    director = lab.director({ yaml: yaml.replace(/maxConnections: \d+/, `$&${SETTINGS}`), socket });
    await director.start();
    assert.equal(await raised(director), []);
  });
  test.after(() => lab.destroy());

  test('a table and local ports, by many flows, until those have expired', async () => {
    const argv = ['python3', FLOOD, 'udp', VIP.fullnat, '53', String(FLOWS), String(FLOWS)];
    await lab.ns('client').spawn(argv, { timeout: 60 }).succeed();
    await tells(
      director,
      'WARN_TABLE_NEARLY_FULL',
      /connection table of worker [01] is \d+ % full/,
    );
    const set =
      /local ports of worker [01] are \d % used: .* 198\.51\.100\.20[01] towards UDP 198\.51\.100\.11:53/;
    await tells(director, 'WARN_LOCAL_PORTS_NEARLY_USED', set);
    await ends(director, 'WARN_TABLE_NEARLY_FULL');
    await ends(director, 'WARN_LOCAL_PORTS_NEARLY_USED');
  });

  test('packet buffers, by fragments that wait for the others', async () => {
    const argv = ['python3', '-c', FRAGMENTS_PY, VIP.fullnat, '198.18.0.2', String(DATAGRAMS)];
    await lab.ns('client').spawn(argv, { timeout: 60 }).succeed();
    await tells(director, 'WARN_MBUFS_NEARLY_USED', /packet buffers are \d+ % used: \d+ of \d+/);
  });

  test('one worker of two, by a single flow', async () => {
    const stream = lab.ns('client').spawn(['python3', '-c', STREAM_PY, VIP.fullnat]);
    await tells(director, 'WARN_QUEUE_SKEW', /worker [01]/);
    await stream.stop();
    await ends(director, 'WARN_QUEUE_SKEW');
  });
}

test.run();
