/** A keepalived.conf, with or without a director.yaml, as a source of configuration. */
import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Place, Problem } from '../../errors.js';
import { CLIENT_LISTS } from '../clients.js';
import {
  BESIDE,
  type ConfigSource,
  formatPath,
  isRecord,
  type Path,
  type YamlSource,
} from '../source.js';
import { folderOf } from './files.js';
import { child, children, title } from './find.js';
import { GROUP_NAMES } from './keywords/client-groups.js';
import { type Mapped, type MappedService, mapKeepalived } from './map.js';
import type { Data } from './map-checks.js';
import { KERNEL_LISTS } from './map-kernel.js';
import { parseKeepalived } from './parse.js';
import { findInVrrp, VRRP_LISTS } from './place-vrrp.js';
import { FEATURE_NAMES } from './support.js';
import { type Node, placeOf } from './tree.js';
import { Problems } from './validate.js';

interface Given {
  file: string;
  text: string;
}

export class KeepalivedSource implements ConfigSource {
  readonly portless: boolean;
  readonly #yaml: YamlSource | undefined;
  #given: Given | undefined;
  #mapped: Mapped | undefined;
  #others: readonly Problem[] = [];
  /** Services that the YAML file has; those of keepalived.conf follow them. */
  #before = 0;
  #ownTimeouts = new Set<string>();
  #ownSync = false;
  #ownVrrp: Record<string, unknown> = {};
  #ownKernel: Record<string, unknown> = {};

  readonly #accept: readonly string[];

  /** `accept`: features to go without beside those that the YAML file names. */
  constructor(
    yaml: YamlSource | undefined,
    given: Given | undefined,
    accept: readonly string[] = [],
  ) {
    this.#yaml = yaml;
    this.#given = given;
    this.#accept = accept;
    this.portless = yaml === undefined;
  }

  get others(): readonly Problem[] {
    return this.#others;
  }

  syntaxProblems(): Problem[] {
    return this.#yaml?.syntaxProblems() ?? [];
  }

  value(problems: Problem[]): unknown {
    const value = this.#yaml ? this.#yaml.value(problems) : { ports: [{ name: 'none' }] };
    if (problems.length > 0 || !isRecord(value)) return value;
    const settings = settingsOf(value.keepalived);
    this.#given ??= this.#read(settings.file);
    if (!this.#given) return value;
    const { file, text } = this.#given;
    const options = settings.configId === undefined ? {} : { configId: settings.configId };
    const { tree, problems: found } = parseKeepalived(text, file, options);
    const accepted = [...settings.accept, ...this.#accept];
    const ports = this.portless ? undefined : value.ports;
    const yaml = { ports, marks: value.marks };
    const mapped = mapKeepalived(tree, yaml, accepted, new Problems(found));
    this.#mapped = mapped;
    if (this.portless) found.push(noPorts(file));
    this.#others = [...this.#others, ...found];
    return this.#merge(value, mapped);
  }

  #merge(
    value: Record<string, unknown>,
    { services, timeouts, sync, vrrp, kernel }: Mapped,
  ): Record<string, unknown> {
    const own = value.services ?? [];
    // A wrong list is the YAML file's mistake, and told as such.
    if (!Array.isArray(own)) return value;
    this.#before = own.length;
    this.#ownSync = value.sync !== undefined;
    const said = value.timeouts ?? {};
    if (isRecord(said)) this.#ownTimeouts = new Set(Object.keys(said));
    return {
      ...value,
      services: [...own, ...services.map(({ data }) => data)],
      ...(sync && value.sync === undefined ? { sync } : {}),
      ...(kernel.data ? { kernel: this.#mergeKernel(value.kernel ?? {}, kernel.data) } : {}),
      ...(vrrp.data ? { vrrp: this.#mergeVrrp(value.vrrp ?? {}, vrrp.data) } : {}),
      ...(timeouts && isRecord(said) ? { timeouts: { ...timeouts, ...said } } : {}),
    };
  }

  /** Settings of the YAML file count before; its lists come first. */
  #mergeVrrp(own: unknown, given: Data): unknown {
    // A wrong block is the YAML file's mistake.
    if (!isRecord(own)) return own;
    this.#ownVrrp = own;
    const lists = VRRP_LISTS.flatMap((key): [string, unknown[]][] => {
      const [first, second] = [listOf(own[key]), listOf(given[key])];
      return second.length > 0 ? [[key, [...first, ...second]]] : [];
    });
    return { ...given, ...own, ...Object.fromEntries(lists) };
  }

  /** As with services, those of the YAML file come first. */
  #mergeKernel(own: unknown, given: Data): unknown {
    if (!isRecord(own)) return own;
    this.#ownKernel = own;
    const lists = KERNEL_LISTS.flatMap((key): [string, unknown[]][] =>
      given[key] === undefined ? [] : [[key, [...listOf(own[key]), ...listOf(given[key])]]],
    );
    return { ...own, ...Object.fromEntries(lists) };
  }

  #read(file: string | undefined): Given | undefined {
    if (file === undefined || !this.#yaml) return undefined;
    const place = this.#yaml.locate(['keepalived']);
    const path = isAbsolute(file) ? file : join(folderOf(place.file), file);
    try {
      return { file: path, text: readFileSync(path, 'utf8') };
    } catch (cause) {
      const message = `cannot read ${path}: ${(cause as Error).message}`;
      const code = 'ERR_CONFIG_INCLUDE';
      this.#others = [{ severity: 'error', code, place, path: 'keepalived', message }];
      return undefined;
    }
  }

  locate(path: Path): Place {
    const found = this.#find(path);
    if (found) return found.place;
    return this.#yaml?.locate(path) ?? { file: this.#given?.file ?? '', line: 1, column: 1 };
  }

  locateKey(path: Path): Place {
    return this.#find(path)?.place ?? this.#yaml?.locateKey(path) ?? this.locate(path);
  }

  describe(path: Path): string {
    return this.#find(path)?.what ?? formatPath(path);
  }

  /** The line of keepalived.conf that a part of the data comes from. */
  #find([list, index, ...rest]: Path): { place: Place; what: string } | undefined {
    const mapped = this.#mapped;
    if (!mapped) return undefined;
    if (list === 'timeouts' && mapped.timeoutsNode && !this.#ownTimeouts.has(String(index))) {
      return { place: placeOf(mapped.timeoutsNode), what: 'lvs_timeouts' };
    }
    if (list === 'sync' && mapped.syncNode && !this.#ownSync) {
      return { place: placeOf(mapped.syncNode), what: 'lvs_sync_daemon' };
    }
    if (list === 'vrrp' && typeof index === 'string') {
      const before = listOf(this.#ownVrrp[index]).length;
      return findInVrrp(mapped.vrrp, index, before, rest);
    }
    const kernelList = list === 'kernel' && KERNEL_LISTS.find((one) => one === index);
    if (kernelList && typeof rest[0] === 'number') {
      const at = rest[0] - listOf(this.#ownKernel[kernelList]).length;
      const line = mapped.kernel.nodes[kernelList][at];
      return line && { place: placeOf(line), what: line.words[0].text };
    }
    if (list !== 'services' || typeof index !== 'number') return undefined;
    const service = mapped.services[index - this.#before];
    return service && findIn(service, rest);
  }
}

/** Names that are not director.yaml's words in lower case with underscores. */
const KEYWORDS: Record<string, readonly string[]> = {
  scheduler: ['lvs_sched', 'lb_algo'],
  mode: ['lvs_method', 'lb_kind'],
  localAddresses: ['laddr_group_name'],
  onePacket: ['ops'],
  synProxy: ['syn_proxy'],
  upperThreshold: ['uthreshold'],
  lowerThreshold: ['lthreshold'],
  bindTo: ['bindto'],
  bindInterface: ['bind_if'],
  status: ['status_code'],
  queryType: ['type'],
  script: ['misc_path'],
  timeout: ['misc_timeout'],
  path: ['path', 'track_file'],
  retry: ['retry', 'nb_get_retry', 'nb_sock_retry'],
  sni: ['enable_sni'],
  regexFlags: ['regex_options'],
  reply: ['require_reply'],
};

function findIn(service: MappedService, path: Path): { place: Place; what: string } {
  let node = service.node;
  let rest = path;
  if (rest[0] === 'servers' && typeof rest[1] === 'number') {
    const server = service.servers[rest[1]];
    node = server?.node ?? node;
    rest = rest.slice(2);
    if (rest[0] === 'health' && rest[1] === 'checks' && typeof rest[2] === 'number') {
      node = server?.checks[rest[2]] ?? node;
      rest = rest.slice(3);
      if (rest[0] === 'urls' && typeof rest[1] === 'number') {
        node = children(node, 'url')[rest[1]] ?? node;
        rest = rest.slice(2);
      }
    }
  }
  const list = CLIENT_LISTS.find((one) => rest[0] === 'clients' && one === rest[1]);
  if (list) {
    const line = service.clients[list][Number(rest[2])] ?? child(node, ...GROUP_NAMES[list]);
    if (line) return { place: placeOf(line), what: title(line) };
  }
  if (rest[0] === 'health') rest = rest.slice(1);
  const key = String(rest[0] ?? '');
  if (key === 'listen' || key === 'mark' || key === 'address') return endpoint(service, node, key);
  const line = child(node, ...(KEYWORDS[key] ?? [snake(key)]));
  return line
    ? { place: placeOf(line, line.words[1]), what: line.words[0].text }
    : { place: placeOf(node), what: title(node) };
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function endpoint(service: MappedService, node: Node, key: string): { place: Place; what: string } {
  const { member } = service;
  if (key !== 'address' && member) return { place: placeOf(member), what: title(service.node) };
  return { place: placeOf(node, node.words[1]), what: node.words[0].text };
}

function snake(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function noPorts(file: string): Problem {
  return {
    severity: 'warning',
    code: 'WARN_CONFIG_NO_PORTS',
    place: { file, line: 1, column: 1 },
    path: '',
    message: `no ${join(folderOf(file), BESIDE)} says which ports there are: sluice run needs one`,
  };
}

interface Settings {
  file: string | undefined;
  configId: string | undefined;
  accept: string[];
}

/** Whatever is wrong with it is told by the schema. */
function settingsOf(value: unknown): Settings {
  const block = typeof value === 'string' ? { file: value } : isRecord(value) ? value : {};
  const text = (of: unknown) => (typeof of === 'string' && of !== '' ? of : undefined);
  const names: readonly string[] = FEATURE_NAMES;
  const accept = Array.isArray(block.accept) ? block.accept : [];
  return {
    file: text(block.file),
    configId: text(block.configId),
    accept: accept.filter((name): name is string => names.includes(name)),
  };
}
