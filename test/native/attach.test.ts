// timeout: 120
// serial: worker lcores poll
/**
 * Threads of one process share the running engine: they attach to it, and end in any way at any
 * moment without anything happening to it.
 */
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, type EngineEvent, native } from '../../src/native.js';
import { inside, ip, until } from './support/inside.js';
import { LIMITS, snapshot, udpService, wide } from './support/snapshots.js';

const require = createRequire(import.meta.url);
const addon =
  process.env.SLUICE_ADDON ??
  (require('bindings') as (options: object) => string)({
    bindings: 'sluice',
    path: true,
  });

/** A thread that attaches, says `ready`, and then does what `body` says: JavaScript. */
async function attached(body: string): Promise<{ worker: Worker; said: unknown[] }> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const say = (what) => parentPort.postMessage(what);
     const engine = require(${JSON.stringify(addon)}).attachEngine((event) => say(event));
     parentPort.on('message', () => {});
     say('ready');
     ${body}`,
    { eval: true },
  );
  const said: unknown[] = [];
  worker.on('message', (message) => said.push(message));
  worker.on('error', (error) => said.push(error));
  await until('the thread to attach', () => said.length > 0, 20_000);
  assert.is(said[0], 'ready');
  return { worker, said };
}

if (inside(import.meta.url, 'threads that share an engine')) {
  const events: EngineEvent[] = [];
  let engine: Engine;
  const wanted = () =>
    snapshot({
      services: [udpService('203.0.113.10', 4000, '192.0.2.9', 'dr')],
      owned: [wide('203.0.113.10')],
    });

  test('where no engine runs there is none to attach to', () => {
    try {
      native().attachEngine(() => {});
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code?: string }).code, 'ERR_NATIVE_STOPPED');
    }
  });

  test('a thread attaches, publishes and lists, and events come to it', async () => {
    ip('link set lo up', 'link add f0 type veth peer name f1', 'link set f0 up', 'link set f1 up');
    engine = native().startEngine(
      {
        eal: { hugepages: false, memory: 256, workerCpus: [cpus().length - 1], pci: [] },
        ports: [{ name: 'front', device: 'net_af_packet0,iface=f0', mtu: 1500 }],
        limits: LIMITS,
        idle: { afterUs: 500, sleepUs: 100 },
        mbufs: 16384,
      },
      (event) => events.push(event),
    );
    const { worker, said } = await attached(`
      engine.publish(Uint8Array.from(${JSON.stringify([...wanted()])}));
      engine.connections(0, 0, 10).then((page) => say(['page', page.cursor, page.records.length]));
      say(['ports', engine.ports().map(({ name }) => name)]);
      say(['lag', engine.workerLag().length]);
      say(['same', engine.countersLocation().address]);
    `);
    await until('its answers', () => said.length >= 5);
    assert.equal(said.slice(1, 4), [
      ['ports', ['front']],
      ['lag', 1],
      ['same', engine.countersLocation().address],
    ]);
    assert.equal(said[4], ['page', 0, 0]);
    const before = events.length;
    ip('link set f1 down');
    const link = () => said.some((one) => (one as EngineEvent).type === 'link');
    await until('the event of a link that went down', link);
    assert.is(events.length, before, 'told once, to whoever came last');
    await worker.terminate();
  });

  test('without it events come to the one that started the engine', async () => {
    ip('link set f1 up');
    await until('the event of a link that came up', () =>
      events.some(({ type, message }) => type === 'link' && /is up/.test(message)),
    );
  });

  test('a thread that ends in the middle of anything ends alone', async () => {
    const bodies = [
      'for (;;) engine.ports();',
      'for (;;) engine.workerLag();',
      `const bytes = Uint8Array.from(${JSON.stringify([...wanted()])}); for (;;) engine.publish(bytes);`,
      'for (let i = 0; i < 2000; i++) engine.connections(0, 0, 65536); for (;;);',
      'const more = () => engine.connections(0, 0, 9).then(more, more); for (let i = 0; i < 50; i++) more();',
    ];
    for (let round = 0; round < 4; round++) {
      for (const body of bodies) {
        const { worker } = await attached(body);
        await new Promise((done) => setTimeout(done, Math.random() * 30));
        await worker.terminate();
      }
    }
    engine.publish(wanted());
    assert.is((await engine.connections(0, 0, 10)).cursor, 0);
    await until('the worker to go round', () => engine.workerLag()[0]! < 1e6);
  });

  test('stopped by one, it is stopped for all', async () => {
    const { worker, said } = await attached(
      `setInterval(() => { try { engine.ports() } catch (error) { say(error.code) } }, 10);`,
    );
    engine.stop();
    await until('the thread to be refused', () => said.includes('ERR_NATIVE_STOPPED'));
    await worker.terminate();
    assert.throws(() => engine.ports());
  });
}

test.run();
