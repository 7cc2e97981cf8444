// timeout: 120
// Linux' own SCTP stack at both ends (in User-Mode-Linux) and the engine's worker between them:
// what an association sends is carried from one to the other, and a stack drops what has a wrong CRC.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Arriving, Bench } from '../support/replay.js';
import { skip } from '../support/skip.js';
import {
  BACK,
  BACK_ADDRESS,
  BACK_MAC,
  FRONT,
  FRONT_ADDRESS,
  FRONT_MAC,
  ROUTER_MAC,
  serverAddress,
  serverMac,
  world,
} from '../support/world.js';
import { type Frame, Uml, umlUnavailable } from './uml.js';

const CLIENT = '198.18.0.2';
const VIP = '203.0.113.10';
const LIP = '198.51.100.200';
const SERVER = serverAddress(1);
const PORTS = { front: FRONT, back: BACK } as const;
/** Of lengths that end in every place of a word. */
const LENGTHS = [1, 2, 3, 4, 700, 1399];

/** Each end is bound to one address: neither lists others in its INIT or INIT ACK. */
const SERVER_PROGRAM = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
s.bind(("${SERVER}", 2906))
s.listen(5)
print("listening", flush=True)
c, peer = s.accept()
while True:
  d = c.recv(65536)
  if not d: break
  c.send(d[::-1])
print("from", peer[0], flush=True)`;
const CLIENT_PROGRAM = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
s.bind(("${CLIENT}", 40000))
s.settimeout(40)
s.connect(("${VIP}", 2905))
for n in [${LENGTHS}]:
  d = bytes(i * 7 % 256 for i in range(n))
  s.send(d)
  assert s.recv(65536) == d[::-1], n
s.close()
print("good", flush=True)`;

const reason = umlUnavailable();
if (reason) {
  skip('an SCTP association between two real stacks', reason);
} else {
  test('FullNAT: an association between two real stacks, from its INIT to its end', async () => {
    const uml = await Uml.boot({
      front: { mac: ROUTER_MAC, address: '192.0.2.254/24' },
      back: { mac: serverMac(1), address: `${SERVER}/24` },
      vips: [CLIENT],
      routes: [{ to: '203.0.113.0/24', via: FRONT_ADDRESS }],
      neighbours: [
        { address: FRONT_ADDRESS, mac: FRONT_MAC, port: 'front' },
        { address: BACK_ADDRESS, mac: BACK_MAC, port: 'back' },
        { address: LIP, mac: BACK_MAC, port: 'back' },
      ],
    });
    const bench = new Bench(
      world({
        services: [
          {
            listen: `${VIP}:2905`,
            protocol: 'sctp',
            mode: 'fullnat',
            servers: [`${SERVER}:2906`],
            locals: [LIP],
          },
        ],
      }),
    );
    try {
      // The guest's kernel may lack the hash that cookies are signed with.
      const unsigned = 'echo none >/proc/sys/net/sctp/cookie_hmac_alg';
      await uml.sh(`modprobe -d /run/root sctp && ${unsigned}`);
      await start(uml, 'server', SERVER_PROGRAM);
      await ended(uml, 'server', /listening/, async () => {});
      await start(uml, 'client', CLIENT_PROGRAM);
      let now = 0;
      const states = new Set<string>();
      const isSctp = ({ bytes }: Frame) => bytes[12] === 8 && bytes[23] === 132;
      const carry = async () => {
        let frames = (await uml.listen(0.1)).filter(isSctp);
        while (frames.length > 0) {
          now += 1;
          const arriving = frames.map(
            ({ port, bytes }): Arriving => ({ port: PORTS[port], frame: bytes }),
          );
          const out = bench.run(arriving, now).flatMap(({ outputs }) => outputs);
          states.add(bench.connections()[0]?.state ?? 'none');
          const sent = out.map(
            ({ port, bytes }): Frame => ({ port: port === FRONT ? 'front' : 'back', bytes }),
          );
          frames = (await uml.play(sent)).flat().filter(isSctp);
        }
      };
      const client = await ended(uml, 'client', /good|Error/, carry);
      assert.match(client, /^good$/m);
      const server = await ended(uml, 'server', /from|Error/, carry);
      assert.match(server, new RegExp(`^from ${LIP.replaceAll('.', '\\.')}$`, 'm'));
      for (let tries = 0; tries < 20 && !states.has('CLOSED'); tries++) await carry();
      assert.ok(states.has('ESTABLISHED') && states.has('CLOSED'), `${[...states]}`);
      assert.is(bench.counters().ends.answered_protocol_unreachable, 0);
    } finally {
      bench.close();
      await uml.close();
    }
  });
}

async function start(uml: Uml, name: string, program: string): Promise<void> {
  const coded = Buffer.from(program).toString('base64');
  await uml.sh(`echo ${coded} | base64 -d >/run/${name}.py`);
  await uml.sh(`/usr/bin/python3 /run/${name}.py >/run/${name}.out 2>&1 &`);
}

/** What a program has said, once it has said this. */
async function ended(
  uml: Uml,
  name: string,
  wanted: RegExp,
  meanwhile: () => Promise<void>,
): Promise<string> {
  let said = '';
  for (let tries = 0; tries < 200; tries++) {
    await meanwhile();
    said = await uml.sh(`cat /run/${name}.out`);
    if (wanted.test(said)) return said;
  }
  throw new Error(`${name}: ${said}`);
}

test.run();
