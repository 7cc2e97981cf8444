/** The SYN proxy where the configuration decides: MTUs, servers that are down or gone, switched off. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat } from '../support/bytes.js';
import { addressOf, FAMILIES, type FamilyWords } from '../support/families.js';
import * as p from '../support/packet.js';
import { Proxied, type ProxiedMode, serviceOf, type Told } from '../support/proxied.js';
import { fromFront } from '../support/table.js';
import type { WorldWords } from '../support/world.js';

const plus = (a: number, b: number) => (a + b) >>> 0;

function scene(name: string, run: (family: FamilyWords) => void): void {
  for (const family of FAMILIES) test(`${family.name}${name}`, () => run(family));
}

const proxied = (
  family: FamilyWords,
  mode: ProxiedMode,
  words?: Partial<WorldWords>,
  told?: Told,
) => new Proxied(mode, told, {}, words, undefined, family);

scene('what is too big for the way is quoted as it came', (family) => {
  const words = { frontMtu: family.leastMtu };
  const one = proxied(family, 'nat', words, { serverWindow: 500, server: {} });
  one.openPlainly();
  const seq = plus(0x55667788, 1);
  const frame = family.tcp({
    ...{ from: family.R, to: family.C, flags: 'PA', seq, ack: one.clientNext, df: true },
    payload: p.pattern(family.leastMtu),
  });
  const step = one.give(frame, 'server');
  assert.is(step.end, 'answered_too_big');
  assert.is(family.quotedOf(step.outputs[0]?.bytes)?.seq, seq);
  const step2 = one.give(one.syn({ from: family.at(9, 1) }), 'client');
  const mss = family.leastMtu - family.headBytes - 20;
  const option = `0204${mss.toString(16).padStart(4, '0')}`;
  assert.equal(family.tcpOf(step2.outputs[0]?.bytes).options[0], option);
  one.close();
});

scene('without a server there is no cookie, and none is believed', (family) => {
  const one = proxied(family, 'nat');
  one.sendSyn();
  const down = one.place({ services: [one.service({ servers: [{ at: family.R, up: false }] })] });
  down.snapshot.generation = 2;
  one.bench.publish(down.snapshot);
  assert.is(one.give(one.syn(), 'client').end, 'answered_port_unreachable');
  const step = one.give(one.ack(), 'client');
  assert.is(step.end, 'answered_reset');
  assert.is(family.tcpOf(step.outputs[0]?.bytes).seq, plus(one.cookie, 1));
  one.close();
});

scene('a proxy that is switched off leaves connections as they are, and SYNs go by', (family) => {
  const one = proxied(family, 'fullnat').open();
  const off = one.place({ services: [one.service({ synProxy: false })] });
  off.snapshot.generation = 2;
  one.bench.publish(off.snapshot);
  one.fromClient({ seq: 0, ack: 0, payload: p.pattern(30) });
  one.fromServer({ seq: 0, ack: 30, payload: p.pattern(30) });
  assert.is(one.give(one.syn({ from: family.at(9, 1) }), 'client').end, 'forwarded_fullnat');
  one.fromClient({ seq: 30, ack: 30, flags: 'R' });
  assert.is(one.give(one.syn(), 'client').end, 'forwarded_fullnat');
  one.close();
});

scene('a server that goes while it is waited for: the client is told', (family) => {
  const one = proxied(family, 'nat');
  one.sendSyn();
  one.sendAck();
  const gone = one.place({ services: [one.service({ servers: [family.R2] })] });
  gone.snapshot.generation = 2;
  (gone.snapshot.services[0]?.servers[0] as { slot: number }).slot = 9;
  one.bench.publish(gone.snapshot);
  one.now = 1_700;
  one.stir();
  const [reset] = one.bench.unasked.splice(0);
  assert.equal(family.tcpOf(reset?.bytes).flags, 'RA');
  assert.is(one.bench.connections().length, 0);
  one.close();
});

scene(
  'a segment that comes in fragments is shifted as a whole, and leaves in fragments',
  (family) => {
    const one = proxied(family, 'nat').open();
    const first = plus(one.cookie, 1);
    const fields = { flags: 'PA', seq: one.clientNext, window: 501, payload: p.pattern(2_000) };
    const { C, V, R } = family;
    const l4 = family.l4Of(family.tcp({ ...fields, from: C, to: V, ack: first }), false);
    const pieces = family.cut(addressOf(C), addressOf(V), l4, 800);
    const steps = one.bench.run(pieces.map(fromFront), 0);
    assert.equal(
      steps.map(({ end }) => end),
      ['reassembled', 'reassembled', 'forwarded_nat'],
    );
    const sent = steps[2]!.outputs.map(({ bytes }) => family.l4Of(bytes, true));
    assert.is(sent.length, 3);
    const shifted = family.tcp({ ...fields, from: C, to: R, ack: plus(first, one.lead) });
    assert.equal(concat(...sent), family.l4Of(shifted, false));
    one.close();
  },
);

scene('the next server gets the next client; connections count where they went', (family) => {
  const words = { services: [serviceOf('nat', { servers: [family.R, family.R2] }, family)] };
  const one = proxied(family, 'nat', words);
  const servers: unknown[] = [];
  for (const from of [1001, 1002, 1003].map((port) => family.at(2, port))) {
    const step = one.give(one.syn({ from }), 'client');
    const ack = plus(family.tcpOf(step.outputs[0]?.bytes).seq, 1);
    servers.push(one.give(one.ack({ from, ack }), 'client').server);
  }
  assert.equal(servers, [1, 0, 1]);
  one.close();
});

test.run();
