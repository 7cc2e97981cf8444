/** Which services and servers a listing has. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { servicesQuery } from '../../src/api/requests.js';
import { parseConfig } from '../../src/config/load.js';
import { type Health, plan, type ServerState } from '../../src/plan.js';
import { NO_RATES, type Rates } from '../../src/stats/rates.js';
import { everything, select } from '../../src/stats/selection.js';

const { model } = parseConfig(
  `\
ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [198.51.100.1/24] }]
services:
  - { name: web, listen: 203.0.113.10:80, mode: nat, servers: [{ address: 198.51.100.11:80 }, { address: 198.51.100.12:80 }, { address: 198.51.100.13:80 }] }
  - { name: dns, listen: 203.0.113.53:53, protocol: udp, mode: nat, servers: [{ address: 198.51.100.21:53 }, { address: 198.51.100.22:53 }] }
  - { name: mail, listen: 203.0.113.25:25, mode: nat, servers: [{ address: 198.51.100.31:25 }] }
  - { name: Archive, listen: 203.0.113.26:80, mode: nat, servers: [{ address: 198.51.100.41:80, weight: 0 }] }
  - { name: new, listen: 203.0.113.27:80, mode: nat, servers: [] }
`,
  'd.yaml',
);
const down = (...keys: string[]): Health => ({
  servers: new Map(keys.map((key): [string, ServerState] => [key, { up: false, weight: 1 }])),
  lost: new Set(),
});
const planned = plan(
  model,
  down('udp 203.0.113.53:53 198.51.100.22:53', 'tcp 203.0.113.25:25 198.51.100.31:25'),
);
const slotOf = (name: string) =>
  planned.snapshot.services[model.services.findIndex((one) => one.name === name)]?.slot;

const RATES: Record<string, Partial<Rates>> = {
  web: { inPps: 5, outPps: 5, cps: 1, inBps: 1 },
  dns: { inPps: 11, cps: 3 },
  mail: { outBps: 9_000 },
};
const rates = {
  service: (slot: number): Rates => {
    const [, of = {}] = Object.entries(RATES).find(([name]) => slotOf(name) === slot) ?? [];
    return { ...NO_RATES, ...of };
  },
};

async function listed(query: Record<string, string | number>): Promise<Record<string, number[]>> {
  const asked = Object.fromEntries(Object.entries(query).map(([key, one]) => [key, String(one)]));
  const chosen = await select(model, planned, rates, servicesQuery.parse(asked));
  return Object.fromEntries(
    chosen.map(({ index, servers }) => [model.services[index]?.name, [...servers]]),
  );
}
const names = async (query: Record<string, string | number>) => Object.keys(await listed(query));

test('all, unless asked for less', async () => {
  assert.equal(await listed({}), { web: [0, 1, 2], dns: [0, 1], mail: [0], Archive: [0], new: [] });
  const all = [...everything(model)].map(({ servers }) => [...servers]);
  assert.equal(all, [[0, 1, 2], [0, 1], [0], [0], []]);
});

test('by name or by rates, the most first; what is equal stays as it is configured', async () => {
  assert.equal(await names({ sort: 'packets' }), ['dns', 'web', 'mail', 'Archive', 'new']);
  assert.equal(await names({ sort: 'bits' }), ['mail', 'web', 'dns', 'Archive', 'new']);
  assert.equal(await names({ sort: 'connections' }), ['dns', 'web', 'mail', 'Archive', 'new']);
  assert.equal(await names({ sort: 'name' }), ['Archive', 'dns', 'mail', 'new', 'web']);
  assert.equal(await names({ sort: 'packets', limit: 1, offset: 1 }), ['web']);
});

test('by how they are', async () => {
  assert.equal(await names({ state: 'degraded' }), ['dns', 'mail', 'Archive']);
  assert.equal(await names({ state: 'down' }), ['mail', 'Archive']);
  assert.equal(await names({ state: 'down', match: 'mail' }), ['mail']);
});

test('by a name or an address; of servers that do not fit, those that match come first', async () => {
  assert.equal(await listed({ match: '100.13', servers: 2 }), { web: [2, 0] });
  assert.equal(await listed({ match: '100.13' }), { web: [0, 1, 2] });
  assert.equal(await listed({ match: 'udp 203', servers: 1 }), { dns: [0] });
  assert.equal(await listed({ match: 'web', servers: 0 }), { web: [] });
});

test('no more lines than asked for', async () => {
  assert.equal(await listed({ lines: 1 }), { web: [] });
  assert.equal(await listed({ lines: 3 }), { web: [0, 1] });
  assert.equal(await listed({ lines: 6 }), { web: [0, 1, 2], dns: [0] });
  assert.equal(await listed({ lines: 6, servers: 1 }), { web: [0], dns: [0], mail: [0] });
  assert.equal(await listed({ lines: 3, servers: 0 }), { web: [], dns: [], mail: [] });
});

test.run();
