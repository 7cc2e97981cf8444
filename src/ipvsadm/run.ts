/**
 * ipvsadm for a running director: one command line in, what ipvsadm would print and its exit
 * status out.
 */
import type { ControlClient } from '../api/client.js';
import type { EditReport, ServiceReport } from '../api/types.js';
import type { ClientReport } from '../clients.js';
import type { ClientListName } from '../config/clients.js';
import { formatEnd } from '../config/marks.js';
import { codeOf } from '../errors.js';
import type { Edit } from '../model-edit.js';
import { changeDaemon, daemonLines, NO_INTERFACE } from './daemon.js';
import { editsOf, serviceId } from './edits.js';
import { IpvsadmError, STATUS, tryHelp } from './errors.js';
import {
  connectionHeader,
  connectionLine,
  formatListing,
  type Shape,
  savedLines,
  sorted,
  title,
} from './format.js';
import { HELP, VERSION_LINE } from './help.js';
import type { Names } from './names.js';
import type { CommandName } from './options.js';
import { type CommandLine, parseCommand } from './parse.js';

export interface Environment {
  client: ControlClient;
  names: Names;
  out(text: string): void;
  error(text: string): void;
  /** All of the standard input. */
  input(): Promise<string>;
}

/** What the API's refusals are called by ipvsadm; others are told in full. */
const REFUSALS: Record<string, string> = {
  ERR_SERVICE_EXISTS: 'Service already exists',
  ERR_NO_SUCH_SERVICE: 'No such service',
  ERR_SERVICE_NOT_DEFINED: 'Service not defined',
  ERR_SERVER_EXISTS: 'Destination already exists',
  ERR_NO_SUCH_SERVER: 'No such destination',
  ERR_SYNC_RUNNING: 'Daemon has already run',
  ERR_SYNC_NOT_RUNNING: 'No daemon is running',
  ERR_SYNC_INTERFACE: NO_INTERFACE,
  ERR_THRESHOLDS: 'Numerical result out of range',
};

export async function ipvsadm(words: readonly string[], environment: Environment): Promise<number> {
  return new Session(environment).run(words);
}

class Session {
  readonly #at: Environment;

  constructor(environment: Environment) {
    this.#at = environment;
  }

  async run(words: readonly string[]): Promise<number> {
    try {
      const line = await parseCommand(words, this.#at.names);
      if (line.command === 'restore') return await this.#restore(await this.#at.input());
      return await this.#execute(line, `ipvsadm ${words.join(' ')}`);
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): number {
    if (error instanceof IpvsadmError) {
      this.#at.error(`${error.message}\n`);
      return error.status;
    }
    const code = codeOf(error);
    if (code === undefined) throw error;
    this.#at.error(`${refusal(code, (error as Error).message)}\n`);
    return code === 'ERR_NOT_RUNNING' ? STATUS.usage : STATUS.refused;
  }

  /** Everything but -R. */
  async #execute(line: CommandLine, cause: string): Promise<number> {
    const { client, out } = this.#at;
    switch (line.command) {
      case 'help':
        out(HELP);
        return STATUS.ok;
      case 'version':
        out(`${VERSION_LINE}\n`);
        return STATUS.ok;
      case 'list':
        return this.#list(line);
      case 'save': {
        const clients: ClientReport[] = [];
        for await (const one of client.clients()) clients.push(one);
        print(out, savedLines(sorted(await client.services()), this.#namesFor(line), clients));
        return STATUS.ok;
      }
      case 'get-laddr':
        return this.#localAddresses(line);
      case 'get-blklst':
        return this.#clients(line, 'deny');
      case 'get-whtlst':
        return this.#clients(line, 'allow');
      case 'start-daemon':
      case 'stop-daemon':
        await changeDaemon(client, line);
        return STATUS.ok;
      case 'zero':
        await client.zero(line.given.has('service-address') ? serviceId(line) : undefined);
        return STATUS.ok;
      default:
        await this.#checkInterface(line);
        await client.edit({ edits: [editsOf(line)], cause });
        return STATUS.ok;
    }
  }

  /**
   * Line by line, as ipvsadm does: a line that is refused does not stop the others, one that is
   * wrong does, and the last line's status counts. All edits between two listings are published
   * as one generation.
   */
  async #restore(text: string): Promise<number> {
    const pending: Edit[] = [];
    let status: number = STATUS.ok;
    const flush = async () => {
      if (pending.length === 0) return;
      const edits = pending.splice(0);
      const cause = `ipvsadm -R (${edits.length} lines)`;
      const report = await this.#at.client.edit({ edits, cause, together: false });
      status = this.#told(report);
    };
    for (const words of text.split('\n').map((line) => line.split(/\s+/).filter(Boolean))) {
      if (words[0] === 'ipvsadm') words.shift();
      if (words.length === 0) continue;
      try {
        const line = await parseCommand(words, this.#at.names);
        if (line.command === 'restore') throw tryHelp();
        if (isEdit(line)) {
          await this.#checkInterface(line);
          pending.push(editsOf(line));
          status = STATUS.ok;
          continue;
        }
        await flush();
        status = await this.#execute(line, 'ipvsadm -R');
        if (line.command === 'help' || line.command === 'version') return status;
      } catch (error) {
        await flush();
        status = this.#failed(error);
        if (error instanceof IpvsadmError && error.fatal) return status;
      }
    }
    await flush();
    return status;
  }

  #told({ results }: EditReport): number {
    for (const result of results) {
      if (result) this.#at.error(`${refusal(result.code, result.message)}\n`);
    }
    return results.at(-1) ? STATUS.refused : STATUS.ok;
  }

  /** `-F` names the port that a local address is behind; the routes decide, so it has only to exist. */
  async #checkInterface({ ifname }: CommandLine): Promise<void> {
    if (ifname === undefined) return;
    const ports = await this.#at.client.ports();
    if (ports.some(({ name, twin }) => name === ifname || twin === ifname)) return;
    throw new IpvsadmError(STATUS.refused, `ERR_CONFIG_REFERENCE: no port is called ${ifname}`);
  }

  #namesFor({ given }: CommandLine): Names | undefined {
    return given.has('numeric') ? undefined : this.#at.names;
  }

  async #list(line: CommandLine): Promise<number> {
    const { client, out } = this.#at;
    const { given } = line;
    if (given.has('timeout')) {
      const { tcp, tcpFin, udp } = (await client.status()).timeouts;
      print(out, [`Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}`]);
      return STATUS.ok;
    }
    if (given.has('daemon')) {
      print(out, daemonLines(await client.sync()));
      return STATUS.ok;
    }
    if (given.has('connection')) {
      const keeps = given.has('persistent-conn');
      print(out, [connectionHeader(keeps)]);
      const names = this.#namesFor(line);
      for await (const one of client.connections()) print(out, [connectionLine(one, names, keeps)]);
      return STATUS.ok;
    }
    const all = await client.services();
    const wanted = given.has('service-address') ? matching(all, line) : all;
    if (wanted === undefined) {
      this.#at.error('No such service\n');
      return STATUS.missing;
    }
    const listing = formatListing(given.has('nosort') ? wanted : sorted(wanted), {
      shape: shapeOf(line),
      exact: given.has('exact'),
      templates: given.has('persistent-conn') ? await this.#templates() : undefined,
      names: this.#namesFor(line),
      title: given.has('service-address') ? undefined : title(await client.status()),
    });
    print(out, [listing]);
    return STATUS.ok;
  }

  /** How many persistence templates each server has, by slot. */
  async #templates(): Promise<Map<number, number>> {
    const found = new Map<number, number>();
    for await (const { state, serverSlot } of this.#at.client.connections()) {
      if (state === 'NONE') found.set(serverSlot, (found.get(serverSlot) ?? 0) + 1);
    }
    return found;
  }

  /** DPVS's listing. Two clients never get the same local port, so there are no conflicts. */
  async #localAddresses(line: CommandLine): Promise<number> {
    const { client, out } = this.#at;
    const all = sorted(await client.services());
    const wanted = line.given.has('service-address') ? matching(all, line) : all;
    if (wanted === undefined) {
      this.#at.error('No such service\n');
      return STATUS.missing;
    }
    print(out, ['VIP:VPORT            TOTAL    SNAT_IP              CONFLICTS  CONNS']);
    for (const service of wanted.filter(({ localAddresses }) => localAddresses.length > 0)) {
      const name = formatEnd(service.protocol, service);
      const used = new Map<string, number>();
      for await (const { local } of client.connections({
        service: service.name,
      })) {
        used.set(local, (used.get(local) ?? 0) + 1);
      }
      const { localAddresses } = service;
      print(out, [
        `${name.padEnd(20)} ${String(localAddresses.length).padEnd(8)}`,
        ...localAddresses.map(
          (local) =>
            `${''.padEnd(29)} ${local.padEnd(20)} ${'0'.padEnd(10)} ${used.get(local) ?? 0}`,
        ),
      ]);
    }
    return STATUS.ok;
  }

  /** DPVS's listing, of what is on the list and not of services. */
  async #clients(line: CommandLine, list: ClientListName): Promise<number> {
    const { client, out } = this.#at;
    const all = sorted(await client.services());
    const wanted = line.given.has('service-address') ? matching(all, line) : all;
    if (wanted === undefined) {
      this.#at.error('No such service\n');
      return STATUS.missing;
    }
    const row = (...words: [string, string, string]) =>
      `${words[0].padEnd(8)} ${words[1].padEnd(30)} ${words[2].padEnd(30)}`;
    print(out, [row('PROTO', 'VIP:VPORT', list === 'deny' ? 'BLACKLIST' : 'WHITELIST')]);
    for (const service of wanted) {
      const { name, protocol } = service;
      const protocolWord = protocol === 'fwmark' ? 'FWM' : protocol.toUpperCase();
      const end = formatEnd(protocol, service);
      for await (const one of client.clients(name)) {
        if (one.list === list) print(out, [row(protocolWord, end, one.client)]);
      }
    }
    return STATUS.ok;
  }
}

const NO_EDITS = new Set<CommandName>([
  ...([
    'help',
    'version',
    'list',
    'save',
    'get-laddr',
    'get-blklst',
    'get-whtlst',
    'zero',
  ] as const),
  ...(['start-daemon', 'stop-daemon'] as const),
]);

function isEdit({ command }: CommandLine): boolean {
  return !NO_EDITS.has(command);
}

function matching(services: ServiceReport[], line: CommandLine): ServiceReport[] | undefined {
  const { protocol, listen } = serviceId(line);
  const found = services.filter(
    (one) =>
      one.protocol === protocol && one.address === listen.address && one.port === listen.port,
  );
  return found.length === 0 ? undefined : found;
}

function shapeOf({ given }: CommandLine): Shape {
  if (given.has('stats')) return 'stats';
  if (given.has('rate')) return 'rate';
  if (given.has('thresholds')) return 'thresholds';
  if (given.has('persistent-conn')) return 'persistent';
  return given.has('tun-info') ? 'tunnel' : 'plain';
}

function refusal(code: string, message: string): string {
  return REFUSALS[code] ?? `${code}: ${message}`;
}

function print(out: (text: string) => void, lines: readonly string[]): void {
  if (lines.length > 0) out(`${lines.join('\n')}\n`);
}
