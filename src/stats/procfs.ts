/**
 * The files /proc/net/ip_vs and ip_vs_stats of Linux IPVS, for programs that read those: node
 * exporters, scripts. Addresses and figures are hexadecimal there, weights and connections decimal.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceReport } from '../api/types.js';
import { isSix, toBytes } from '../config/address.js';

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
function hexService({ protocol, address, port }: ServiceReport): string {
  if (protocol === 'fwmark') return `FWM  ${hex(port, 8)}`;
  return `${protocol.toUpperCase().padEnd(4)} ${hexEndpoint({ address, port })}`;
}

/**
 * node_exporter passes SCTP's services over and takes their servers for the service's before: at the
 * head of the file there is none.
 */
function sctpFirst(services: readonly ServiceReport[]): ServiceReport[] {
  const isSctp = ({ protocol }: ServiceReport) => protocol === 'sctp';
  return [...services.filter(isSctp), ...services.filter((one) => !isSctp(one))];
}

export function ipvsTable(services: ServiceReport[], size: number): string {
  const lines = [
    `IP Virtual Server version ${IPVS_VERSION} (size=${size})`,
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port Forward Weight ActiveConn InActConn',
  ];
  for (const service of sctpFirst(services)) {
    const flags = service.flags.filter((flag) => flag !== 'ops');
    const said = flags.length > 0 ? `(${flags.join(',')}) ` : '';
    const ops = service.flags.includes('ops') ? 'ops ' : '';
    const keeps = service.persistence
      ? `persistent ${service.persistence.timeoutS} ${hexNetmask(service.persistence.netmask)}`
      : '';
    lines.push(`${hexService(service)} ${service.scheduler} ${said}${ops}${keeps}`);
    for (const server of service.servers) {
      const { forward, weight, active, inactive } = server;
      const column = (value: string | number, width: number) => String(value).padEnd(width);
      lines.push(
        `  -> ${hexEndpoint(server)}      ${column(forward, 7)} ${column(weight, 6)} ` +
          `${column(active, 10)} ${column(inactive, 10)}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

export function ipvsStats(services: ServiceReport[]): string {
  const sum = (of: (service: ServiceReport) => number) =>
    services.reduce((all, service) => all + of(service), 0);
  const column = (value: number, width: number) =>
    value.toString(16).toUpperCase().padStart(width, ' ');
  const row = (values: [number, number, number, number, number]) =>
    values.map((value, index) => column(Math.round(value), index < 3 ? 8 : 16)).join(' ');
  return [
    '   Total Incoming Outgoing         Incoming         Outgoing',
    '   Conns  Packets  Packets            Bytes            Bytes',
    row([
      sum((s) => s.conns),
      sum((s) => s.inPkts),
      sum((s) => s.outPkts),
      sum((s) => s.inBytes),
      sum((s) => s.outBytes),
    ]),
    '',
    ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
    row([
      sum((s) => s.rates.cps),
      sum((s) => s.rates.inPps),
      sum((s) => s.rates.outPps),
      sum((s) => s.rates.inBps),
      sum((s) => s.rates.outBps),
    ]),
    '',
  ].join('\n');
}

/** Keeps the two files under a folder that stands in for /proc. */
export class ProcFiles {
  readonly #folder: string;
  #writing = false;

  constructor(proc: string) {
    this.#folder = join(proc, 'net');
  }

  /** A reader sees a whole file, the old or the new. One that is still being written is not overtaken. */
  async write(services: ServiceReport[], size: number): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      await mkdir(this.#folder, { recursive: true });
      await this.#replace('ip_vs', ipvsTable(services, size));
      await this.#replace('ip_vs_stats', ipvsStats(services));
    } finally {
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
