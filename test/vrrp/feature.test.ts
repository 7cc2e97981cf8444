/** The feature as a whole with a dataplane made of paper: what a reload does to running instances. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { keyFrom } from '../../src/key-file.js';
import { until } from '../../src/lab/command.js';
import { createLogger } from '../../src/log.js';
import type { Advert, Herald, HeraldNews, Remark, Seal, Succession } from '../../src/native.js';
import type { Role } from '../../src/plan.js';
import { openFrame } from '../../src/vrrp/frame.js';
import type { InstanceReport } from '../../src/vrrp/instance.js';
import { adverts } from '../../src/vrrp/messages.js';
import type { InstanceModel } from '../../src/vrrp/model.js';
import { decode } from '../../src/vrrp/packet.js';
import { Vrrp } from '../../src/vrrp/vrrp.js';
import { BASE } from '../config/support.js';
import { sealed } from './sealing.js';

/** Keeps what it is told; its alarm goes off as the real one does. */
class PaperHerald implements Herald {
  readonly repeated = new Map<number, Advert>();
  /** Instances that resigned with a farewell. */
  readonly farewells: number[] = [];
  readonly sent: Remark[] = [];
  /** What it would do at the alarm, and whether it may. */
  prepared: Succession | null = null;
  decided = false;
  #succeeded = false;
  onNews: () => void;
  readonly #heard: HeraldNews['heard'] = [];
  #alarm: NodeJS.Timeout | undefined;
  #completeMs = 0;

  constructor(onNews: () => void) {
    this.onNews = onNews;
  }
  /** A frame comes in by the first port. */
  hear(frame: Uint8Array): void {
    this.#heard.push({ atMs: Number(process.hrtime.bigint()) / 1e6, port: 0, frame });
    this.onNews();
  }
  repeat(instance: number, advert: Advert): void {
    this.repeated.set(instance, advert);
  }
  cease(instance: number, farewell: boolean): void {
    if (this.repeated.delete(instance) && farewell) this.farewells.push(instance);
  }
  send(remark: Remark): void {
    this.sent.push(remark);
  }
  readonly #sequences = new Map<number, number>();
  heed(instance: number, sequence: number): number {
    const last = Math.max(sequence, this.#sequences.get(instance) ?? 0);
    this.#sequences.set(instance, last);
    return last;
  }
  wakeAt(atMs: number, decided: boolean): void {
    clearTimeout(this.#alarm);
    this.decided = decided;
    const now = () => Number(process.hrtime.bigint()) / 1e6;
    const ring = () => {
      if (now() < atMs) return this.wakeAt(atMs, decided);
      this.#completeMs = now();
      this.#succeed();
      this.onNews();
    };
    if (atMs > 0) this.#alarm = setTimeout(ring, Math.max(0, atMs - now()));
  }
  #succeed(): void {
    if (!this.decided || !this.prepared) return;
    for (const { instance, advert } of this.prepared.adverts) this.repeat(instance, advert);
    this.prepared = null;
    this.#succeeded = true;
  }
  prepare(succession: Succession | null): void {
    this.prepared = succession;
  }
  renewLease(): void {}
  take(): HeraldNews {
    const succeeded = this.#succeeded;
    this.#succeeded = this.decided = false;
    const repeating = [...this.repeated.keys()];
    const completeMs = this.#completeMs;
    const figures = { lost: 0, unsent: 0, lateMs: 0 };
    return {
      lapsed: false,
      succeeded,
      completeMs,
      repeating,
      heard: this.#heard.splice(0),
      ...figures,
    };
  }
  /** The advert of an instance as a peer reads it. */
  said(instance: number) {
    const arrived = openFrame(this.repeated.get(instance)?.frames[0] as Uint8Array);
    const decoded = arrived && decode(arrived.payload, arrived);
    return decoded && 'message' in decoded ? decoded.message : undefined;
  }
}

const instance = (name: string, id: number, more: string) =>
  `    - { name: ${name}, port: front, routerId: ${id}, advertInterval: 10ms, ${more} }\n`;
const model = (...instances: string[]) =>
  parseConfig(`${BASE}vrrp:\n  instances:\n${instances.join('')}`, 'x.yaml').model;

/** `herald`: of a control plane before this one. */
function begin(first: ReturnType<typeof model>, herald?: PaperHerald) {
  let published = 0;
  const link = { up: true };
  const foreseen: Role[] = [];
  const vrrp = new Vrrp({
    log: createLogger({ level: 'error' }),
    engine: {
      ports: () =>
        ['front', 'back'].map((name, index) => ({
          name,
          up: name === 'front' ? link.up : true,
          mac: `02:00:00:00:01:0${index + 1}`,
        })),
      workerLag: () => [0],
    } as never,
    openHerald: (onNews) => {
      herald ??= new PaperHerald(onNews);
      herald.onNews = onNews;
      return herald;
    },
    changed: () => {
      published++;
    },
    foresee: (role) => {
      foreseen.push(role);
      return new Uint8Array(1);
    },
    guard: (_, action) => action(),
  });
  vrrp.update(first);
  vrrp.start();
  const states = () => vrrp.report().instances.map(({ name, state }) => `${name} ${state}`);
  return {
    vrrp,
    herald: () => herald as PaperHerald,
    states,
    published: () => published,
    foreseen,
    link,
  };
}

const master = (names: readonly string[], states: () => string[]) =>
  until(() => names.every((name) => states().includes(`${name} MASTER`)), 10_000);
const settled = () => new Promise((done) => setTimeout(done, 5));

test('a backup has prepared what it takes to be master, and lets the herald begin', async () => {
  const { vrrp, herald, states, foreseen, published } = begin(
    model(
      instance('A', 1, 'addresses: [203.0.113.1]').replace('10ms', '1s'),
      instance('B', 2, 'addresses: [203.0.113.2, 203.0.113.3]').replace('10ms', '1s'),
    ),
  );
  assert.ok(await until(() => herald().prepared !== null, 3_000, 5));
  assert.equal(states(), ['A BACKUP', 'B BACKUP']);
  const { adverts = [], remarks = [] } = herald().prepared ?? {};
  assert.equal(
    adverts.map(({ instance: id }) => id),
    [1, 2],
  );
  assert.equal(
    remarks.map(({ instance: id }) => id),
    [1, 2, 2],
  );
  for (const address of ['203.0.113.1', '203.0.113.2']) {
    assert.is(foreseen.at(-1)?.addresses.get(address)?.ours, true);
    assert.is(vrrp.role().addresses.get(address)?.ours, false);
  }
  // A publication: what was prepared from the one before is worth nothing, until it is made anew.
  herald().prepare(null);
  vrrp.published();
  assert.ok(await until(() => herald().prepared !== null, 3_000, 5));
  assert.ok(await until(() => herald().repeated.size === 2, 20_000, 5));
  await master(['A', 'B'], states);
  assert.is(published() > 0, true);
  await vrrp.stop();
  assert.is(herald().prepared, null);
});

test('a backup that has lost its own link takes silence for nothing', async () => {
  const { vrrp, link, states } = begin(
    model(instance('A', 1, 'addresses: [203.0.113.1]').replace('10ms', '50ms')),
  );
  assert.equal(states(), ['A BACKUP']);
  // After the first look at links, and long before Master_Down.
  link.up = false;
  assert.ok(await until(() => states()[0] === 'A FAULT', 10_000, 1), states().join());
  assert.is(vrrp.report().instances[0]?.becameMaster, 0);
  link.up = true;
  assert.ok(await master(['A'], states));
  // The link is lost right before the end of Master_Down, where nothing looks at it but the alarm.
  const other = begin(model(instance('B', 2, 'addresses: [203.0.113.2]')));
  other.link.up = false;
  assert.ok(await until(() => other.states()[0] !== 'B BACKUP', 10_000, 1));
  assert.equal(other.states(), ['B FAULT']);
  assert.is(other.vrrp.report().instances[0]?.becameMaster, 0);
  await Promise.all([vrrp.stop(), other.vrrp.stop()]);
});

test('a reload of a master changes what it says, not what it is', async () => {
  const { vrrp, herald, states, published } = begin(
    model(instance('A', 1, 'addresses: [203.0.113.1]')),
  );
  await master(['A'], states);
  const since = vrrp.report().instances[0]?.since;
  const before = { published: published(), sent: herald().sent.length };
  vrrp.update(
    model(
      instance('A', 1, 'priority: 120, addresses: [203.0.113.1, 203.0.113.2], garp: { delay: 0 }'),
    ),
  );
  await settled();
  assert.equal(states(), ['A MASTER']);
  assert.is(vrrp.report().instances[0]?.since, since);
  assert.equal(herald().farewells, []);
  assert.is(published(), before.published, 'whoever changes the configuration publishes it');
  assert.is(herald().said(1)?.priority, 120);
  assert.equal(herald().said(1)?.addresses, ['203.0.113.1', '203.0.113.2']);
  // Gratuitous ARP for the new address alone.
  const told = herald().sent.slice(before.sent);
  assert.is(told.length, 5);
  for (const { frame } of told) assert.equal([...frame.subarray(38, 42)], [203, 0, 113, 2]);
  assert.is(vrrp.role().addresses.get('203.0.113.2')?.ours, true);
  vrrp.update(
    model(
      instance('A', 1, 'addresses: [203.0.113.2], advertInterval: 20ms').replace(
        'advertInterval: 10ms, ',
        '',
      ),
    ),
  );
  await settled();
  assert.equal(herald().said(1)?.addresses, ['203.0.113.2']);
  assert.is(herald().repeated.get(1)?.intervalUs, 20_000);
  assert.is(herald().sent.length, before.sent + 5, 'nothing is told of what has gone');
  assert.not(vrrp.role().addresses.has('203.0.113.1'));
  await vrrp.stop();
});

test('instances come and go; the others do not notice', async () => {
  const one = instance('A', 1, 'addresses: [203.0.113.1]');
  const two = instance('B', 2, 'addresses: [203.0.113.2]');
  const { vrrp, herald, states } = begin(model(one));
  await master(['A'], states);
  const since = vrrp.report().instances[0]?.since;
  vrrp.update(model(one, two));
  assert.equal(states(), ['A MASTER', 'B BACKUP']);
  await master(['B'], states);
  vrrp.update(model(two));
  assert.equal(states(), ['B MASTER']);
  assert.equal(herald().farewells, [1], 'A has resigned');
  vrrp.update(model(one, two));
  assert.equal(states(), ['A BACKUP', 'B MASTER']);
  assert.not.equal(vrrp.report().instances[0]?.since, since);
  await vrrp.stop();
  assert.equal(states(), ['A STOP', 'B STOP']);
  assert.is(herald().repeated.size, 0);
});

test('a group that is made of a master and a backup is master as a whole, or not at all', async () => {
  const one = instance('A', 1, 'addresses: [203.0.113.1]');
  const two = instance('B', 2, 'addresses: [203.0.113.2]');
  const { vrrp, states } = begin(model(one));
  await master(['A'], states);
  const grouped = parseConfig(
    `${BASE}vrrp:\n  instances:\n${one}${two}  groups: [{ name: G, instances: [A, B] }]\n`,
    'x.yaml',
  ).model;
  vrrp.update(grouped);
  assert.equal(states(), ['A BACKUP', 'B BACKUP']);
  await until(() => states().join() === 'A MASTER,B MASTER', 10_000);
  assert.equal(states(), ['A MASTER', 'B MASTER']);
  assert.is(vrrp.report().groups[0]?.state, 'MASTER');
  await vrrp.stop();
});

/** What a peer of the highest priority says of a router ID, a second apart. */
function fromPeer(keys: string, seal?: Seal): Uint8Array {
  const peer = model(instance('P', 1, keys).replace('10ms', '1s')).vrrp.instances[0];
  const place = { port: 0, mac: new Uint8Array(6), address: '192.0.2.2' };
  return adverts(peer as InstanceModel, place, 250, () => undefined, seal).frames[0] as Uint8Array;
}

test('active-active: of two instances each director has one, and the other one’s VIPs are not its own', async () => {
  const { vrrp, herald, states } = begin(
    model(
      instance('A', 1, 'addresses: [203.0.113.1]').replace('10ms', '50ms'),
      instance('B', 2, 'addresses: [203.0.113.2]').replace('10ms', '50ms'),
    ),
  );
  const advert = fromPeer('addresses: [203.0.113.1]');
  const timer = setInterval(() => herald().hear(advert), 20);
  assert.ok(await until(() => states().join() === 'A BACKUP,B MASTER', 10_000));
  const { addresses } = vrrp.role();
  assert.equal(
    ['203.0.113.1', '203.0.113.2'].map((one) => addresses.get(one)?.ours),
    [false, true],
  );
  clearInterval(timer);
  await vrrp.stop();
});

test('keys are read at each reload; a number that was heard is known to the next control plane', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-vrrp-'));
  const file = join(folder, 'key');
  writeFileSync(file, 'sixteen bytes at least\n');
  const use = {
    setting: 'a test',
    code: 'ERR_VRRP_KEY' as const,
    purpose: 'sluice VRRP adverts',
    bytes: 32,
  };
  const keys = `addresses: [203.0.113.1], hmacKey: ${file}`;
  const one = () => model(instance('A', 1, keys).replace('10ms', '1s'));
  const first = begin(one());
  const seal: Seal = { kind: 'trailer', key: keyFrom(file, use) };
  const advert = (sequence: number) => sealed(fromPeer(keys, seal), seal, sequence);
  const reportOf = ({ vrrp }: typeof first) => vrrp.report().instances[0] as InstanceReport;
  first.herald().hear(advert(1_000));
  assert.equal([reportOf(first).advertisementsReceived, reportOf(first).dropped], [1, {}]);
  assert.is(first.herald().heed(1, 0), 1_000, 'what is sent next is above it');
  first.herald().hear(fromPeer('addresses: [203.0.113.1]'));
  first.herald().hear(advert(1_000));
  assert.equal(reportOf(first).dropped, { auth: 1, replay: 1 });

  const second = begin(one(), first.herald());
  for (const sequence of [1_000, 1_001]) second.herald().hear(advert(sequence));
  assert.equal(reportOf(second).dropped, { replay: 1 });
  assert.is(reportOf(second).advertisementsReceived, 1);

  rmSync(file);
  assert.throws(() => second.vrrp.update(one()), /cannot read .*key/);
  second.herald().hear(advert(1_002));
  assert.is(reportOf(second).advertisementsReceived, 2, 'the key of before is in force');
  writeFileSync(file, 'another one, of as many bytes\n');
  second.vrrp.update(one());
  second.herald().hear(advert(1_003));
  assert.equal(reportOf(second).dropped, { replay: 1, auth: 1 });
  rmSync(folder, { recursive: true });
  await Promise.all([first.vrrp.stop(), second.vrrp.stop()]);
});

test.run();
