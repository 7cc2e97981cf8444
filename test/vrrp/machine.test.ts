/** The state machine under a virtual clock: the rules one by one, then many routers and bad links. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Effect, Machine, type MachineSettings } from '../../src/vrrp/machine.js';
import { Router, type Step } from '../../src/vrrp/router.js';

const settings = (more: Partial<MachineSettings> = {}): MachineSettings => ({
  version: 3,
  priority: 100,
  intervalMs: 1000,
  downAdverts: 3,
  preempt: true,
  preemptDelayMs: 0,
  startDelayMs: 0,
  address: '192.0.2.1',
  ...more,
});
const machine = (more: Partial<MachineSettings> = {}) => new Machine('VI_1', settings(more));
const kinds = (effects: Effect[]) =>
  effects.map((effect) => (effect.kind === 'state' ? effect.to : effect.kind));
const from = (priority: number, source = '192.0.2.2', intervalMs = 1000) => ({
  source,
  priority,
  intervalMs,
});

/** A backup whose Master_Down has passed, as its group lets it. */
function master(more: Partial<MachineSettings> = {}): Machine {
  const one = machine(more);
  one.start(0);
  one.tick(one.deadline);
  one.masterNow(10_000);
  return one;
}

test('a backup takes over after three intervals and the skew (RFC 9568 section 6.1)', () => {
  const one = machine();
  assert.equal(kinds(one.start(0)), ['BACKUP']);
  assert.is(one.deadline, 3000 + (156 * 1000) / 256);
  assert.equal(one.tick(3609), []);
  assert.equal(kinds(one.tick(3610)), ['timeout']);
  assert.equal(kinds(one.masterNow(3610)), ['MASTER', 'advertise']);
});

test('the owner of the addresses is master at once', () => {
  assert.equal(kinds(machine({ priority: 255 }).start(0)), ['MASTER', 'advertise']);
});

test('version 2 has a skew of seconds, version 3 one of intervals, and learns the master’s', () => {
  const two = machine({ version: 2, intervalMs: 2000 });
  two.start(0);
  assert.is(two.deadline, 6000 + (156 * 1000) / 256);
  const three = machine({ intervalMs: 10 });
  three.start(0);
  assert.is(three.deadline, 30 + 1560 / 256);
  three.hear(5, from(200, '192.0.2.2', 100));
  assert.is(three.deadline, 5 + 300 + 15_600 / 256);
});

test('a higher or equal priority keeps a backup down; a lower one only without preemption', () => {
  const one = machine();
  one.start(0);
  for (const priority of [101, 100]) {
    one.hear(1000, from(priority));
    assert.is(one.deadline, 1000 + one.masterDownMs);
  }
  const before = one.deadline;
  assert.equal(kinds(one.hear(2000, from(99))), ['log']);
  assert.equal(one.hear(2001, from(99)), [], 'said once');
  assert.is(one.deadline, before);
  const patient = machine({ preempt: false });
  patient.start(0);
  patient.hear(2000, from(1));
  assert.is(patient.deadline, 2000 + patient.masterDownMs);
});

test('a lower master is followed while what it knows has not come', () => {
  const one = machine();
  one.start(0);
  one.mayPreempt = false;
  one.hear(1000, from(50));
  assert.is(one.deadline, 1000 + one.masterDownMs);
  one.mayPreempt = true;
  assert.equal(kinds(one.hear(2000, from(50))), ['log']);
  assert.is(one.deadline, 1000 + one.masterDownMs);
  assert.equal(kinds(one.tick(one.deadline)), ['timeout']);
});

test('preemption is delayed from the first advert of the lower master', () => {
  const one = machine({ preemptDelayMs: 5000 });
  one.start(0);
  for (let at = 0; at < 5000; at += 1000) one.hear(at, from(50));
  const deadline = 4000 + one.masterDownMs;
  assert.is(one.deadline, deadline);
  one.hear(5000, from(50));
  assert.is(one.deadline, deadline);
});

test('priority 0: a backup waits for its skew alone, a master speaks up', () => {
  const one = machine();
  one.start(0);
  one.hear(100, from(200));
  one.hear(200, from(0));
  assert.is(one.deadline, 200 + one.skewMs);
  assert.equal(kinds(master().hear(20_000, from(0))), ['advertise']);
});

test('a master gives way to a higher priority, and to a higher address of the same', () => {
  assert.equal(kinds(master().hear(20_000, from(101))), ['cease', 'BACKUP']);
  assert.equal(kinds(master().hear(20_000, from(100, '192.0.2.2'))), ['cease', 'BACKUP']);
  const high = master({ address: '192.0.2.10' });
  assert.equal(kinds(high.hear(20_000, from(100, '192.0.2.9'))), ['log', 'advertise', 'repeatArp']);
  assert.equal(kinds(master().hear(20_000, from(99))), ['log', 'advertise', 'repeatArp']);
});

test('a fault resigns and recovers as a backup, an owner as master', () => {
  const one = master();
  assert.equal(one.fault(20_000, 'link'), [
    { kind: 'cease', farewell: true },
    { kind: 'state', from: 'MASTER', to: 'FAULT', why: 'link' },
  ]);
  assert.is(one.deadline, Number.POSITIVE_INFINITY);
  assert.equal(kinds(one.recover(30_000)), ['BACKUP']);
  const owner = master({ priority: 255 });
  owner.fault(0, 'link');
  assert.equal(kinds(owner.recover(1)), ['MASTER', 'advertise']);
});

test('weights move the priority between 1 and 254; an owner’s stays', () => {
  const one = machine();
  assert.equal(kinds(one.setWeight(-30)), ['log']);
  assert.is(one.priority, 70);
  one.setWeight(-253);
  assert.is(one.priority, 1);
  one.setWeight(253);
  assert.is(one.priority, 254);
  const owner = machine({ priority: 255 });
  assert.equal(owner.setWeight(-100), []);
  assert.is(owner.priority, 255);
  assert.equal(kinds(master().setWeight(10)), ['log', 'advertise']);
});

test('a master that was late listens for an interval before it takes over again', () => {
  const one = master();
  assert.equal(kinds(one.lapsed(20_000)), ['cease', 'BACKUP']);
  assert.is(one.deadline, 20_000 + 1000 + one.skewMs);
});

test('who is resumed goes on without a word', () => {
  const one = machine();
  assert.equal(one.start(0, true)[1], { kind: 'advertise', atOnce: false });
  assert.is(one.state, 'MASTER');
});

test('a group takes over with the last of its instances and gives up with the first', () => {
  const a = new Machine('a', settings());
  const b = new Machine('b', settings());
  const router = new Router([a, b], [['a', 'b']]);
  router.start(0);
  router.hear(2000, 'b', from(200));
  router.tick(4000);
  assert.equal([a.state, b.state], ['BACKUP', 'BACKUP'], 'b hears a master');
  router.tick(9000);
  assert.equal([a.state, b.state], ['MASTER', 'MASTER']);
  router.hear(10_000, 'a', from(200));
  assert.equal([a.state, b.state], ['BACKUP', 'BACKUP']);
  router.setFault(11_000, 'b', 'link');
  assert.equal([a.state, b.state], ['FAULT', 'FAULT']);
  router.setFault(12_000, 'a', undefined);
  assert.equal([a.state, b.state], ['FAULT', 'FAULT'], 'b still is');
  router.setFault(13_000, 'b', undefined);
  assert.equal([a.state, b.state], ['BACKUP', 'BACKUP']);
  router.stop(14_000);
  assert.equal([a.state, b.state], ['STOP', 'STOP']);
});

interface Plan {
  priorities: number[];
  preempt: boolean;
  /** Of each frame, by turns: lost, doubled or late by so many ms. */
  fates: ('lost' | 'double' | number)[];
  /** Routers that stand still for a while. */
  pauses: { router: number; at: number; ms: number }[];
}

const plans: fc.Arbitrary<Plan> = fc.record({
  priorities: fc.array(fc.integer({ min: 1, max: 254 }), { minLength: 2, maxLength: 5 }),
  preempt: fc.boolean(),
  fates: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.constant<'lost'>('lost') },
      { weight: 1, arbitrary: fc.constant<'double'>('double') },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 40 }) },
    ),
    { minLength: 1, maxLength: 60 },
  ),
  pauses: fc.array(
    fc.record({
      router: fc.nat({ max: 4 }),
      at: fc.integer({ min: 0, max: 3000 }),
      ms: fc.integer({ min: 1, max: 900 }),
    }),
    { maxLength: 4 },
  ),
});

const INTERVAL = 100;
/** Until then links lose, double and delay, and routers pause; afterwards all is well. */
const TROUBLE_MS = 4_000;
const END_MS = 8_000;

/** Milliseconds in which several were master, after the trouble; and who is at the end. */
function simulate({ priorities, preempt, fates, pauses }: Plan) {
  const routers = priorities.map((priority, index) => {
    const one = new Machine(
      'VI_1',
      settings({ priority, preempt, intervalMs: INTERVAL, address: `192.0.2.${index + 1}` }),
    );
    return {
      one,
      router: new Router([one], []),
      next: Number.POSITIVE_INFINITY,
      inbox: [] as number[][],
    };
  });
  const wire: { at: number; to: number; source: number; priority: number }[] = [];
  let sent = 0;
  const apply = (index: number, steps: Step[], now: number) => {
    const self = routers[index] as (typeof routers)[number];
    for (const { effect } of steps) {
      if (effect.kind === 'advertise' && effect.atOnce) self.next = now;
      if (effect.kind === 'cease') self.next = Number.POSITIVE_INFINITY;
    }
  };
  const send = (index: number, now: number) => {
    const self = routers[index] as (typeof routers)[number];
    for (let to = 0; to < routers.length; to++) {
      if (to === index) continue;
      const fate = now < TROUBLE_MS ? (fates[sent++ % fates.length] as Plan['fates'][number]) : 0;
      if (fate === 'lost') continue;
      const late = typeof fate === 'number' ? fate : 0;
      const frame = { to, source: index, priority: self.one.priority };
      wire.push({ at: now + 1 + late, ...frame });
      if (fate === 'double') wire.push({ at: now + 3, ...frame });
    }
    self.next = now + INTERVAL;
  };
  routers.forEach(({ router }, index) => {
    apply(index, router.start(0), 0);
  });
  let several = 0;
  for (let now = 1; now < END_MS; now++) {
    for (let at = wire.length - 1; at >= 0; at--) {
      const frame = wire[at] as (typeof wire)[number];
      if (frame.at > now) continue;
      wire.splice(at, 1);
      routers[frame.to]?.inbox.push([now, frame.source, frame.priority]);
    }
    routers.forEach((self, index) => {
      // The event loop stands still: what has come waits with the time at which it came.
      if (pauses.some(({ router, at, ms }) => router === index && now >= at && now < at + ms))
        return;
      for (const [at, source, priority] of self.inbox.splice(0) as [number, number, number][]) {
        const heard = { source: `192.0.2.${source + 1}`, priority, intervalMs: INTERVAL };
        apply(index, self.router.hear(at, 'VI_1', heard), now);
      }
      apply(index, self.router.tick(now), now);
      if (now >= self.next) send(index, now);
    });
    const masters = routers.filter(({ one }) => one.state === 'MASTER').length;
    // All who believe in themselves have been heard by all others after one interval and a trip.
    if (masters > 1 && now > TROUBLE_MS + 50 + INTERVAL + 3) several++;
  }
  return {
    several,
    masters: routers.filter(({ one }) => one.state === 'MASTER').map(({ one }) => one),
  };
}

test('whatever links and pauses have done: then one master, and never two beyond an interval', () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const { several, masters } = simulate(plan);
      assert.is(masters.length, 1);
      assert.is(several, 0);
      if (plan.preempt) assert.is(masters[0]?.priority, Math.max(...plan.priorities));
    }),
    { numRuns: 150 },
  );
});

test.run();
