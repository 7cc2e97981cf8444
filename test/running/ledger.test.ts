/** The running state written down by one control plane, and read by the next. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { Ledger, type Past } from '../../src/ledger.js';
import { ALL_UP } from '../../src/plan.js';
import { applyChange, Memory, type MemoryContents } from '../../src/supervisor/memory.js';
import { type Surroundings, Transactions } from '../../src/transaction.js';
import { pastOf } from '../../src/upgrade/past.js';

const yaml = (services: string) => `
ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.254/24] }]
services:
${services}`;
const service = (n: number, weight = 1) => `
  - name: s${n}
    listen: 203.0.113.${n}:80
    mode: dr
    servers: [{ address: 192.0.2.${n}:80, weight: ${weight} }, { address: 192.0.2.250:80 }]`;

/** The supervisor's side: what has been sent, cloned as it is between threads. */
class Vault {
  readonly contents: MemoryContents = new Map();
  sent = 0;

  memory(): Memory {
    return new Memory(structuredClone(this.contents), (changes) => {
      this.sent += changes.length;
      for (const change of structuredClone(changes)) applyChange(this.contents, change);
    });
  }
}

function running(vault: Vault, text: string, heir?: Past) {
  const published: Uint8Array[] = [];
  const ledger = new Ledger(vault.memory());
  const past = heir ?? ledger.past();
  const around: Surroundings = {
    publish: (snapshot) => published.push(snapshot),
    counters: { busyServers: () => new Set(), rebase() {} } as unknown as Surroundings['counters'],
    rates: { follow() {}, restart() {} } as unknown as Surroundings['rates'],
    health: () => ALL_UP,
    ledger,
  };
  const loaded = past?.loaded ?? parseConfig(text, 'd.yaml');
  const transactions = new Transactions(loaded, around, past);
  transactions.start();
  return { transactions, published, past };
}

const remove = (n: number) =>
  ({
    edit: 'removeService',
    service: { protocol: 'tcp', listen: { address: `203.0.113.${n}`, port: 80 } },
  }) as const;

test('the next one publishes the same bytes, and knows edits, history and slots', async () => {
  const vault = new Vault();
  const first = running(vault, yaml([1, 2, 3].map((n) => service(n)).join('')));
  first.transactions.edit([remove(2)], 'ipvsadm -D', true);
  first.transactions.load(
    parseConfig(yaml([1, 2, 3, 4].map((n) => service(n)).join('')), 'd.yaml'),
    'keep',
    'reload',
  );
  await Promise.resolve();

  const next = running(vault, 'nobody reads this');
  assert.ok(next.past);
  assert.is(next.published.length, 1);
  assert.equal(next.published[0], first.published.at(-1));
  assert.equal(next.transactions.model, first.transactions.model);
  assert.equal(next.transactions.edits(), first.transactions.edits());
  assert.is(next.transactions.edits().length, 3, 'a service and its servers');
  assert.equal(next.transactions.history(), first.transactions.history());
  const slots = ({ planned }: Transactions) => [...planned.slots.servers];
  assert.equal(slots(next.transactions), slots(first.transactions));
  assert.ok(
    slots(next.transactions).some(([key, { live }]) => key.startsWith('tcp 203.0.113.2:') && !live),
    'what was removed keeps its slot for its connections',
  );

  const { summary } = next.transactions.rollback(undefined, 'rollback');
  assert.is(summary, '- service tcp 203.0.113.4:80 with 2 servers 192.0.2.4:80, 192.0.2.250:80');
  assert.equal(
    next.transactions.model.services.map(({ name }) => name),
    ['s1', 's3'],
  );
  assert.is(next.transactions.history().at(-1)?.generation, 4);
});

test('rollback over an upgrade: what only a start can change stays, and is named', async () => {
  const vault = new Vault();
  const back = '{ name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }';
  const before = yaml(service(1)).replace('addresses: [192.0.2.254/24] }', `$& , ${back}`);
  const first = running(vault, before.replace(' ,', ','));
  const routed = `routes: [{ to: 10.0.0.0/8, via: 198.51.100.2 }]${before.replace(' ,', ',')}`;
  first.transactions.load(parseConfig(routed, 'd.yaml'), 'refuse', 'reload');
  await Promise.resolve();

  const after = `director: { maxServers: 99, alerts: { table: 50 } }${yaml(service(1, 5))}`;
  const taken = { discardEdits: false, version: '1' };
  const past = pastOf(
    new Ledger(vault.memory()).past() as Past,
    parseConfig(after, 'd.yaml'),
    taken,
  );
  const { transactions } = running(vault, '', past);
  const upgraded = transactions.history().at(-1);
  assert.is(upgraded?.cause, 'upgrade from 1 with d.yaml');
  assert.match(upgraded?.summary ?? '', /^~ server tcp \S+ \S+: weight 1 → 5; - route 10\./);

  const report = transactions.rollback(1, 'rollback');
  assert.is(
    report.summary,
    '~ server tcp 203.0.113.1:80 192.0.2.1:80: weight 5 → 1; ~ setting director: alerts table 50 → 90',
  );
  assert.equal(report.warnings.slice(0, 2), [
    'director.maxServers stays as it is: only a restart changes it',
    'ports stays as it is: only a restart changes it',
  ]);
  assert.is(transactions.model.director.maxServers, 99);
  assert.equal(
    transactions.model.ports.map(({ name }) => name),
    ['front'],
  );
  // Its route is by a port that is no more.
  assert.throws(() => transactions.rollback(2, 'rollback'), /back/);
  assert.is(
    transactions.rollback(undefined, 'rollback').summary.split(';')[0],
    '~ server tcp 203.0.113.1:80 192.0.2.1:80: weight 1 → 5',
  );
});

test('an edit of one service among many sends that service, not the others', async () => {
  const vault = new Vault();
  const all = Array.from({ length: 200 }, (_, n) => service(n + 1)).join('');
  const { transactions } = running(vault, yaml(all));
  await Promise.resolve();
  const before = vault.sent;
  transactions.edit(
    [
      {
        edit: 'editServer',
        service: { protocol: 'tcp', listen: { address: '203.0.113.7', port: 80 } },
        server: { address: '192.0.2.7', port: 80 },
        settings: { mode: 'dr', weight: 5, upperThreshold: 0, lowerThreshold: 0 },
      },
    ],
    'ipvsadm -e',
    true,
  );
  await Promise.resolve();
  assert.ok(vault.sent - before <= 6, `${vault.sent - before} changes`);
});

test('generations that are not kept any more leave nothing behind', async () => {
  const vault = new Vault();
  const all = (weight: number) =>
    Array.from({ length: 120 }, (_, n) => service(n + 1, weight)).join('');
  const { transactions } = running(vault, yaml(all(1)));
  for (let weight = 2; weight < 50; weight++) {
    transactions.load(parseConfig(yaml(all(weight)), 'd.yaml'), 'keep', 'reload');
  }
  await Promise.resolve();
  const parts = vault.contents.get('model.parts')?.size ?? 0;
  assert.is(vault.contents.get('model.generations')?.size, 32);
  assert.ok(parts < 10_000, `${parts} parts for 32 generations of 120 services`);
  const next = running(vault, '');
  assert.equal(next.transactions.model, transactions.model);
  assert.equal(next.transactions.history(), transactions.history());
  next.transactions.rollback(40, 'rollback');
  assert.is(next.transactions.model.services[0]?.servers[0]?.weight, 40);
});

test.run();
