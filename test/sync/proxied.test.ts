/** Connections of the SYN proxy go on through the other director, their numbers shifted as before. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FAMILIES } from '../support/families.js';
import * as p from '../support/packet.js';
import { Proxied, type ProxiedMode, serviceOf, type Told } from '../support/proxied.js';
import { Pair } from './pair.js';

const TOLD: [it: string, told: Told][] = [
  ['both scale', {}],
  ['nobody scales', { client: { mss: 1460 }, server: { mss: 1460, sack: true } }],
  ['the client alone scales', { server: { mss: 1460 } }],
  ['numbers that wrap', { clientIsn: 0xffff_ffff, serverIsn: 0xffff_fffe }],
];

const WAYS = FAMILIES.flatMap((family) =>
  (['nat', 'fullnat'] as ProxiedMode[]).map((mode) => [family, mode] as const),
);
for (const [family, mode] of WAYS) {
  const pairUp = () => new Pair(family.world({ services: [serviceOf(mode, {}, family)] }));

  for (const [it, told] of TOLD) {
    test(`${family.name}${mode}: ${it}`, () => {
      const pair = pairUp();
      const one = new Proxied(mode, told, {}, {}, pair.first, family).open();
      one.fromClient({ seq: 0, ack: 0, payload: p.pattern(40) });
      one.fromServer({ seq: 0, ack: 40, payload: p.pattern(60) });
      pair.exchange(500);
      assert.is(pair.second.connections().length, 1);
      one.bench = pair.second;
      one.now = 1_000;
      one.fromClient({ seq: 40, ack: 60, payload: p.pattern(10), sack: [70, 80] });
      one.fromServer({ seq: 60, ack: 50, payload: p.pattern(20), window: 900 });
      // And back, told of what has happened meanwhile.
      pair.exchange(2_000);
      one.bench = pair.first;
      one.now = 3_000;
      one.fromServer({ seq: 80, ack: 50, flags: 'FA' });
      one.fromClient({ seq: 50, ack: 81, flags: 'FA' });
      assert.is(pair.first.connections()[0]?.state, 'TIME_WAIT');
      pair.close();
    });
  }

  test(`${family.name}${mode}: a handshake that waits for its server is nobody’s business`, () => {
    const pair = pairUp();
    const one = new Proxied(mode, {}, {}, {}, pair.first, family);
    one.sendSyn();
    one.sendAck();
    pair.exchange(500);
    assert.is(pair.second.connections().length, 0);
    pair.close();
  });
}

for (const family of FAMILIES) {
  test(`${family.name}Linux’ messages carry none of it: it is left out`, () => {
    const sync = { protocol: 'ipvs', key: new Uint8Array() } as const;
    const pair = new Pair(family.world({ services: [serviceOf('nat', {}, family)] }), { sync });
    new Proxied('nat', {}, {}, {}, pair.first, family).open();
    pair.exchange(500);
    assert.is(pair.second.connections().length, 0);
    pair.close();
  });
}

test.run();
