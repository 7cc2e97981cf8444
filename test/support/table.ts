/**
 * Packet tests as tables of sentences: what is given, the packet in, the packets out, the end. Each
 * row runs on a director of its own, and the model must agree with the table and the engine alike.
 * What left the ports goes through scapy at the end of each table.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mac } from './bytes.js';
import type { Ip } from './dissect.js';
import { dissect } from './dissect.js';
import { Duo, differ } from './duo.js';
import { text } from './model/connections.js';
import type { Output } from './model/verdicts.js';
import type { Arriving, Bench, BenchOptions, Step } from './replay.js';
import { scapy, scapyBadChecksums, scapyMissing } from './scapy.js';
import { skip } from './skip.js';
import {
  BACK,
  BACK_MAC,
  FRONT,
  FRONT_MAC,
  ROUTER_MAC,
  serverMac,
  type WorldWords,
  world,
} from './world.js';

/** What a row may need of what happened before it. */
export interface Context {
  /** LIP:lport of the connection. */
  local: string;
  /** IP ID of the row's own first output, where the engine was free to choose it. */
  id: number;
  /** The IP header of the row's own first output. */
  ip: Ip | undefined;
}

type Maybe<T> = T | ((context: Context) => T);

export interface Row {
  it: string;
  /** Packets before, one burst each; only compared with the model. */
  given?: Maybe<Arriving>[];
  in: Maybe<Arriving>;
  /** Frames that leave; 'model': what the model says and nothing else. */
  out: Maybe<Output | Output[]> | 'model' | 'nothing';
  end: string;
  /** This row's own world. */
  world?: WorldWords;
  /** Further things to hold after it. */
  after?: (bench: Bench, step: Step) => void;
  /** The packet in has a checksum wrong on purpose: scapy is not asked about its output. */
  badOnPurpose?: boolean;
}

/** Every row runs with each: its workers must not show in what leaves. */
export const CREWS = [
  { workers: 1 },
  { workers: 2, distribution: 'inTurn' },
  { workers: 4, distribution: 'inTurn' },
  { workers: 2, distribution: 'nic' },
  { workers: 4, distribution: 'nic' },
] as const satisfies BenchOptions[];

export function nameOf({ workers, distribution }: BenchOptions): string {
  return `workers ${workers}, ${distribution ?? 'alone'}`;
}

function withMacs(frame: Uint8Array, from: string, to: string): Uint8Array {
  const copy = frame.slice();
  copy.set(mac(to), 0);
  copy.set(mac(from), 6);
  return copy;
}

/** Arrives from the clients' router. */
export const fromFront = (frame: Uint8Array): Arriving => ({
  port: FRONT,
  frame: withMacs(frame, ROUTER_MAC, FRONT_MAC),
});
/** Arrives from real server n. */
export const fromBack = (frame: Uint8Array, server = 1): Arriving => ({
  port: BACK,
  frame: withMacs(frame, serverMac(server), BACK_MAC),
});
export const toFront = (frame: Uint8Array): Output => ({
  port: FRONT,
  tap: false,
  bytes: withMacs(frame, FRONT_MAC, ROUTER_MAC),
});
export const toBack = (frame: Uint8Array, server = 1): Output => ({
  port: BACK,
  tap: false,
  bytes: withMacs(frame, BACK_MAC, serverMac(server)),
});
/** As it came, to the kernel. */
export const toTap = (arriving: Arriving): Output => ({
  port: arriving.port,
  tap: true,
  bytes: arriving.frame,
});

export function table(words: WorldWords, rows: Row[]): void {
  const sent: { it: string; frame: Uint8Array }[] = [];
  for (const row of rows) {
    test(row.it, () => {
      const place = world(row.world ?? words);
      for (const crew of CREWS) {
        const duo = new Duo(place, crew);
        try {
          runRow(duo, row, nameOf(crew));
          if (!row.badOnPurpose && crew.workers === 1) {
            sent.push(...duo.sent.map((frame) => ({ it: row.it, frame })));
          }
        } finally {
          duo.close();
        }
      }
    });
  }
  const missing = scapyMissing();
  if (missing) {
    skip('packet tables through scapy', missing);
  } else {
    test('scapy finds no bad checksum in all that left', () => {
      assert.ok(sent.length > 0, 'nothing left');
      const packets = scapy(sent.map(({ frame }) => frame));
      assert.equal(scapyBadChecksums(packets), []);
    });
  }
}

function runRow(duo: Duo, row: Row, crew: string): void {
  const context: Context = { local: '', id: 0, ip: undefined };
  const resolve = <T>(value: Maybe<T>): T =>
    typeof value === 'function' ? (value as (context: Context) => T)(context) : value;
  const learn = () => {
    const local = duo.model.connections.all().find((connection) => connection.local)?.local;
    if (local) context.local = text(local);
  };
  let at = 0;
  for (const before of row.given ?? []) {
    const { complaints } = duo.run([resolve(before)], at);
    assert.equal(complaints, [], `${crew}: before the row itself`);
    at += 1;
    learn();
  }
  const { steps, complaints } = duo.run([resolve(row.in)], at);
  const step = steps[0] as Step;
  learn();
  context.ip = step.outputs[0] ? dissect(step.outputs[0].bytes).ip : undefined;
  context.id = context.ip?.id ?? 0;
  const lines: string[] = [];
  if (step.end !== row.end) lines.push(`end: got ${step.end}, wanted ${row.end}`);
  if (row.out !== 'model') {
    const wanted = row.out === 'nothing' ? [] : [resolve(row.out)].flat();
    lines.push(...compareOutputs(step, wanted));
  }
  lines.push(...complaints.map((line) => `model: ${line}`));
  lines.push(...duo.compareTables().map((line) => `table: ${line}`));
  lines.push(...duo.bench.invariants());
  assert.equal(lines, [], crew);
  row.after?.(duo.bench, step);
}

function compareOutputs(step: Step, wanted: Output[]): string[] {
  if (step.outputs.length !== wanted.length) {
    return [`${step.outputs.length} packets out, wanted ${wanted.length}`];
  }
  return wanted.flatMap((output, index) => {
    const got = step.outputs[index] as Output;
    const where = (one: Output) => `${one.tap ? 'twin of ' : ''}port ${one.port}`;
    const place =
      where(got) === where(output) ? [] : [`out ${index}: by ${where(got)}, not ${where(output)}`];
    return [...place, ...differ(got.bytes, output.bytes).map((line) => `out ${index}: ${line}`)];
  });
}
