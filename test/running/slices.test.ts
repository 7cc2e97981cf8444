/** What is long is done in slices: the event loop goes round between them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceReport } from '../../src/api/types.js';
import { collected, pacer } from '../../src/slices.js';
import { type MetricSources, metrics } from '../../src/stats/metrics.js';
import { ipvsFiles } from '../../src/stats/procfs.js';

function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** How often the event loop goes round meanwhile. */
async function turnsDuring(action: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let over = false;
  const turn = () => {
    turns++;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  await action();
  over = true;
  return turns;
}

function* slowly<T>(things: Iterable<T>): Generator<T> {
  for (const thing of things) {
    work(2);
    yield thing;
  }
}

const SERVICE = {
  name: 'web',
  protocol: 'tcp',
  address: '203.0.113.10',
  port: 80,
  scheduler: 'rr',
  flags: [],
  rates: { cps: 0, inPps: 0, outPps: 0, inBps: 0, outBps: 0 },
  conns: 1,
  inPkts: 2,
  outPkts: 3,
  inBytes: 4,
  outBytes: 5,
  servers: [
    { address: '198.51.100.11', port: 80, forward: 'Masq', weight: 1, active: 1, inactive: 0 },
  ],
} as unknown as ServiceReport;

test('what takes long lets the event loop go round, what does not is done at once', async () => {
  const numbers = Array.from({ length: 20 }, (_, n) => n);
  let all: number[] = [];
  const turns = await turnsDuring(async () => {
    all = await collected(slowly(numbers));
  });
  assert.equal(all, numbers);
  assert.ok(turns >= 4, `${turns} turns in 40 ms`);
  const rest = pacer(60_000);
  assert.is(rest(), undefined);
});

test('the files for readers of /proc are made in slices', async () => {
  const services = Array.from({ length: 20 }, () => SERVICE);
  let files = { table: '', stats: '' };
  const turns = await turnsDuring(async () => {
    files = await ipvsFiles(slowly(services), 64);
  });
  assert.ok(turns >= 4, `${turns} turns in 40 ms`);
  assert.is(files.table.split('\n').length, 3 + 2 * services.length + 1);
  assert.match(files.stats, /^ {6}14 {7}28 {7}3C {15}50 {15}64$/m);
});

test('a metric of very many servers comes in many pieces, and in them is what one would say', () => {
  const few = { ...SERVICE, servers: SERVICE.servers.slice(0, 1) };
  const servers = Array.from({ length: 5_000 }, () => SERVICE.servers[0]!);
  const text = (services: ServiceReport[]) => [
    ...metrics({
      services,
      ports: [],
      drops: { ends: [], extra: {} },
      sync: { running: false, figures: {} },
      vrrp: { instances: [] },
      status: { workers: [], alerts: [] },
    } as unknown as MetricSources),
  ];
  const pieces = text([{ ...SERVICE, servers }]);
  assert.ok(pieces.length > 70, `${pieces.length} pieces`);
  assert.ok(Math.max(...pieces.map(({ length }) => length)) < 70_000);
  assert.is(
    [...new Set(pieces.join('').split('\n'))].join('\n'),
    [...new Set(text([few]).join('').split('\n'))].join('\n'),
  );
});

test.run();
