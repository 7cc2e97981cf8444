/** One measurement of one lane: wrk or iperf3 from the client for some seconds. */
import { LabError } from '../../src/lab/command.js';
import { IPERF_PORT, IperfServer } from '../../src/lab/fixtures.js';
import type { Lab } from '../../src/lab/lab.js';

export const CONNECTIONS = 64;
export const STREAMS = 2;

export const MEASURES = ['keepalive', 'connect', 'iperf-up', 'iperf-down'] as const;
export type Measure = (typeof MEASURES)[number];

export const UNITS: Record<Measure, string> = {
  keepalive: 'requests/s',
  connect: 'requests/s',
  'iperf-up': 'Gb/s',
  'iperf-down': 'Gb/s',
};

export interface Reading {
  value: number;
  /** Of wrk only. */
  p50Us?: number;
  p99Us?: number;
  /** Requests that were not answered, or transfers that broke off. */
  failed: number;
  /** What iperf3 says of it. */
  trouble?: string | undefined;
}

const MICROSECONDS: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 60e6 };

function numberAfter(text: string, pattern: RegExp): number | undefined {
  const match = pattern.exec(text);
  return match ? Number(match[1]) : undefined;
}

function percentile(text: string, percent: number): number | undefined {
  const match = new RegExp(`^\\s+${percent}%\\s+([0-9.]+)(us|ms|s|m)$`, 'm').exec(text);
  return match ? Number(match[1]) * MICROSECONDS[match[2]!]! : undefined;
}

/** What wrk printed; requests that failed are in two lines that are missing when there are none. */
export function readWrk(text: string): Reading {
  const value = numberAfter(text, /^Requests\/sec:\s+([0-9.]+)$/m);
  if (value === undefined) throw new LabError('ERR_LAB_LOAD', `wrk said: ${text.trim()}`);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const broken = (sockets?.slice(1) ?? []).reduce((sum, each) => sum + Number(each), 0);
  const refused = numberAfter(text, /Non-2xx or 3xx responses: (\d+)/) ?? 0;
  return {
    value,
    p50Us: percentile(text, 50),
    p99Us: percentile(text, 99),
    failed: broken + refused,
  };
}

async function wrk(lab: Lab, address: string, seconds: number, keep: boolean): Promise<Reading> {
  const argv = ['wrk', '-t', '1', '-c', String(CONNECTIONS), '-d', `${seconds}s`, '--latency'];
  argv.push('--timeout', '5s', ...(keep ? [] : ['-H', 'Connection: close']), `http://${address}/`);
  const process = lab.ns('client').spawn(argv, { timeout: seconds + 15 });
  await process.wait();
  return readWrk(process.output);
}

/** LabProcess's status of one that took longer than it may. */
const KILLED = 128;

interface IperfReport {
  error?: string;
  end?: { sum_received?: { bits_per_second?: number } };
}

/** A server for each transfer: one whose client broke off would be busy with it for minutes. */
async function iperf(lab: Lab, address: string, seconds: number, down: boolean): Promise<Reading> {
  const server = await IperfServer.start(lab, 'rs1');
  const argv = ['iperf3', '-J', '-c', address, '-p', String(IPERF_PORT), '-t', String(seconds)];
  argv.push('-P', String(STREAMS), '--connect-timeout', '3000', ...(down ? ['-R'] : []));
  const process = lab.ns('client').spawn(argv, { timeout: seconds + 12 });
  const status = await process.wait();
  await server.process.stop(0);
  if (status === KILLED) return { value: 0, failed: 1, trouble: 'did not end' };
  let report: IperfReport;
  try {
    report = JSON.parse(process.stdout) as IperfReport;
  } catch {
    throw new LabError('ERR_LAB_LOAD', `iperf3 said: ${process.output.slice(-500)}`);
  }
  const bits = report.end?.sum_received?.bits_per_second ?? 0;
  const trouble = report.error ?? (bits === 0 ? 'no data arrived' : undefined);
  return { value: bits / 1e9, failed: trouble === undefined ? 0 : 1, trouble };
}

export function measure(
  lab: Lab,
  address: string,
  what: Measure,
  seconds: number,
): Promise<Reading> {
  if (what === 'keepalive' || what === 'connect') {
    return wrk(lab, address, seconds, what === 'keepalive');
  }
  return iperf(lab, address, seconds, what === 'iperf-down');
}
