/** Engine and model side by side: both get each packet, and whatever differs is a complaint. */

import { equalBytes, hex, readU16 } from './bytes.js';
import { badChecksums, diff, dissect } from './dissect.js';
import { type Endpoint, text } from './model/connections.js';
import { Model } from './model/model.js';
import { isActive } from './model/states.js';
import type { Expected } from './model/verdicts.js';
import { type Arriving, Bench, type BenchOptions, type Step } from './replay.js';
import type { World } from './world.js';

const PROTOCOLS: Record<number, string> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

export class Duo {
  readonly bench: Bench;
  readonly model: Model;
  /** All frames that left ports, for another opinion (scapy). */
  readonly sent: Uint8Array[] = [];

  constructor(world: World, options: BenchOptions = {}) {
    this.bench = new Bench(world, options);
    this.model = new Model(world.snapshot, world.ports);
    this.model.peek = (protocol, client, virtual) => this.peek(protocol, client, virtual);
  }

  private peek(protocol: number, client: Endpoint, virtual: Endpoint) {
    const found = this.bench
      .connections()
      .find(
        (one) =>
          one.protocol === PROTOCOLS[protocol] &&
          `${one.client}:${one.clientPort}` === text(client) &&
          `${one.virtual}:${one.virtualPort}` === text(virtual),
      );
    if (!found) return undefined;
    const local = found.local === '' ? undefined : { ip: found.local, port: found.localPort };
    return { serverSlot: found.serverSlot, local };
  }

  publish(world: World): void {
    this.bench.publish(world.snapshot);
    this.model.publish(world.snapshot);
  }

  /** Both get the frames; returns the engine's steps and what the model has to say on each. */
  run(arriving: Arriving[], atMs: number): { steps: Step[]; complaints: string[] } {
    this.model.advance(atMs);
    const steps = this.bench.run(arriving, atMs);
    const complaints = arriving.flatMap(({ frame, port }, index) => {
      const step = steps[index] as Step;
      for (const output of step.outputs) if (!output.tap) this.sent.push(output.bytes);
      const expected = this.model.receive(frame, port, step);
      const all = disagreements(step, expected);
      return all.length === 0
        ? []
        : [`frame ${index} on port ${port}: ${shortened(hex(frame))}`, ...all];
    });
    return { steps, complaints };
  }

  advance(atMs: number): void {
    this.model.advance(atMs);
    this.bench.advance(atMs);
  }

  /** Connections, states and counters of both, compared. */
  compareTables(): string[] {
    const complaints: string[] = [];
    const theirs = new Map(
      this.bench.connections().map((connection) => {
        const { protocol, client, clientPort, virtual, virtualPort } = connection;
        return [`${protocol} ${client}:${clientPort} ${virtual}:${virtualPort}`, connection];
      }),
    );
    for (const ours of this.model.connections.all()) {
      const name = `${PROTOCOLS[ours.protocol]} ${text(ours.client)} ${text(ours.virtual)}`;
      const other = theirs.get(name);
      theirs.delete(name);
      if (!other) {
        complaints.push(`${name}: not in the engine's table (${ours.state})`);
        continue;
      }
      const lines = diff(
        {
          state: other.state,
          timeout: other.timeoutMs,
          mode: other.mode,
          server: `${other.server}:${other.serverPort}`,
          local: other.local === '' ? '' : `${other.local}:${other.localPort}`,
          serviceSlot: other.serviceSlot,
          serverSlot: other.serverSlot,
        },
        {
          state: ours.state,
          timeout: ours.timeout,
          mode: ours.mode,
          server: text(ours.server),
          local: ours.local ? text(ours.local) : '',
          serviceSlot: ours.serviceSlot,
          serverSlot: ours.serverSlot,
        },
      );
      complaints.push(...lines.map((line) => `${name}: ${line}`));
    }
    for (const name of theirs.keys()) complaints.push(`${name}: only in the engine's table`);
    return [...complaints, ...this.compareCounters()];
  }

  private compareCounters(): string[] {
    const { services, servers } = this.bench.counters();
    const complaints: string[] = [];
    const words = ['conns', 'inPkts', 'outPkts', 'inBytes', 'outBytes'] as const;
    for (const [slot, tally] of this.model.ledger.services) {
      for (const word of words) {
        const got = services[slot]?.[word];
        if (got !== tally[word])
          complaints.push(`service ${slot} ${word}: ${got}, not ${tally[word]}`);
      }
    }
    for (const [slot, tally] of this.model.ledger.servers) {
      for (const word of words) {
        const got = servers[slot]?.[word];
        if (got !== tally[word])
          complaints.push(`server ${slot} ${word}: ${got}, not ${tally[word]}`);
      }
      const mine = this.model.connections.all().filter(({ serverSlot }) => serverSlot === slot);
      const active = mine.filter(({ state }) => isActive(state)).length;
      const got = [servers[slot]?.active, servers[slot]?.inactive];
      if (got[0] !== active || got[1] !== mine.length - active) {
        complaints.push(
          `server ${slot} active/inactive: ${got}, not ${active},${mine.length - active}`,
        );
      }
    }
    return complaints;
  }

  close(): void {
    this.bench.close();
  }
}

/** Payloads tell little. */
function shortened(text: string): string {
  return text.length > 240 ? `${text.slice(0, 240)}…` : text;
}

/** What the model finds wrong with a step. */
export function disagreements(step: Step, expected: Expected): string[] {
  const lines: string[] = [];
  if (expected.illegal) lines.push(`engine's choice: ${expected.illegal}`);
  if (step.kind !== expected.kind)
    lines.push(`kind: got ${step.kind} (${step.end}), wanted ${expected.kind} (${expected.ends})`);
  else if (expected.ends.length > 0 && !expected.ends.includes(step.end)) {
    lines.push(`end: got ${step.end}, wanted ${expected.ends.join(' or ')}`);
  }
  for (const word of ['mode', 'service', 'server'] as const) {
    if (expected[word] !== undefined && step[word] !== expected[word]) {
      lines.push(`${word}: got ${step[word]}, wanted ${expected[word]}`);
    }
  }
  if (step.outputs.length !== expected.outputs.length) {
    lines.push(`${step.outputs.length} packets out, wanted ${expected.outputs.length}`);
  }
  expected.outputs.forEach((wanted, index) => {
    const got = step.outputs[index];
    if (!got) return;
    if (got.port !== wanted.port || got.tap !== wanted.tap) {
      lines.push(
        `out ${index}: port ${got.port} tap ${got.tap}, wanted ${wanted.port} ${wanted.tap}`,
      );
    }
    lines.push(...differ(got.bytes, wanted.bytes).map((line) => `out ${index}: ${line}`));
  });
  return lines;
}

/** Fields that differ. Equal but for the two zeros of a TCP checksum is equal (RFC 1071). */
export function differ(got: Uint8Array, wanted: Uint8Array): string[] {
  if (equalBytes(got, wanted)) return [];
  const a = dissect(got);
  const b = dissect(wanted);
  const lines = diff(a, b).filter(
    (line) => !/checksum: got (0|65535), wanted (0|65535)$/.test(line),
  );
  if (lines.length === 0 && readU16(got, 12) === 0x0800 && got.length === wanted.length) return [];
  return lines.length > 0
    ? [...lines, ...badChecksums(a).map((name) => `${name} does not verify`)]
    : [`bytes: got ${hex(got)}, wanted ${hex(wanted)}`];
}
