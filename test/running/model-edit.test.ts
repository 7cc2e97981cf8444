/** Edits of a Model against a dumb model of the same, and what plan() promises of slots meanwhile. */

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CLIENT_LISTS } from '../../src/config/clients.js';
import { parseConfig } from '../../src/config/load.js';
import type { Model } from '../../src/config/model.js';
import { recheck } from '../../src/config/recheck.js';
import type { Check } from '../../src/health/model.js';
import { diffModels, mergeModels } from '../../src/model-diff.js';
import { type Edit, editModel } from '../../src/model-edit.js';
import { MODES, SCHEDULERS } from '../../src/native.js';
import { NO_SLOTS, plan } from '../../src/plan.js';

const BASE = parseConfig(
  `\
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
services:
  - name: web
    listen: 203.0.113.1:80
    mode: nat
    servers: [{ address: 198.51.100.11:8080 }, { address: 198.51.100.12:8080 }]
`,
  'director.yaml',
).model;

const service = fc.record({
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
  listen: fc.record({
    address: fc.constantFrom('203.0.113.1', '203.0.113.2'),
    port: fc.constantFrom(80, 81),
  }),
});
const server = fc.record({
  address: fc.constantFrom('198.51.100.11', '198.51.100.12'),
  port: fc.constantFrom(80, 8080),
});
const serviceSettings = fc.record({
  scheduler: fc.constantFrom(...SCHEDULERS),
  schedulePort: fc.boolean(),
  scheduleFallback: fc.boolean(),
  onePacket: fc.constant(false),
  persistence: fc.constantFrom(null, {
    timeoutS: 300,
    netmask: '255.255.255.0',
    engine: null,
    whenDrained: 'stay' as const,
  }),
});
const serverSettings = fc.record({
  mode: fc.constantFrom(...MODES),
  weight: fc.integer({ min: 0, max: 9 }),
  upperThreshold: fc.integer({ min: 0, max: 3 }),
  lowerThreshold: fc.integer({ min: 0, max: 2 }),
});
const timeout = fc.integer({ min: 0, max: 3 });
const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 3, arbitrary: onService('addService') },
  onService('editService'),
  fc.record({ edit: fc.constant('removeService' as const), service }),
  { weight: 5, arbitrary: onServer('addServer') },
  { weight: 2, arbitrary: onServer('editServer') },
  {
    weight: 2,
    arbitrary: fc.record({ edit: fc.constant('removeServer' as const), service, server }),
  },
  fc.record({
    edit: fc.constantFrom('drainServer' as const, 'undrainServer' as const),
    service,
    server,
  }),
  fc.record({
    edit: fc.constant('setWeight' as const),
    service,
    server,
    weight: fc.integer({ min: 0, max: 2 }),
  }),
  { weight: 2, arbitrary: onLocal('addLocalAddress') },
  onLocal('removeLocalAddress'),
  { weight: 2, arbitrary: onClient('addClient') },
  onClient('removeClient'),
  fc.record({
    edit: fc.constant('setTimeouts' as const),
    tcp: timeout,
    tcpFin: timeout,
    udp: timeout,
  }),
);
const edits = fc.array(edit, { maxLength: 30 });

function onService(kind: 'addService' | 'editService') {
  return fc.record({ edit: fc.constant(kind), service, settings: serviceSettings });
}
function onServer(kind: 'addServer' | 'editServer') {
  return fc.record({ edit: fc.constant(kind), service, server, settings: serverSettings });
}
function onLocal(kind: 'addLocalAddress' | 'removeLocalAddress') {
  const address = fc.constantFrom('198.51.100.200', '198.51.100.201');
  return fc.record({ edit: fc.constant(kind), service, address });
}

function onClient(kind: 'addClient' | 'removeClient') {
  const client = fc.constantFrom('192.0.2.7', '192.0.2.0/24', '2001:db8::7');
  const list = fc.constantFrom('allow' as const, 'deny' as const);
  return fc.record({ edit: fc.constant(kind), service, list, client });
}

type Row = Record<string, unknown> & {
  clients: string[];
  servers: Record<string, unknown>;
  locals: string[];
};

/** What ipvsadm's manual says, as text → rows. */
class Dumb {
  rows: Record<string, Row> = {};
  timeouts = [900, 120, 300];

  /** '' or the code of the refusal. */
  apply(one: Edit): string {
    if (one.edit === 'clear') {
      this.rows = {};
      return '';
    }
    if (one.edit === 'setTimeouts') {
      const wanted = [one.tcp, one.tcpFin, one.udp];
      this.timeouts = this.timeouts.map((old, at) => wanted[at] || old);
      return '';
    }
    const key = `${one.service.protocol} ${one.service.listen.address}:${one.service.listen.port}`;
    const row = this.rows[key];
    if (one.edit === 'addService') {
      if (row) return 'ERR_SERVICE_EXISTS';
      this.rows[key] = { ...one.settings, servers: {}, locals: [], clients: [] };
      return '';
    }
    if (one.edit === 'editService') {
      if (!row) return 'ERR_NO_SUCH_SERVICE';
      Object.assign(row, one.settings);
      return '';
    }
    if (one.edit === 'removeService') {
      delete this.rows[key];
      return row ? '' : 'ERR_NO_SUCH_SERVICE';
    }
    if (!row) return 'ERR_SERVICE_NOT_DEFINED';
    if ('client' in one) {
      const entry = `${one.list} ${one.client}`;
      const has = row.clients.includes(entry);
      if (one.client.includes(':') !== one.service.listen.address.includes(':')) {
        return 'ERR_CLIENT_FAMILY';
      }
      if (one.edit === 'addClient') {
        if (has) return 'ERR_CLIENT_EXISTS';
        row.clients.push(entry);
        return '';
      }
      row.clients = row.clients.filter((other) => other !== entry);
      return has ? '' : 'ERR_NO_SUCH_CLIENT';
    }
    if ('address' in one) {
      const has = row.locals.includes(one.address);
      if (one.edit === 'addLocalAddress') {
        if (has) return 'ERR_LOCAL_ADDRESS_EXISTS';
        row.locals.push(one.address);
        return '';
      }
      row.locals = row.locals.filter((local) => local !== one.address);
      return has ? '' : 'ERR_NO_SUCH_LOCAL_ADDRESS';
    }
    if (one.edit === 'drainServer' || one.edit === 'undrainServer' || one.edit === 'setWeight') {
      const server = row.servers[`${one.server.address}:${one.server.port}`] as
        | Record<string, unknown>
        | undefined;
      if (!server) return 'ERR_NO_SUCH_SERVER';
      if (one.edit === 'undrainServer' && server.weight === 0) return 'ERR_NOT_DRAINED';
      if (one.edit === 'setWeight') server.weight = one.weight;
      server.drained = one.edit === 'drainServer';
      return '';
    }
    if (one.edit === 'removeServer') {
      const at = `${one.server.address}:${one.server.port}`;
      const had = at in row.servers;
      delete row.servers[at];
      return had ? '' : 'ERR_NO_SUCH_SERVER';
    }
    if (one.edit !== 'addServer' && one.edit !== 'editServer') throw new Error(one.edit);
    const keeps = one.settings.mode === 'dr' || one.settings.mode === 'tun';
    const at = `${one.server.address}:${keeps ? one.service.listen.port : one.server.port}`;
    if (one.settings.lowerThreshold > one.settings.upperThreshold) return 'ERR_THRESHOLDS';
    if (one.edit === 'addServer' && at in row.servers) return 'ERR_SERVER_EXISTS';
    if (one.edit === 'editServer' && !(at in row.servers)) return 'ERR_NO_SUCH_SERVER';
    row.servers[at] = { ...one.settings, drained: false };
    return '';
  }
}

function asRows(model: Model): Record<string, unknown> {
  return Object.fromEntries(
    model.services.map((one) => [
      `${one.protocol} ${one.listen.address}:${one.listen.port}`,
      {
        scheduler: one.scheduler,
        schedulePort: one.schedulePort,
        scheduleFallback: one.scheduleFallback,
        persistence: one.persistence,
        onePacket: one.onePacket,
        locals: one.localAddresses,
        clients: CLIENT_LISTS.flatMap((list) =>
          one.clients[list].map((client) => `${list} ${client}`),
        ),
        servers: Object.fromEntries(
          one.servers.map(({ address, health: _, ...settings }) => [
            `${address.address}:${address.port}`,
            { ...settings, drained: settings.drained ?? false },
          ]),
        ),
      },
    ]),
  );
}

const EMPTY = { ...BASE, services: [] };

test('any edits: the same tables, refusals and timeouts as a dumb model', () => {
  fc.assert(
    fc.property(edits, (all) => {
      const dumb = new Dumb();
      const codes = all.map((one) => dumb.apply(one));
      const { model, refusals } = editModel(EMPTY, all);
      assert.equal(
        refusals.map((refusal) => refusal?.code ?? ''),
        codes,
      );
      assert.equal(asRows(model), dumb.rows);
      const { tcpMs, tcpFinMs, udpMs } = model.timeouts;
      assert.equal(
        [tcpMs, tcpFinMs, udpMs],
        dumb.timeouts.map((seconds) => seconds * 1_000),
      );
    }),
  );
});

test('all at once or one after the other is the same; the old Model stays as it was', () => {
  fc.assert(
    fc.property(edits, (all) => {
      const before = JSON.stringify(BASE);
      const together = editModel(BASE, all).model;
      const apart = all.reduce((model, one) => editModel(model, [one]).model, BASE);
      assert.equal(together, apart);
      assert.is(JSON.stringify(BASE), before);
      const names = together.services.map(({ name }) => name);
      assert.is(new Set(names).size, names.length);
    }),
  );
});

test('what an edit leaves alone is the same object, and plan() keeps its slot', () => {
  fc.assert(
    fc.property(edits, (all) => {
      let model = BASE;
      let planned = plan(model, undefined, undefined, NO_SLOTS);
      for (const one of all) {
        const next = editModel(model, [one]).model;
        const touched = 'service' in one ? one.service.listen : undefined;
        for (const old of model.services) {
          if (touched?.address === old.listen.address && touched.port === old.listen.port) continue;
          assert.ok(next.services.includes(old));
        }
        const after = plan(next, undefined, undefined, planned.slots, new Set());
        const used = new Set<number>();
        for (const [key, { slot, live }] of after.slots.servers) {
          assert.not(used.has(slot));
          used.add(slot);
          const was = planned.slots.servers.get(key);
          if (live && was?.live) assert.is(slot, was.slot);
        }
        model = next;
        planned = after;
      }
    }),
    { numRuns: 50 },
  );
});

test('edits that make a good Model of a good one pass the file’s own rules', () => {
  const bad = editModel(BASE, [
    {
      edit: 'addService',
      service: { protocol: 'tcp', listen: { address: '192.0.2.1', port: 80 } },
      settings: {
        scheduler: 'rr',
        schedulePort: false,
        scheduleFallback: false,
        persistence: null,
        onePacket: false,
      },
    },
  ]);
  assert.equal(
    recheck(bad.model).map(({ code, message }) => `${code} ${message}`),
    [
      "ERR_CONFIG_CONFLICT service tcp-192.0.2.1-80: 192.0.2.1 is port front's own, " +
        'expected a virtual address of its own',
    ],
  );
  fc.assert(
    fc.property(edits, (all) => {
      // Only addresses can be wrong here, and these are apart.
      assert.equal(recheck(editModel(BASE, all).model), []);
    }),
    { numRuns: 30 },
  );
});

test('property: an edited Model is judged alike, whether all of it is looked at or what changed', () => {
  const start = editModel(BASE, [
    {
      edit: 'addService',
      service: { protocol: 'tcp', listen: { address: '203.0.113.2', port: 80 } },
      settings: {
        scheduler: 'rr',
        schedulePort: false,
        scheduleFallback: false,
        persistence: null,
        onePacket: false,
      },
    },
  ]).model;
  // Few enough for services, servers and local addresses to take one another's.
  const address = fc.constantFrom('203.0.113.1', '203.0.113.2', '198.51.100.11', '198.51.100.1');
  const id = fc.record({
    protocol: fc.constantFrom('tcp' as const, 'sctp' as const),
    listen: fc.record({ address, port: fc.constantFrom(0, 80) }),
  });
  const end = fc.record({ address, port: fc.constantFrom(0, 80) });
  const clashing: fc.Arbitrary<Edit> = fc.oneof(
    fc.record({
      edit: fc.constantFrom('addService' as const, 'editService' as const),
      service: id,
      settings: serviceSettings,
    }),
    fc.record({ edit: fc.constant('removeService' as const), service: id }),
    fc.record({
      edit: fc.constantFrom('addServer' as const, 'editServer' as const),
      service: id,
      server: end,
      settings: serverSettings,
    }),
    fc.record({ edit: fc.constant('removeServer' as const), service: id, server: end }),
    fc.record({
      edit: fc.constantFrom('addLocalAddress' as const, 'removeLocalAddress' as const),
      service: id,
      address,
    }),
    fc.record({
      edit: fc.constant('setTimeouts' as const),
      tcp: timeout,
      tcpFin: timeout,
      udp: timeout,
    }),
  );
  let refused = 0;
  let passed = 0;
  fc.assert(
    fc.property(fc.array(clashing, { minLength: 1, maxLength: 12 }), (all) => {
      let before = start;
      for (const one of all) {
        const { model, refusals } = editModel(before, [one]);
        if (refusals[0]) continue;
        const whole = recheck(model);
        assert.equal(recheck(model, before), whole);
        if (whole.length === 0) before = model;
        whole.length === 0 ? passed++ : refused++;
      }
    }),
    { numRuns: 300, seed: 1 },
  );
  assert.ok(passed > 100 && refused > 100, `${passed} passed, ${refused} refused`);
});

test('diff: a pass phrase that changes is a change, and is not shown', () => {
  const [first, ...others] = structuredClone(BASE).services;
  assert.ok(first?.servers[0]);
  const before = { ...BASE, services: [first, ...others] };
  const after = structuredClone(before);
  const check = { type: 'http', tls: true, password: 'old-phrase' };
  before.services[0]!.servers[0]!.health.checks = [check as Check];
  after.services[0]!.servers[0]!.health.checks = [{ ...check, password: 'new-phrase' } as Check];
  const [change] = diffModels(before, after);
  assert.equal(change?.details, ['check http password changed']);
  assert.not.match(JSON.stringify(change), /phrase/);
});

test('diff: nothing for the same, each thing once, and the way back undoes it', () => {
  fc.assert(
    fc.property(edits, (all) => {
      const { model } = editModel(BASE, all);
      assert.equal(diffModels(BASE, structuredClone(BASE)), []);
      const there = diffModels(BASE, model);
      const keys = there.map(({ what, key }) => `${what} ${key}`);
      assert.is(new Set(keys).size, keys.length);
      const opposite = { added: 'removed', removed: 'added', changed: 'changed' };
      const back = diffModels(model, BASE).map(({ change, key }) => `${change} ${key}`);
      assert.equal(
        back.sort(),
        there.map(({ change, key }) => `${opposite[change]} ${key}`).sort(),
      );
    }),
  );
});

test('merge: an unchanged file keeps every edit, an unedited state takes the file', () => {
  fc.assert(
    fc.property(edits, (all) => {
      const { model } = editModel(BASE, all);
      const kept = mergeModels(BASE, structuredClone(BASE), model);
      assert.equal(diffModels(kept.model, model), []);
      assert.equal(kept.overruled, []);
      const taken = mergeModels(BASE, model, BASE);
      assert.equal(diffModels(taken.model, model), []);
      assert.equal(taken.overruled, []);
    }),
  );
});

test('merge: what was removed and added again at run time stays in its new place', () => {
  const at = {
    service: { protocol: 'tcp' as const, listen: { address: '203.0.113.1', port: 80 } },
    server: { address: '198.51.100.11', port: 8080 },
  };
  const settings = { mode: 'nat' as const, weight: 1, upperThreshold: 0, lowerThreshold: 0 };
  const running = editModel(BASE, [
    { edit: 'removeServer', ...at },
    { edit: 'addServer', ...at, settings },
  ]).model;
  const order = (model: Model) => model.services[0]?.servers.map(({ address }) => address.address);
  assert.equal(order(running), ['198.51.100.12', '198.51.100.11']);
  assert.equal(order(mergeModels(BASE, structuredClone(BASE), running).model), order(running));
});

test('merge: where file and edits touch different things, both are there', () => {
  fc.assert(
    fc.property(edits, edits, (first, second) => {
      const file = editModel(
        BASE,
        first.filter((one) => 'service' in one && one.service.listen.port === 80),
      ).model;
      const apart = second.filter((one) => 'service' in one && one.service.listen.port === 81);
      const running = editModel(BASE, apart).model;
      const { model, overruled } = mergeModels(BASE, file, running);
      assert.equal(overruled, []);
      assert.equal(asRows(model), asRows(editModel(file, apart).model));
    }),
  );
});

test.run();
