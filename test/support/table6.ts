/** Tables of IPv6 packets: rows, how they run with every crew of workers, and one exchange field by field. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat, u16, u32 } from './bytes.js';
import { differ } from './duo.js';
import type { Output } from './model/verdicts.js';
import * as p from './packet.js';
import * as q from './packet6.js';
import { type Arriving, Bench } from './replay.js';
import { CREWS, nameOf } from './table.js';
import { BACK6, CIP6, RIP6, type World6, yaml6 } from './world6.js';
import { yamlWorld } from './yaml.js';

export const C = `[${CIP6}]:40000`;
export const at = (address: string, port = 80) => `[${address}]:${port}`;
export const R = at(RIP6, 8080);

interface Context {
  /** LIP:lport of the FullNAT connection. */
  local: string;
}
type Maybe<T> = T | ((context: Context) => T);
export interface Row {
  it: string;
  given?: Maybe<Arriving>[];
  in: Maybe<Arriving>;
  out: Maybe<Output[]>;
  end: string;
  world?: World6;
  extra?: Record<string, number>;
}

export function rows(all: Row[]): void {
  for (const row of all) {
    test(row.it, () => {
      for (const crew of CREWS) {
        const bench = new Bench(yamlWorld(yaml6(row.world)), crew);
        try {
          runRow(bench, row, nameOf(crew));
        } finally {
          bench.close();
        }
      }
    });
  }
}

function runRow(bench: Bench, row: Row, crew: string): void {
  const context: Context = { local: '' };
  const resolve = <T>(value: Maybe<T>): T =>
    typeof value === 'function' ? (value as (context: Context) => T)(context) : value;
  const learn = () => {
    const found = bench.connections().find(({ local }) => local !== '');
    if (found) context.local = at(found.local, found.localPort);
  };
  let time = 0;
  for (const before of row.given ?? []) {
    const [step] = bench.run([resolve(before)], time++);
    assert.match(step!.end, /^forwarded_/, `${crew}: before the row itself`);
    learn();
  }
  const [step] = bench.run([resolve(row.in)], time);
  learn();
  assert.is(step!.end, row.end, crew);
  const wanted = resolve(row.out);
  assert.is(step!.outputs.length, wanted.length, crew);
  const lines = wanted.flatMap((output, index) => {
    const got = step!.outputs[index]!;
    const place = got.port === output.port && got.tap === output.tap ? [] : ['by another port'];
    return [...place, ...differ(got.bytes, output.bytes)];
  });
  assert.equal(lines, [], crew);
  assert.equal(bench.invariants(), [], crew);
  for (const [name, count] of Object.entries(row.extra ?? {})) {
    assert.is(bench.counters().extra[name], count, name);
  }
}

export const syn = (vip: string, more: Partial<q.Tcp6Fields> = {}): q.Tcp6Fields => ({
  from: C,
  to: at(vip),
  flags: 'S',
  seq: 0x11223344,
  options: [p.mss(1440), p.sackOk, p.timestamps(100, 0), p.nop, p.wscale(7)],
  hops: 61,
  trafficClass: 0x2b,
  flow: 0xabcde,
  ...more,
});
export const synAck = (more: Partial<q.Tcp6Fields> = {}): q.Tcp6Fields => ({
  from: R,
  to: C,
  flags: 'SA',
  seq: 0x55667788,
  ack: 0x11223345,
  options: [p.mss(1440), p.sackOk, p.timestamps(900, 100), p.nop, p.wscale(9)],
  flow: 0x12345,
  ...more,
});
export const data = (vip: string, more: Partial<q.Tcp6Fields> = {}): q.Tcp6Fields => ({
  from: C,
  to: at(vip),
  flags: 'PA',
  seq: 0x11223345,
  ack: 0x55667789,
  payload: p.pattern(333),
  ...more,
});
export const query = (vip: string, more: Partial<q.Udp6Fields> = {}): q.Udp6Fields => ({
  from: C,
  to: at(vip),
  payload: p.pattern(41),
  ...more,
});
export const response = (more: Partial<q.Udp6Fields> = {}): q.Udp6Fields => ({
  from: R,
  to: C,
  payload: p.pattern(120, 3),
  ...more,
});
export const outer6 = (inner: Uint8Array, server = RIP6, trafficClass = 0x2a) =>
  q.ip6Frame({ from: BACK6, to: server, hops: 60, trafficClass }, 41, inner);

export const options = (kind: number) => ({ kind, body: Uint8Array.of(1, 4, 0, 0, 0, 0) });
export const fragment = { kind: 44, body: concat(u16(1), u32(7)) };
