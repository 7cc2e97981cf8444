/** The supervisor over threads that fail in every way they can; the engine is a stand-in. */
import { PassThrough } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLogger } from '../../src/log.js';
import { Backoff } from '../../src/supervisor/backoff.js';
import { applyChange, Memory, type MemoryContents } from '../../src/supervisor/memory.js';
import { ServiceManager } from '../../src/supervisor/notify.js';
import { LOOK_MS, Pulse } from '../../src/supervisor/pulse.js';
import { type OwnedEngine, Supervisor } from '../../src/supervisor/supervisor.js';

test('back-off: twice as long each time up to the most, from the beginning after a calm', () => {
  const backoff = new Backoff({ first: 100, most: 700, calm: 5_000 });
  assert.equal(
    [10, 10, 4_999, 0, 0, 5_000, 0].map((ran) => backoff.wait(ran)),
    [100, 200, 400, 700, 700, 100, 200],
  );
});

test('pulse: as many looks without a beat as the limit has, and any beat begins anew', () => {
  const pulse = new Pulse(4 * LOOK_MS);
  assert.equal(
    [0, 0, 0, 0, 1, 1, 1, 1, 1].map((beats) => pulse.look(beats)),
    [true, true, true, true, true, true, true, true, false],
  );
  const short = new Pulse(1);
  assert.equal(
    [5, 5, 5].map((beats) => short.look(beats)),
    [true, true, false],
    'one look alone finds nobody dead',
  );
});

test('memory: changes of a turn travel together, and what is forgotten is gone', async () => {
  const held: MemoryContents = new Map();
  const sent: number[] = [];
  const memory = new Memory(new Map(), (changes) => {
    sent.push(changes.length);
    for (const change of structuredClone(changes)) applyChange(held, change);
  });
  const store = memory.of<number>('health');
  store.set('a', 1);
  store.set('b', 2);
  store.set('a', undefined);
  assert.equal(sent, []);
  await Promise.resolve();
  assert.equal(sent, [3]);
  store.set('c', 3);
  memory.flush();
  assert.equal(sent, [3, 1], 'at once');
  await Promise.resolve();
  assert.equal(sent, [3, 1], 'and not again');
  const next = new Memory(structuredClone(held)).of<number>('health');
  assert.equal(Object.fromEntries(next.entries()), { b: 2, c: 3 });
  assert.is(next.get('a'), undefined);
});

test('the service manager is told in its own words', () => {
  const told: string[] = [];
  const send = (text: string) => told.push(text);
  const manager = new ServiceManager(send, { WATCHDOG_USEC: '9000000' });
  assert.is(manager.watchdogMs, 9_000);
  manager.ready('forwarding;\n2 services');
  manager.status('x');
  manager.alive();
  manager.stopping();
  assert.equal(told, [
    'READY=1\nSTATUS=forwarding; 2 services\n',
    'STATUS=x\n',
    'WATCHDOG=1\n',
    'STOPPING=1\nSTATUS=stopping\n',
  ]);
  told.length = 0;
  manager.reloading();
  assert.match(told[0] ?? '', /^RELOADING=1\nMONOTONIC_USEC=\d{6,}\nSTATUS=reloading\n$/);
  const other = { WATCHDOG_USEC: '9000000', WATCHDOG_PID: '1' };
  for (const environment of [{}, other, { WATCHDOG_USEC: 'x' }]) {
    const silent = new ServiceManager(send, environment);
    told.length = 0;
    silent.alive();
    assert.equal([silent.watchdogMs, told], [undefined, []]);
  }
});

/** A thread that beats, has the engine started, and is ready; `rest` is what else it does. */
const thread = (rest: string) => `
  import { parentPort, workerData } from 'node:worker_threads';
  const beats = new Int32Array(workerData.beats);
  setInterval(() => Atomics.add(beats, 0, 1), 20);
  const send = (message) => parentPort.postMessage(message);
  const runs = workerData.memory.get('test')?.get('runs') ?? 0;
  const ready = () => {
    send({ type: 'keep', changes: [['test', 'runs', runs + 1]] });
    send({ type: 'ready', status: 'run ' + (runs + 1) });
  };
  const stopped = () => send({ type: 'stopped', error: undefined });
  const handlers = { done: ready, stop: stopped, reload: () => send({ type: 'reloaded', status: 'reloaded' }) };
  parentPort.on('message', (message) => handlers[message.type](message));
  if (runs === 0) send({ type: 'engine', options: {} });
  else ready();
  ${rest}`;

class Stage {
  readonly told: string[] = [];
  readonly supervisor: Supervisor;
  log = '';
  engines = 0;
  stops = 0;
  lagUs = 0;

  constructor(code: string, environment: NodeJS.ProcessEnv = {}) {
    const stream = new PassThrough();
    stream.on('data', (chunk: Buffer) => {
      this.log += chunk;
    });
    const engine: OwnedEngine = {
      stop: () => {
        this.stops++;
      },
      workerLag: () => Float64Array.of(this.lagUs),
    };
    this.supervisor = new Supervisor(
      {
        config: 'x.yaml',
        logLevel: 'info',
        heap: 32,
        timeoutMs: 1_000,
        workerLagMs: 5_000,
        backoff: { first: 10, most: 40, calm: 60_000 },
        entry: new URL(`data:text/javascript,${encodeURIComponent(code)}`),
        startEngine: () => {
          this.engines++;
          return engine;
        },
      },
      createLogger({ stream }),
      new ServiceManager((text) => this.told.push(text.split('\n')[0] ?? ''), environment),
    );
  }

  async until(what: string, met: () => boolean): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!met()) {
      if (Date.now() > deadline) throw new Error(`waited for ${what} in vain:\n${this.log}`);
      await new Promise((done) => setTimeout(done, 10));
    }
  }
}

for (const [what, failure, code] of [
  ['an exception', `throw new Error('a test threw this')`, 'ERR_CONTROL_CRASHED'],
  ['a rejection', `Promise.reject(new Error('a test threw this'))`, 'ERR_CONTROL_CRASHED'],
  ['an end', `process.exit(3)`, 'ERR_CONTROL_CRASHED'],
  ['an endless loop', `for (;;);`, 'ERR_CONTROL_HUNG'],
  [
    'a growing heap',
    `const all = [];
     const more = () => { for (let i = 0; i < 100; i++) all.push(new Array(1000).fill(Math.random())); setImmediate(more); };
     more();`,
    'ERR_CONTROL_MEMORY',
  ],
] as const) {
  test(`${what}: told, and another thread goes on with the same engine and memory`, async () => {
    const stage = new Stage(
      thread(`if (runs < 2) setTimeout(() => { ${failure} }, runs === 0 ? 200 : 50);`),
    );
    await stage.supervisor.start();
    await stage.until(
      'two restarts',
      () => stage.told.filter((one) => one === 'READY=1').length > 2,
    );
    assert.is(stage.supervisor.restarts, 2);
    assert.is(stage.log.split(code).length - 1, 2, stage.log);
    assert.is(stage.log.split('the control plane is back after').length - 1, 2);
    assert.equal([stage.engines, stage.stops], [1, 0]);
    assert.is(await stage.supervisor.stop(), undefined);
    assert.equal([stage.engines, stage.stops], [1, 1]);
    assert.is(stage.told.at(-1), 'STOPPING=1');
  });
}

test('a start that fails says why, and leaves nothing', async () => {
  const stage = new Stage(`
    import { parentPort } from 'node:worker_threads';
    const error = { code: 'ERR_CONFIG', message: 'x.yaml has an error', stack: undefined };
    parentPort.postMessage({ type: 'failed', error });
    process.exit(1);`);
  try {
    await stage.supervisor.start();
    assert.unreachable();
  } catch (error) {
    assert.equal(
      [(error as Error).message, (error as { code?: string }).code],
      ['x.yaml has an error', 'ERR_CONFIG'],
    );
  }
  assert.is(stage.engines, 0);
  assert.equal(stage.told, []);
});

test('a reload that is asked for while there is no control plane is for the next one', async () => {
  const stage = new Stage(thread(`if (runs === 0) setTimeout(() => process.exit(1), 50);`));
  await stage.supervisor.start();
  await stage.until('the end', () => stage.log.includes('ERR_CONTROL_CRASHED'));
  stage.supervisor.reload();
  await stage.until('the reload', () => stage.told.filter((one) => one === 'READY=1').length > 2);
  await stage.supervisor.stop();
});

test('the watchdog is fed while the workers go round, and while a control plane is replaced', async () => {
  const hang = `if (runs === 0) setTimeout(() => { for (;;); }, 100);`;
  const stage = new Stage(thread(hang), { WATCHDOG_USEC: '60000' });
  await stage.supervisor.start();
  const fed = () => stage.told.filter((one) => one === 'WATCHDOG=1').length;
  await stage.until('food', () => fed() > 3);
  await stage.until('the restart', () => stage.supervisor.restarts > 0);
  assert.ok(fed() > 10, `fed ${fed()} times in a second of hanging`);
  stage.lagUs = 6e6;
  await new Promise((done) => setTimeout(done, 50));
  const hungry = fed();
  await new Promise((done) => setTimeout(done, 200));
  assert.is(fed(), hungry, 'a worker is stuck');
  await stage.supervisor.stop();
});

test.run();
