/** Whatever a file has in it: a model, or places and sentences; never anything else. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.js';
import { ConfigError } from '../../src/errors.js';
import { plan } from '../../src/plan.js';
import { encodeSnapshot } from '../../src/snapshot.js';
import { BASE, problemsOf, service } from './support.js';

/** Loads it; an error must be a ConfigError with places inside the text. */
function tolerate(text: string): void {
  try {
    const { model } = parseConfig(text, 'any.yaml');
    encodeSnapshot(plan(model).snapshot);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = text.split('\n').length;
    assert.ok(error.problems.some(({ severity }) => severity === 'error'));
    for (const { place, message } of error.problems) {
      assert.ok(place.line >= 1 && place.line <= lines + 1, `${place.line} of ${lines}`);
      assert.ok(place.column >= 1 && message.length > 0);
      assert.not.match(message, /undefined|\[object|Invalid input/);
    }
  }
}

test('property: any text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), tolerate), {
    numRuns: 500,
    seed: 1,
  });
});

const GOOD = service(`
name: web
listen: 203.0.113.10:80
mode: fullnat
localAddresses: [198.51.100.200]
servers: [{ address: 198.51.100.11:8080, weight: 1 }]`);

test('property: a good file with a piece cut out, doubled or replaced', () => {
  const at = fc.nat(GOOD.length);
  fc.assert(
    fc.property(at, at, fc.string({ maxLength: 8 }), (one, two, put) => {
      const [from, to] = [Math.min(one, two), Math.max(one, two)];
      tolerate(GOOD.slice(0, from) + put + GOOD.slice(to));
      tolerate(GOOD.slice(0, to) + put + GOOD.slice(from));
    }),
    { numRuns: 200, seed: 2 },
  );
});

test('property: the right keys with any values', () => {
  const value = fc.oneof(
    fc.constantFrom(
      '198.51.100.11:80',
      '203.0.113.10',
      '192.0.2.0/24',
      'front',
      'nat',
      'tcp',
      '2001:db8::1',
    ),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.constant({}),
    fc.constant([]),
  );
  const block = (...keys: string[]) =>
    fc.record(Object.fromEntries(keys.map((key) => [key, value])), { requiredKeys: [] });
  const list = <T>(of: fc.Arbitrary<T>) => fc.oneof(fc.array(of, { maxLength: 3 }), value);
  const file = fc.record(
    {
      director: fc.oneof(block('name', 'socket', 'workers', 'memory', 'idle'), value),
      timeouts: fc.oneof(block('tcp', 'tcpFin', 'udp'), value),
      ports: list(block('name', 'device', 'twin', 'mac', 'mtu', 'addresses')),
      routes: list(block('to', 'via', 'port')),
      neighbours: list(block('address', 'mac', 'port')),
      services: list(block('name', 'listen', 'mode', 'protocol', 'servers', 'localAddresses')),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(file, (data) => tolerate(stringify(data))),
    { numRuns: 200, seed: 3 },
  );
});

test('an alias without anchor, and a bomb of aliases', () => {
  const says = (text: string) =>
    problemsOf(text)
      .map(({ code, message }) => `${code} ${message}`)
      .join();
  assert.match(says(`${BASE}services: *nothing\n`), /ERR_CONFIG_SYNTAX .*alias/);
  const bomb = Array.from({ length: 12 }, (_, n) => {
    const one =
      n === 0
        ? '[x]'
        : `[${Array(12)
            .fill(`*a${n - 1}`)
            .join(', ')}]`;
    return `a${n}: &a${n} ${one}`;
  }).join('\n');
  assert.match(says(`${BASE}${bomb}\n`), /ERR_CONFIG_SYNTAX .*alias/);
});

test("words of other directors' configurations lead to ours", () => {
  const text = service('name: web\nvip: 203.0.113.10:80\nlb_kind: NAT\nreal_servers: []');
  assert.equal(
    problemsOf(text)
      .filter(({ code }) => code === 'ERR_CONFIG_UNKNOWN_KEY')
      .map(({ path, message }) => `${path} ${message}`),
    [
      'services[0].vip unknown key, did you mean listen?',
      'services[0].lb_kind unknown key, did you mean mode?',
      'services[0].real_servers unknown key, did you mean servers?',
    ],
  );
});

test.run();
