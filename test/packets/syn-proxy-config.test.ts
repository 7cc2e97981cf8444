/** The SYN proxy where the configuration decides: MTUs, servers that are down or gone, switched off. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import { C, R } from '../support/flow.js';
import * as p from '../support/packet.js';
import { Proxied, serviceOf, tcpOf } from '../support/proxied.js';

const plus = (a: number, b: number) => (a + b) >>> 0;

test('what is too big for the way is quoted as it came', () => {
  const words = { frontMtu: 1000 };
  const one = new Proxied('nat', { serverWindow: 500, server: {} }, {}, words);
  one.openPlainly();
  const seq = plus(0x55667788, 1);
  const frame = p.tcp({
    ...{ from: R, to: C, flags: 'PA', seq, ack: one.clientNext, df: true },
    payload: p.pattern(1200),
  });
  const step = one.give(frame, 'server');
  assert.is(step.end, 'answered_too_big');
  const quote = dissect(step.outputs[0]?.bytes as Uint8Array).ip?.icmp?.quote?.tcp;
  assert.is(quote?.seq, seq);
  const step2 = one.give(one.syn({ from: '198.18.0.9:1' }), 'client');
  assert.equal(tcpOf(step2.outputs[0]?.bytes).options[0], '020403c0');
  one.close();
});

test('without a server there is no cookie, and none is believed', () => {
  const one = new Proxied('nat');
  one.sendSyn();
  const down = one.place({ services: [serviceOf('nat', { servers: [{ at: R, up: false }] })] });
  down.snapshot.generation = 2;
  one.bench.publish(down.snapshot);
  assert.is(one.give(one.syn(), 'client').end, 'answered_port_unreachable');
  const step = one.give(one.ack(), 'client');
  assert.is(step.end, 'answered_reset');
  assert.is(tcpOf(step.outputs[0]?.bytes).seq, plus(one.cookie, 1));
  one.close();
});

test('a proxy that is switched off leaves connections as they are, and SYNs go by', () => {
  const one = new Proxied('fullnat').open();
  const off = one.place({ services: [serviceOf('fullnat', { synProxy: false })] });
  off.snapshot.generation = 2;
  one.bench.publish(off.snapshot);
  one.fromClient({ seq: 0, ack: 0, payload: p.pattern(30) });
  one.fromServer({ seq: 0, ack: 30, payload: p.pattern(30) });
  assert.is(one.give(one.syn({ from: '198.18.0.9:1' }), 'client').end, 'forwarded_fullnat');
  one.fromClient({ seq: 30, ack: 30, flags: 'R' });
  assert.is(one.give(one.syn(), 'client').end, 'forwarded_fullnat');
  one.close();
});

test('a server that goes while it is waited for: the client is told', () => {
  const one = new Proxied('nat');
  one.sendSyn();
  one.sendAck();
  const gone = one.place({ services: [serviceOf('nat', { servers: ['198.51.100.12:8080'] })] });
  gone.snapshot.generation = 2;
  (gone.snapshot.services[0]?.servers[0] as { slot: number }).slot = 9;
  one.bench.publish(gone.snapshot);
  one.now = 1_700;
  one.stir();
  const [reset] = one.bench.unasked.splice(0);
  assert.equal(tcpOf(reset?.bytes).flags, 'RA');
  assert.is(one.bench.connections().length, 0);
  one.close();
});

test('the next server gets the next client; connections count where they went', () => {
  const words = { services: [serviceOf('nat', { servers: [R, '198.51.100.12:8080'] })] };
  const one = new Proxied('nat', {}, {}, words);
  const servers: unknown[] = [];
  for (const from of ['198.18.0.2:1001', '198.18.0.2:1002', '198.18.0.2:1003']) {
    const step = one.give(one.syn({ from }), 'client');
    const ack = plus(tcpOf(step.outputs[0]?.bytes).seq, 1);
    servers.push(one.give(one.ack({ from, ack }), 'client').server);
  }
  assert.equal(servers, [1, 0, 1]);
  one.close();
});

test.run();
