/** Edits that outlive the process: the file that keeps them, and what a new process makes of it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import type { Model } from '../../src/config/model.js';
import { editsBetween } from '../../src/edits/between.js';
import { KeptEdits } from '../../src/edits/kept.js';
import type { Past } from '../../src/ledger.js';
import { createLogger } from '../../src/log.js';
import { diffModels } from '../../src/model-diff.js';
import { type Edit, editModel } from '../../src/model-edit.js';
import { ALL_UP } from '../../src/plan.js';
import { type Surroundings, Transactions } from '../../src/transaction.js';

const FILE = `
ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.254/24] }]
routes: [{ to: 0.0.0.0/0, via: 192.0.2.253 }]
services:
  - name: web
    listen: 203.0.113.1:80
    mode: fullnat
    localAddresses: [192.0.2.240]
    health: { checks: [{ type: tcp }] }
    servers: [{ address: 192.0.2.1:80, weight: 2 }, { address: 192.0.2.2:80 }]
  - { name: dns, listen: 203.0.113.1:53, protocol: udp, mode: dr, servers: [{ address: 192.0.2.1:53 }] }
`;

const folder = mkdtempSync(join(tmpdir(), 'sluice-kept-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

const id = (port: number, protocol: 'tcp' | 'udp' = 'tcp') => ({
  protocol,
  listen: { address: '203.0.113.1', port },
});
const end = (host: number, port = 80) => ({ address: `192.0.2.${host}`, port });
const SERVER = { mode: 'nat', weight: 1, upperThreshold: 0, lowerThreshold: 0 } as const;
const SERVICE = {
  ...({ scheduler: 'rr', schedulePort: false, scheduleFallback: false } as const),
  ...{ onePacket: false, persistence: null },
};

/** A process: it begins with `text` and what `path` has, or takes over from another one. */
function begin(path: string, text = FILE, name = '/etc/d.yaml', past?: Past) {
  let log = '';
  const stream = new PassThrough();
  stream.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  const kept = new KeptEdits(path, createLogger({ stream }), '1');
  const loaded = parseConfig(text, name);
  const around: Surroundings = {
    publish() {},
    counters: { busyServers: () => new Set(), rebase() {} } as unknown as Surroundings['counters'],
    rates: { follow() {}, restart() {} } as unknown as Surroundings['rates'],
    health: () => ALL_UP,
    keep: (...change) => kept.keep(...change),
  };
  const initial = past ? undefined : kept.restore(loaded);
  const running = new Transactions(loaded, around, past, initial);
  running.start(past === undefined);
  return { running, log: () => log };
}

const place = () => join(folder, `edits${count++}`);
const lines = ({ running }: ReturnType<typeof begin>) =>
  running.edits().map(({ change, key, details }) => [change, key, ...details].join(' '));

const EDITS: Edit[] = [
  { edit: 'drainServer', service: id(80), server: end(1) },
  { edit: 'setWeight', service: id(80), server: end(2), weight: 7 },
  { edit: 'addServer', service: id(80), server: end(3, 8080), settings: SERVER },
  { edit: 'removeServer', service: id(53, 'udp'), server: end(1, 53) },
  { edit: 'addService', service: id(443), settings: SERVICE },
  { edit: 'addServer', service: id(443), server: end(9, 8443), settings: { ...SERVER, weight: 0 } },
  { edit: 'addLocalAddress', service: id(80), address: '192.0.2.241' },
  { edit: 'addClient', service: id(80), list: 'deny', client: '198.18.0.0/15' },
  { edit: 'setTimeouts', tcp: 60, tcpFin: 0, udp: 0 },
];

test('edits are made again by the next process, before its first publication, and told', () => {
  const path = place();
  const first = begin(path);
  assert.not.ok(existsSync(path), 'nothing to keep');
  first.running.edit(EDITS, 'ipvsadm -R', true);
  assert.is(lines(first).length, 8);
  const second = begin(path);
  assert.equal(lines(second), lines(first));
  assert.equal(diffModels(first.running.model, second.running.model), []);
  assert.is(second.running.history().length, 1, 'never ran without them');
  assert.match(second.running.history()[0]?.cause ?? '', /^start with .*, and 9 edits kept since /);
  assert.match(second.log(), /9 edits of .* made again: the running state is not what /);
  // And by the one after that, with more.
  second.running.edit([{ edit: 'undrainServer', service: id(80), server: end(1) }], 'x', true);
  assert.equal(lines(begin(path)), lines(second));
});

test('a state that is the file’s again keeps nothing', () => {
  const path = place();
  const one = begin(path);
  one.running.edit([{ edit: 'clear' }], 'ipvsadm -C', true);
  assert.ok(existsSync(path));
  assert.is(begin(path).running.model.services.length, 0);
  one.running.load(parseConfig(FILE, '/etc/d.yaml'), 'discard', 'reload');
  assert.not.ok(existsSync(path));
  assert.equal(lines(begin(path)), []);
});

test('the file has changed meanwhile: edits are made to it, and those that cannot be are told', () => {
  const path = place();
  begin(path).running.edit(EDITS, 'ipvsadm', true);
  const next = begin(
    path,
    FILE.replace(', { address: 192.0.2.2:80 }', '').replace('weight: 2', 'weight: 5'),
  );
  assert.match(next.log(), /has changed since it was edited/);
  assert.match(
    next.log(),
    /a kept edit \(editServer\) is not made: there is no server 192\.0\.2\.2:80/,
  );
  assert.ok(lines(next).includes('changed tcp 203.0.113.1:80 192.0.2.1:80 drained'));
  assert.is(next.running.model.services[0]?.servers[0]?.weight, 5);
});

test('edits of another file are left alone', () => {
  const path = place();
  begin(path).running.edit(EDITS, 'ipvsadm', true);
  const before = readFileSync(path);
  const other = begin(path, FILE, '/etc/other.yaml');
  assert.equal(lines(other), []);
  assert.match(other.log(), /has edits of \/etc\/d\.yaml, not of \/etc\/other\.yaml/);
  assert.not.ok(existsSync(path) && !readFileSync(path).equals(before));
});

test('a torn or changed file is put aside and named, wherever it is cut', () => {
  const path = place();
  begin(path).running.edit(EDITS, 'ipvsadm', true);
  const whole = readFileSync(path, 'utf8');
  const wrong = [
    ...[0, 1, 20, 90, 200, whole.length - 1].map((length) => whole.slice(0, length)),
    whole.replace('"weight": 7', '"weight": 8'),
    whole.replace('sluice-edits 1', 'sluice-edits 9'),
    `${whole} `,
  ];
  for (const text of wrong) {
    writeFileSync(path, text);
    const next = begin(path);
    assert.equal(lines(next), [], text.slice(0, 30));
    assert.match(next.log(), /run-time edits are lost: .*ERR_EDITS_FILE/);
    assert.is(readFileSync(`${path}.bad`, 'utf8'), text);
    assert.not.ok(existsSync(path));
  }
});

test('a file that a killed process was still writing is nobody’s business', () => {
  const path = place();
  const one = begin(path);
  one.running.edit(EDITS, 'ipvsadm', true);
  writeFileSync(`${path}.new`, 'sluice-edits 1 sha2');
  assert.equal(lines(begin(path)), lines(one));
});

test('a folder that cannot be written to is told at the start; a later failure in the log', () => {
  assert.throws(
    () => begin(join(folder, 'nowhere', 'edits')),
    (error: { code: string }) => error.code === 'ERR_EDITS_FILE',
  );
  const inside = mkdtempSync(join(folder, 'gone-'));
  const one = begin(join(inside, 'edits'));
  rmSync(inside, { recursive: true });
  one.running.edit(EDITS, 'ipvsadm', true);
  assert.is(lines(one).length, 8, 'in force all the same');
  assert.match(one.log(), /edits are not kept: /);
});

test('sync daemons are kept, alone or with other edits, and made again', () => {
  const path = place();
  const daemon = { role: 'master' as const, interface: 'eth0', syncid: 3 };
  const daemons = [{ ...daemon, maxlen: 1472, group: '224.0.0.81', port: 8848, ttl: 1 }];
  const loaded = parseConfig(FILE, '/etc/d.yaml');
  const log = createLogger({ level: 'error' });
  log.silent = true;
  const kept = new KeptEdits(path, log, '1');
  kept.keep(loaded, loaded.model, 1, true, daemons);
  const restored = kept.restore(loaded);
  assert.equal(restored?.daemons, daemons);
  assert.equal(restored?.model, loaded.model);
  assert.match(restored?.cause ?? '', /^an edit kept since /);
  const { model } = editModel(loaded.model, EDITS);
  kept.keep(loaded, model, 2, true, daemons);
  assert.match(kept.restore(loaded)?.cause ?? '', /^10 edits kept since /);
  kept.keep(loaded, loaded.model, 3, true);
  assert.not.ok(existsSync(path), 'the file’s daemons are nothing to keep');
});

test('a rollback to another file’s generation: what no edit can say is told', () => {
  const path = place();
  const one = begin(path);
  const moved = FILE.replace('192.0.2.253', '192.0.2.252');
  one.running.load(parseConfig(moved, '/etc/d.yaml'), 'keep', 'reload');
  one.running.rollback(undefined, 'rollback');
  assert.match(one.log(), /not kept for a restart, as no edit can say it: ~ route 0\.0\.0\.0\/0/);
});

/** Any edits at all, of few services and servers, so that they meet. */
function anyEdit(): fc.Arbitrary<Edit> {
  const service = fc.constantFrom(id(80), id(443), id(53, 'udp'));
  const server = fc.constantFrom(end(1), end(2), end(3), end(1, 53));
  const weight = fc.nat(3);
  const settings = fc.record({
    mode: fc.constantFrom('nat' as const, 'dr' as const, 'fullnat' as const),
    weight,
    upperThreshold: fc.constantFrom(0, 9),
    lowerThreshold: fc.constant(0),
  });
  const scheduler = fc.constantFrom('rr' as const, 'wlc' as const);
  const persistence = fc.constantFrom(null, {
    ...{ timeoutS: 60, netmask: '255.255.255.0', engine: null, whenDrained: 'stay' as const },
  });
  const own = fc.record({ scheduler, persistence }).map((some) => ({ ...SERVICE, ...some }));
  const at = { service, server };
  return fc.oneof(
    fc.record({
      edit: fc.constantFrom('addService' as const, 'editService' as const),
      service,
      settings: own,
    }),
    fc.record({ edit: fc.constant('removeService' as const), service }),
    fc.record({
      edit: fc.constantFrom('addServer' as const, 'editServer' as const),
      ...at,
      settings,
    }),
    fc.record({
      edit: fc.constantFrom(
        'removeServer' as const,
        'drainServer' as const,
        'undrainServer' as const,
      ),
      ...at,
    }),
    fc.record({ edit: fc.constant('setWeight' as const), ...at, weight }),
    fc.record({
      edit: fc.constantFrom('addLocalAddress' as const, 'removeLocalAddress' as const),
      service,
      address: fc.constantFrom('192.0.2.240', '192.0.2.241'),
    }),
    fc.record({
      edit: fc.constantFrom('addClient' as const, 'removeClient' as const),
      service,
      list: fc.constantFrom('allow' as const, 'deny' as const),
      client: fc.constantFrom('198.18.0.0/15', '192.0.2.7'),
    }),
    fc.record({
      edit: fc.constant('setTimeouts' as const),
      tcp: fc.nat(2),
      tcpFin: fc.nat(2),
      udp: fc.nat(2),
    }),
    fc.constant({ edit: 'clear' } as const),
  );
}

const sorted = (model: Model) =>
  model.services
    .map(({ servers, localAddresses, clients, ...rest }) => ({
      ...rest,
      clients: [[...clients.allow].sort(), [...clients.deny].sort()],
      name: '',
      localAddresses: [...localAddresses].sort(),
      servers: [...servers].sort((a, b) =>
        JSON.stringify(a.address) < JSON.stringify(b.address) ? -1 : 1,
      ),
    }))
    .sort((a, b) =>
      JSON.stringify([a.protocol, a.listen]) < JSON.stringify([b.protocol, b.listen]) ? -1 : 1,
    );

test('whatever is edited, editsBetween() says it', () => {
  const base = parseConfig(FILE, 'd.yaml').model;
  fc.assert(
    fc.property(fc.array(anyEdit(), { maxLength: 12 }), (edits) => {
      const running = editModel(base, edits).model;
      const between = editsBetween(base, running);
      const again = editModel(base, between);
      assert.ok(
        again.refusals.every((one) => one === null),
        JSON.stringify(again.refusals),
      );
      assert.ok(isDeepStrictEqual(sorted(again.model), sorted(running)), JSON.stringify(between));
      assert.equal(again.model.timeouts, running.timeouts);
    }),
    { numRuns: 500 },
  );
});

test('hot upgrade: the file is the old process’s until the new one has taken over', () => {
  const path = place();
  const old = begin(path);
  old.running.edit(
    [{ edit: 'setWeight', service: id(80), server: end(2), weight: 7 }],
    'test',
    true,
  );
  const before = readFileSync(path, 'utf8');
  const { loaded, planned } = old.running;
  // As with --discard-edits: nothing is left to keep, if it succeeds.
  const taken = { loaded, slots: planned.slots, history: [], cause: 'upgrade' };
  const failing = begin(path, FILE, '/etc/d.yaml', { ...taken, model: loaded.model });
  assert.is(readFileSync(path, 'utf8'), before);
  assert.equal(lines(failing), []);
  // It has failed, and the old one dies, too: nothing is lost.
  assert.equal(lines(begin(path)), lines(old));

  begin(path, FILE, '/etc/d.yaml', { ...taken, model: loaded.model }).running.keep();
  assert.is(existsSync(path), false);
  const heir = begin(path, FILE, '/etc/d.yaml', { ...taken, model: old.running.model });
  assert.is(existsSync(path), false);
  heir.running.keep();
  assert.equal(lines(begin(path)), lines(old));
});

test.run();
