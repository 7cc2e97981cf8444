/**
 * What would the director do with these packets? Runs the worker's own code over captures under a
 * clock that the packets' timestamps drive. The same input and seed give the same bytes.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { formatEndpoint, fromBytes } from '../config/address.js';
import type { Loaded } from '../config/load.js';
import { limits, replayPorts } from '../engine-options.js';
import { SluiceError } from '../errors.js';
import {
  type CounterLayout,
  type Distribution,
  MODES,
  type Mode,
  native,
  type Replay,
  type ReplayBatch,
  type ReplayResult,
  VERDICT_KINDS,
  VERDICT_WORDS,
  type VerdictKind,
} from '../native.js';
import { plan } from '../plan.js';
import { encodeSnapshot, type Snapshot } from '../snapshot.js';
import type { Frame } from './frame.js';
import { PcapWriter } from './pcap.js';

export interface ReplayInput {
  port: string;
  file: string;
  frames: Frame[];
}

export interface Verdict {
  /** Frame number in the capture of `port`, from 1. */
  packet: number;
  port: string;
  /** Seconds since the epoch, nine decimals. */
  time: string;
  verdict: VerdictKind;
  /** The end's name: for drops the drop reason. */
  reason: string;
  mode: Mode | null;
  /** Name of the service in the configuration. */
  service: string | null;
  /** `address:port`. */
  server: string | null;
  /** Frames sent because of this one; `packet` counts in the file of that port or twin, from 1. */
  out: { port: string; twin: boolean; packet: number }[];
}

export interface ReplaySettings {
  out: string;
  burst: number;
  seed: number;
  workers?: number;
  distribution?: Distribution;
  onVerdict: (verdict: Verdict) => void;
}

export interface ReplaySummary {
  received: number;
  /** Frames written, by file. */
  files: { file: string; frames: number }[];
}

/** Frames handed to the addon at once; memory stays bounded for long captures. */
const BATCH_FRAMES = 8_192;
const BATCH_BYTES = 16 << 20;

interface Arrival {
  frame: Frame;
  port: number;
}

export function runReplay(
  loaded: Loaded,
  inputs: ReplayInput[],
  settings: ReplaySettings,
): ReplaySummary {
  const { model } = loaded;
  const ports = replayPorts(model, (index) => loaded.locate(['ports', index]));
  const names = model.ports.map((port) => port.name);
  const arrivals = merge(inputs, names);
  const { snapshot } = plan(model);
  const workers = settings.workers ?? 1;
  const layout = native().counterLayout(workers, ports.length, limits(model));
  const replay = native().createReplay({
    ports,
    limits: limits(model),
    seed: settings.seed,
    burst: settings.burst,
    workers,
    ...(settings.distribution ? { distribution: settings.distribution } : {}),
  });
  const outputs = openOutputs(settings.out, names);
  try {
    replay.publish(encodeSnapshot(snapshot));
    const slots = slotNames(snapshot, loaded);
    for (const batch of batches(arrivals)) {
      runBatch(replay, batch, layout, names, slots, outputs, settings.onVerdict);
    }
  } finally {
    replay.close();
    for (const writer of outputs.values()) writer.close();
  }
  return {
    received: arrivals.length,
    files: [...outputs.values()].map(({ file, count }) => ({ file, frames: count })),
  };
}

/** All frames by time; of one time in the order of the inputs given. */
function merge(inputs: ReplayInput[], names: string[]): Arrival[] {
  const arrivals = inputs.flatMap(({ port, file, frames }) => {
    const index = names.indexOf(port);
    if (index < 0) {
      throw new SluiceError(
        'ERR_REPLAY_PORT',
        `${port}=${file}: no port is called ${port}, expected one of ${names.join(', ')}`,
      );
    }
    return frames.map((frame): Arrival => ({ frame, port: index }));
  });
  // The sort is stable.
  return arrivals.sort((a, b) =>
    a.frame.time < b.frame.time ? -1 : a.frame.time > b.frame.time ? 1 : 0,
  );
}

/** A batch ends only where the time changes, so that its size never shows in the results. */
function* batches(arrivals: Arrival[]): Generator<Arrival[]> {
  let start = 0;
  let bytes = 0;
  for (let at = 0; at < arrivals.length; at++) {
    const { frame } = arrivals[at] as Arrival;
    const full = at - start >= BATCH_FRAMES || bytes >= BATCH_BYTES;
    if (full && frame.time !== arrivals[at - 1]?.frame.time) {
      yield arrivals.slice(start, at);
      start = at;
      bytes = 0;
    }
    bytes += frame.bytes.length;
  }
  if (start < arrivals.length) yield arrivals.slice(start);
}

function pack(arrivals: Arrival[]): ReplayBatch {
  const total = arrivals.reduce((sum, { frame }) => sum + frame.bytes.length, 0);
  const batch: ReplayBatch = {
    bytes: new Uint8Array(total),
    offsets: new Uint32Array(arrivals.length + 1),
    times: new BigUint64Array(arrivals.length),
    ports: new Uint8Array(arrivals.length),
  };
  let offset = 0;
  arrivals.forEach(({ frame, port }, index) => {
    batch.bytes.set(frame.bytes, offset);
    batch.offsets[index] = offset;
    batch.times[index] = frame.time;
    batch.ports[index] = port;
    offset += frame.bytes.length;
  });
  batch.offsets[arrivals.length] = offset;
  return batch;
}

interface SlotNames {
  services: Map<number, string>;
  servers: Map<number, string>;
}

function slotNames(snapshot: Snapshot, { model }: Loaded): SlotNames {
  const names: SlotNames = { services: new Map(), servers: new Map() };
  snapshot.services.forEach((service, index) => {
    names.services.set(service.slot, model.services[index]?.name as string);
    for (const { slot, address, port } of service.servers) {
      names.servers.set(slot, formatEndpoint({ address: fromBytes(address), port }));
    }
  });
  return names;
}

/** Files by port index, and port index + TWIN for twins. */
type Outputs = Map<number, PcapWriter>;
const TWIN = 0x80;

function openOutputs(directory: string, names: string[]): Outputs {
  try {
    mkdirSync(directory, { recursive: true });
    return new Map(
      names.flatMap((name, index): [number, PcapWriter][] => [
        [index, new PcapWriter(join(directory, `${name}.pcap`))],
        [index | TWIN, new PcapWriter(join(directory, `${name}.twin.pcap`))],
      ]),
    );
  } catch (cause) {
    const why = (cause as Error).message;
    throw new SluiceError('ERR_REPLAY_OUTPUT', `cannot write to ${directory}: ${why}`, { cause });
  }
}

function runBatch(
  replay: Replay,
  arrivals: Arrival[],
  layout: CounterLayout,
  names: string[],
  slots: SlotNames,
  outputs: Outputs,
  onVerdict: (verdict: Verdict) => void,
): void {
  const result = replay.run(pack(arrivals));
  const caused = writeOutputs(result, names, outputs);
  const { verdicts } = result;
  const byPacket = Array.from({ length: verdicts.length / VERDICT_WORDS }, (_, index) =>
    verdicts.subarray(index * VERDICT_WORDS, (index + 1) * VERDICT_WORDS),
  ).sort((a, b) => (a[0] as number) - (b[0] as number));
  for (const words of byPacket) {
    const [input = 0, kind = 0, end = 0, mode = -1, service = -1, server = -1] = words;
    const { frame, port } = arrivals[input] as Arrival;
    onVerdict({
      packet: frame.number,
      port: names[port] as string,
      time: formatTime(frame.time),
      verdict: VERDICT_KINDS[kind] as VerdictKind,
      reason: layout.ends.names[end] ?? `end ${end}`,
      mode: MODES[mode] ?? null,
      service: slots.services.get(service) ?? null,
      server: slots.servers.get(server) ?? null,
      out: caused.get(input) ?? [],
    });
  }
}

function writeOutputs(
  result: ReplayResult,
  names: string[],
  outputs: Outputs,
): Map<number, Verdict['out']> {
  const caused = new Map<number, Verdict['out']>();
  for (let index = 0; index + 1 < result.offsets.length; index++) {
    const port = result.ports[index] as number;
    const writer = outputs.get(port) as PcapWriter;
    const bytes = result.bytes.subarray(result.offsets[index], result.offsets[index + 1]);
    writer.write(result.times[index] as bigint, bytes);
    const source = result.sources[index] as number;
    const entry = {
      port: names[port & ~TWIN] as string,
      twin: (port & TWIN) !== 0,
      packet: writer.count,
    };
    caused.set(source, [...(caused.get(source) ?? []), entry]);
  }
  return caused;
}

export function formatTime(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${(ns % 1_000_000_000n).toString().padStart(9, '0')}`;
}
