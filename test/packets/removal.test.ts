/** Reloads under connections: weight 0, servers removed or down, services gone, modes changed. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { dissect } from '../support/dissect.js';
import { Duo } from '../support/duo.js';
import { CIP, data, LIP, query, syn, synAck, V, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import type { Arriving } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import {
  type ServerWords,
  type ServiceWords,
  type Slots,
  serverAddress,
  world,
} from '../support/world.js';

const A = `${serverAddress(1)}:8080`;
const B = `${serverAddress(2)}:8080`;

class Story {
  readonly slots: Slots = new Map();
  readonly duo: Duo;
  private generation = 1;
  private clock = 0;

  constructor(private readonly service: Partial<ServiceWords> & { mode?: Mode } = {}) {
    this.duo = new Duo(this.place([A]));
  }

  private place(servers: (string | ServerWords)[], more: Partial<ServiceWords> = {}) {
    const mode = more.mode ?? this.service.mode ?? 'nat';
    const locals = mode === 'fullnat' || mode === 'enat' ? [LIP] : [];
    const base = { listen: V, locals, ...this.service, mode, servers, ...more };
    return world(
      {
        services: [base, { ...base, protocol: 'udp' }, { listen: `${VIP}:99`, servers: [A] }],
        owned: [LIP],
      },
      this.slots,
      this.generation++,
    );
  }

  reload(servers: (string | ServerWords)[], more: Partial<ServiceWords> = {}): void {
    this.duo.publish(this.place(servers, more));
  }

  /** Only the bystander service is left. */
  reloadWithout(): void {
    this.duo.publish(
      world(
        { services: [{ listen: `${VIP}:99`, servers: [A] }], owned: [LIP] },
        this.slots,
        this.generation++,
      ),
    );
  }

  /** One packet; its end, after engine and model have agreed on it. */
  step(arriving: Arriving): string {
    const { steps, complaints } = this.duo.run([arriving], this.clock++);
    assert.equal(complaints, []);
    assert.equal(this.duo.compareTables(), []);
    const to = steps[0]!.outputs[0];
    const ip = to ? dissect(to.bytes).ip : undefined;
    return `${steps[0]!.end}${steps[0]!.kind === 'forwarded' ? ` ${ip?.dst}` : ''}`;
  }

  close(): void {
    assert.equal(this.duo.bench.invariants(), []);
    this.duo.close();
  }
}

const toA = (mode: Mode) => `forwarded_${mode} ${mode === 'dr' ? VIP : serverAddress(1)}`;
const toB = (mode: Mode) => `forwarded_${mode} ${mode === 'dr' ? VIP : serverAddress(2)}`;
const client = (flags: string, port = 40000) =>
  fromFront(
    p.tcp({
      ...(flags.includes('S') ? syn : data),
      flags,
      from: `${CIP}:${port}`,
      payload: '',
    }),
  );
const ask = (port = 40000) => fromFront(p.udp({ ...query, from: `${CIP}:${port}` }));

for (const mode of ['nat', 'dr', 'tun', 'fullnat', 'enat'] as Mode[]) {
  test(`${mode}: weight 0 drains: connections go on, a retransmitted SYN too, new ones go elsewhere`, () => {
    const story = new Story({ mode });
    assert.is(story.step(client('S')), toA(mode));
    assert.is(story.step(ask()), toA(mode));
    story.reload([{ at: A, weight: 0 }, B]);
    assert.is(story.step(client('S')), toA(mode));
    assert.is(story.step(client('A')), toA(mode));
    assert.is(story.step(ask()), toA(mode));
    assert.is(story.step(client('S', 40001)), toB(mode));
    assert.is(story.step(ask(40001)), toB(mode));
    story.reload([{ at: A, weight: 0 }]);
    assert.is(story.step(client('A')), toA(mode));
    assert.is(story.step(client('S', 40002)), 'answered_port_unreachable');
    story.close();
  });

  test(`${mode}: a removed server’s connections are dropped silently, and go on when it is back`, () => {
    const story = new Story({ mode });
    story.step(client('S'));
    story.step(ask());
    story.reload([B]);
    assert.is(story.step(client('A')), 'server_removed');
    assert.is(story.step(client('S')), 'server_removed');
    assert.is(story.step(client('R')), 'server_removed');
    assert.is(story.step(ask()), 'server_removed');
    assert.is(story.step(client('S', 40001)), toB(mode));
    story.reload([B, A]);
    assert.is(story.step(client('A')), toA(mode));
    assert.is(story.step(ask()), toA(mode));
    story.close();
  });

  test(`${mode}: set to reset, the ACK is reset and the connection gone; SYN and UDP start anew`, () => {
    const story = new Story({ mode, resetOnServerRemoved: true });
    story.step(client('S'));
    story.step(client('S', 40001));
    story.step(ask());
    story.reload([B]);
    assert.is(story.step(client('A')), 'answered_reset');
    assert.is(story.step(client('S', 40001)), toB(mode));
    assert.is(story.step(ask()), toB(mode));
    assert.is(story.duo.bench.counters().extra.connections, 2);
    story.close();
  });

  test(`${mode}: a server that is down keeps its connections and gets no new ones`, () => {
    const story = new Story({ mode });
    story.step(client('S'));
    story.reload([{ at: A, up: false }, B]);
    assert.is(story.step(client('A')), toA(mode));
    assert.is(story.step(client('S', 40001)), toB(mode));
    assert.is(story.step(client('S', 40002)), toB(mode));
    story.close();
  });

  test(`${mode}: with its service gone a connection is dropped, a new SYN reset`, () => {
    const story = new Story({ mode });
    story.step(client('S'));
    story.reloadWithout();
    assert.is(story.step(client('A')), 'server_removed');
    assert.is(story.step(client('S', 40001)), 'answered_reset');
    story.reload([A]);
    assert.is(story.step(client('A')), toA(mode));
    story.close();
  });
}

test('nat: a reply of a removed server is still translated', () => {
  const story = new Story();
  story.step(client('S'));
  story.reload([B]);
  assert.is(story.step(fromBack(p.tcp(synAck))), `forwarded_nat_reply ${CIP}`);
  story.close();
});

test('an old connection keeps its mode when the server’s changes', () => {
  const story = new Story();
  assert.is(story.step(client('S')), toA('nat'));
  story.reload([A], { mode: 'tun' });
  assert.is(story.step(client('A')), toA('nat'));
  assert.is(story.step(client('S', 40001)), toA('tun'));
  story.close();
});

test('thresholds: a server over its upper one gets no new connections', () => {
  const story = new Story();
  story.reload([A, { at: B, upper: 2 }]);
  const picks = [0, 1, 2, 3, 4, 5].map((n) => story.step(client('S', 41000 + n)));
  assert.equal(picks, [toB('nat'), toA('nat'), toB('nat'), toA('nat'), toA('nat'), toA('nat')]);
  story.close();
});

test('thresholds: one that was taken away and is back has let the server rest no more', () => {
  const story = new Story();
  story.reload([
    { at: A, upper: 1 },
    { at: B, weight: 0 },
  ]);
  assert.is(story.step(client('S', 41000)), toA('nat'));
  story.reload([A, { at: B, weight: 0 }]);
  story.reload([
    { at: A, upper: 1 },
    { at: B, weight: 0 },
  ]);
  assert.is(story.step(client('S', 41001)), toA('nat'));
  assert.not.match(story.step(client('S', 41002)), 'forwarded');
  story.close();
});

/** 20 s apart, so that connections can be made to end one by one. */
function threshold(more: Partial<ServerWords>, lasting: number): string {
  const slots: Slots = new Map();
  const place = world(
    { services: [{ listen: V, protocol: 'udp', servers: [{ at: A, upper: 4, ...more }] }] },
    slots,
  );
  const duo = new Duo(place);
  const send = (n: number, at: number) => {
    const { steps, complaints } = duo.run([ask(42000 + n)], at);
    assert.equal(complaints, []);
    return steps[0]!.kind === 'forwarded' ? 'y' : '-';
  };
  const picks = [0, 1, 2, 3, 4].map((n) => send(n, n * 20_000));
  // 300 s after its last packet each one ends; then `lasting` are left.
  const at = (3 - lasting) * 20_000 + 310_000;
  duo.advance(at);
  picks.push(send(9, at));
  assert.equal(duo.compareTables(), []);
  duo.close();
  return picks.join('');
}

test('thresholds: over the upper one a server rests until it is below three quarters of it', () => {
  assert.is(threshold({}, 3), 'yyyy--');
  assert.is(threshold({}, 2), 'yyyy-y');
});

test('thresholds: or below the lower one', () => {
  assert.is(threshold({ lower: 2 }, 3), 'yyyy--');
  assert.is(threshold({ lower: 2 }, 2), 'yyyy--');
  assert.is(threshold({ lower: 2 }, 1), 'yyyy-y');
});

test('thresholds: the upper one counts though nobody asked while it was reached', () => {
  const place = world({
    services: [{ listen: V, protocol: 'udp', servers: [{ at: A, upper: 4 }] }],
  });
  const duo = new Duo(place);
  const send = (n: number, at: number) => duo.run([ask(42000 + n)], at);
  for (const n of [0, 1, 2, 3]) assert.equal(send(n, n * 20_000).complaints, []);
  duo.advance(310_000);
  const { steps, complaints } = send(9, 310_000);
  assert.equal(complaints, []);
  assert.is(steps[0]!.end, 'answered_port_unreachable');
  duo.close();
});

test.run();
