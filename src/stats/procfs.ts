/**
 * The files /proc/net/ip_vs and ip_vs_stats of Linux IPVS, for programs that read those: node
 * exporters, scripts. Addresses and figures are hexadecimal there, weights and connections decimal.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerReport } from '../api/types.js';
import { isSix, toBytes } from '../config/address.js';
import { pacer } from '../slices.js';
import { schedulingFlags } from './flags.js';
import { NO_RATES, type Rates } from './rates.js';
import type { ServiceListing } from './report.js';

/** IPVS's own version: readers compare it. */
const IPVS_VERSION = '1.2.1';

const hex = (value: number, width: number) => value.toString(16).toUpperCase().padStart(width, '0');

const hexAddress = (address: string) =>
  address
    .split('.')
    .map((part) => hex(Number(part), 2))
    .join('');

/** IPv6's is a length, which the kernel prints as it would an address: its bytes turned round. */
const hexNetmask = (netmask: string) =>
  netmask.includes('.') ? hexAddress(netmask) : `${hex(Number(netmask), 2)}000000`;

/** IPv6 addresses as the kernel's %pI6 prints them: all eight words, in lower case. */
function hexEndpoint({ address, port }: { address: string; port: number }): string {
  if (!isSix(address)) return `${hexAddress(address)}:${hex(port, 4)}`;
  const words = Buffer.from(toBytes(address)).toString('hex').match(/.{4}/g) as string[];
  return `[${words.join(':')}]:${hex(port, 4)}`;
}

/** Of a mark it is the number, in as many digits as an address has. */
function hexService({ protocol, address, port }: Omit<ServiceListing, 'servers'>): string {
  if (protocol === 'fwmark') return `FWM  ${hex(port, 8)}`;
  return `${protocol.toUpperCase().padEnd(4)} ${hexEndpoint({ address, port })}`;
}

const head = (size: number) => `IP Virtual Server version ${IPVS_VERSION} (size=${size})
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;

const column = (value: string | number, width: number) => String(value).padEnd(width);

function serviceLine(service: Omit<ServiceListing, 'servers'>): string {
  const flags = schedulingFlags(service.flags);
  const said = flags.length > 0 ? `(${flags.join(',')}) ` : '';
  const ops = service.flags.includes('ops') ? 'ops ' : '';
  const keeps = service.persistence
    ? `persistent ${service.persistence.timeoutS} ${hexNetmask(service.persistence.netmask)}`
    : '';
  return `${hexService(service)} ${service.scheduler} ${said}${ops}${keeps}\n`;
}

function serverLine({ forward, weight, active, inactive, ...at }: ServerReport): string {
  return (
    `  -> ${hexEndpoint(at)}      ${column(forward, 7)} ${column(weight, 6)} ` +
    `${column(active, 10)} ${column(inactive, 10)}\n`
  );
}

type Counted = Pick<ServiceListing, (typeof COUNTED)[number] | 'rates'>;
const COUNTED = ['conns', 'inPkts', 'outPkts', 'inBytes', 'outBytes'] as const;

/** Both files, made in slices. */
export async function ipvsFiles(
  services: Iterable<ServiceListing>,
  size: number,
): Promise<{ table: string; stats: string }> {
  // node_exporter passes SCTP's services over and takes their servers for the service's before: at
  // the head of the file there is none.
  const sctp: string[] = [];
  const others: string[] = [];
  const sum: Counted = {
    conns: 0,
    inPkts: 0,
    outPkts: 0,
    inBytes: 0,
    outBytes: 0,
    rates: { ...NO_RATES },
  };
  const rest = pacer();
  for (const service of services) {
    const lines = service.protocol === 'sctp' ? sctp : others;
    lines.push(serviceLine(service));
    for (const server of service.servers) {
      lines.push(serverLine(server));
      const pause = rest();
      if (pause) await pause;
    }
    for (const name of COUNTED) sum[name] += service[name];
    for (const name of Object.keys(NO_RATES) as (keyof Rates)[])
      sum.rates[name] += service.rates[name];
    const pause = rest();
    if (pause) await pause;
  }
  return { table: [head(size), ...sctp, ...others].join(''), stats: ipvsStats(sum) };
}

function ipvsStats({ rates, ...total }: Counted): string {
  const column = (value: number, width: number) =>
    value.toString(16).toUpperCase().padStart(width, ' ');
  const row = (values: [number, number, number, number, number]) =>
    values.map((value, index) => column(Math.round(value), index < 3 ? 8 : 16)).join(' ');
  return [
    '   Total Incoming Outgoing         Incoming         Outgoing',
    '   Conns  Packets  Packets            Bytes            Bytes',
    row([total.conns, total.inPkts, total.outPkts, total.inBytes, total.outBytes]),
    '',
    ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
    row([rates.cps, rates.inPps, rates.outPps, rates.inBps, rates.outBps]),
    '',
  ].join('\n');
}

/** Part of the time that may go into the files: with very many servers they are written less often. */
const SHARE = 0.1;

/** Keeps the two files under a folder that stands in for /proc. */
export class ProcFiles {
  readonly #folder: string;
  #writing = false;
  /** Of performance.now(): no sooner are they written again. */
  #due = 0;

  constructor(proc: string) {
    this.#folder = join(proc, 'net');
  }

  /** A reader sees a whole file, the old or the new. One that is still being written is not overtaken. */
  async write(services: Iterable<ServiceListing>, size: number): Promise<void> {
    const begun = performance.now();
    if (this.#writing || begun < this.#due) return;
    this.#writing = true;
    try {
      await mkdir(this.#folder, { recursive: true });
      const { table, stats } = await ipvsFiles(services, size);
      await this.#replace('ip_vs', table);
      await this.#replace('ip_vs_stats', stats);
    } finally {
      this.#due = begun + (performance.now() - begun) / SHARE;
      this.#writing = false;
    }
  }

  async remove(): Promise<void> {
    await rm(join(this.#folder, 'ip_vs'), { force: true });
    await rm(join(this.#folder, 'ip_vs_stats'), { force: true });
  }

  async #replace(name: string, text: string): Promise<void> {
    const path = join(this.#folder, name);
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }
}
