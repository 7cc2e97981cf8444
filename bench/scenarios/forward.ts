/**
 * Established traffic of one worker. Flows come in uniformly random order, the table is filled
 * through the packet path (UDP by the packets that carry the client's address, TCP by handshakes),
 * and every packet is accounted for by the director's counters, or the case is void.
 */
import type { Arguments, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import { type NativeResult, type NativeRun, runNative } from '../native.js';
import type { ForwardResult, Outcome, Scenario } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

export interface ForwardCase {
  mode: string;
  protocol: string;
  family: string;
  flows: string;
  bytes: string;
  direction: string;
}

const MODES = ['nat', 'dr', 'tun', 'fullnat', 'enat'];
const FLOWS = ['1000', '100000', '1000000', '10000000'];

/** What may be asked for, and (but for flows) all there is. */
const MATRIX: Record<keyof ForwardCase, string[]> = {
  mode: MODES,
  protocol: ['udp', 'tcp'],
  family: ['4'],
  flows: FLOWS,
  bytes: ['64', '512', '1500', 'imix'],
  direction: ['request', 'reply', 'mixed'],
};

function short(): ForwardCase[] {
  const small = FLOWS.slice(0, 3);
  const cases: ForwardCase[] = [];
  const add = (part: Partial<ForwardCase>, flows: string[]) => {
    for (const count of flows) {
      cases.push({
        mode: 'fullnat',
        protocol: 'udp',
        family: '4',
        bytes: '64',
        direction: 'request',
        ...part,
        flows: count,
      });
    }
  };
  add({}, FLOWS);
  add({ protocol: 'tcp' }, small);
  for (const mode of ['dr', 'tun', 'nat', 'enat']) add({ mode }, small);
  add({ direction: 'mixed' }, small);
  add({ direction: 'reply' }, ['100000']);
  add({ mode: 'nat', protocol: 'tcp', direction: 'reply' }, ['100000']);
  for (const bytes of ['512', '1500', 'imix']) add({ bytes }, ['100000']);
  return cases;
}

/** Replies pass the director in NAT and FullNAT only. */
function canBe(one: ForwardCase): boolean {
  return one.direction === 'request' || one.mode === 'nat' || one.mode === 'fullnat';
}

function matrix(filters: Filters): ForwardCase[] {
  let cases: Partial<ForwardCase>[] = [{}];
  for (const name of Object.keys(MATRIX) as (keyof ForwardCase)[]) {
    const values = filters[name] ?? MATRIX[name];
    cases = cases.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return (cases as ForwardCase[]).filter(canBe);
}

function check(filters: Filters): void {
  for (const [name, values] of Object.entries(filters)) {
    const known = MATRIX[name as keyof ForwardCase];
    for (const value of values) {
      const good = name === 'flows' ? /^[1-9]\d{0,7}$/.test(value) : known.includes(value);
      if (good) continue;
      const choice = name === 'flows' ? 'a number' : known.join(', ');
      throw new BenchError('ERR_BENCH_ARGUMENT', `--${name} ${value}: ${choice}`);
    }
  }
}

function nsOf(run: NativeRun): number {
  return run.cpuNs / run.packets;
}

function summarise(native: NativeResult): Outcome<ForwardResult> {
  const ns = native.director.map(nsOf);
  const all = [...native.director, ...native.floor];
  const ran = all.reduce((sum, run) => sum + run.cpuNs, 0);
  const passed = all.reduce((sum, run) => sum + (run.cycles / native.tscHz) * 1e9, 0);
  if (native.offered !== native.accounted || native.offered === 0) {
    const message = `of ${native.offered} packets ${native.accounted} are accounted for`;
    throw new BenchError('ERR_BENCH_VOID', message);
  }
  const { mode, protocol, family, flows, bytes, direction, offered, accounted } = native;
  return {
    result: {
      scenario: 'forward',
      mode,
      protocol,
      family,
      flows,
      bytes,
      direction,
      nsPerPacket: round(median(ns), 2),
      madNs: round(mad(ns), 2),
      floorNs: round(median(native.floor.map(nsOf)), 2),
      cyclesPerPacket: round((median(ns) * native.tscHz) / 1e9, 1),
      runs: ns.length,
      offered,
      accounted,
    },
    circumstances: {
      tscHz: native.tscHz,
      cpu: native.cpu,
      hugepages: native.hugepages,
      transparentHugeKiB: native.transparentHugeKiB,
      share: round(Math.min(1, ran / passed), 3),
    },
  };
}

async function run(one: ForwardCase, options: Arguments): Promise<Outcome<ForwardResult>> {
  const { mode, protocol, flows, bytes, direction } = one;
  const args = ['forward', '--runs', String(options.runs)];
  args.push('--milliseconds', String(options.milliseconds));
  for (const [name, value] of Object.entries({ mode, protocol, flows, bytes, direction })) {
    args.push(`--${name}`, value);
  }
  if (options.cpu !== undefined) args.push('--cpu', String(options.cpu));
  return summarise(await runNative(args));
}

export const forward: Scenario<ForwardCase, ForwardResult> = {
  name: 'forward',
  about: 'established traffic of one worker: mode × protocol × flows × frame size × direction',
  /** Filters narrow the short selection; where nothing of it is left, the whole matrix. */
  cases(filters, long) {
    check(filters);
    if (long) return matrix(filters);
    const left = short().filter((one) =>
      (Object.keys(MATRIX) as (keyof ForwardCase)[]).every(
        (name) => filters[name]?.includes(one[name]) ?? true,
      ),
    );
    return left.length > 0 ? left : matrix(filters);
  },
  describe: ({ mode, protocol, flows, bytes, direction }) =>
    `${mode} ${protocol} ${Number(flows).toLocaleString('en').replaceAll(',', ' ')} flows, ${bytes} B, ${direction}`,
  run,
};
