/**
 * Names of hosts and ports. Numbers become names by the machine's own files alone (/etc/hosts,
 * /etc/services): a listing never waits for DNS. A host name that somebody types is looked up like
 * anywhere else, but for a bounded time.
 */
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import ipaddr from 'ipaddr.js';

const LOOKUP_MS = 5_000;

export type Protocol = 'tcp' | 'udp' | 'sctp';
/** Ports of services for marks, and of their templates, have no names. */
export type Named = Protocol | 'fwmark' | 'ip';

export class Names {
  readonly #ports = new Map<string, number>();
  readonly #services = new Map<string, string>();
  readonly #addresses = new Map<string, string>();
  readonly #hosts = new Map<string, string>();

  constructor(services: string, hosts: string) {
    for (const [name = '', where = '', ...aliases] of entries(services)) {
      const [port = '', protocol = ''] = where.split('/');
      for (const one of [name, ...aliases]) keep(this.#ports, `${one}/${protocol}`, Number(port));
      keep(this.#services, `${port}/${protocol}`, name);
    }
    for (const [address = '', ...names] of entries(hosts)) {
      for (const name of names) keep(this.#addresses, name.toLowerCase(), address);
      if (names[0]) keep(this.#hosts, address, names[0]);
    }
  }

  static ofThisMachine(): Names {
    return new Names(read('/etc/services'), read('/etc/hosts'));
  }

  portOf(name: string, protocol: Protocol): number | undefined {
    return this.#ports.get(`${name}/${protocol}`);
  }

  /** `http`, or the number. */
  portName(port: number, protocol: Named): string {
    return this.#services.get(`${port}/${protocol}`) ?? String(port);
  }

  /** `localhost`, or the address. */
  hostName(address: string): string {
    return this.#hosts.get(address) ?? address;
  }

  /** A host's IPv4 address; undefined when there is none (in time). */
  async addressOf(name: string): Promise<string | undefined> {
    const known = this.#addresses.get(name.toLowerCase());
    if (known && ipaddr.IPv4.isValidFourPartDecimal(known)) return known;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, LOOKUP_MS, undefined);
    });
    try {
      return (await Promise.race([lookup(name, { family: 4 }), late]))?.address;
    } catch {
      // No such host: the caller says what was typed.
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  if (!map.has(key)) map.set(key, value);
}

function* entries(text: string): Generator<string[]> {
  for (const line of text.split('\n')) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    if (words.length > 1) yield words;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Without the file nothing has a name.
    return '';
  }
}
