/** What instances and groups track, and the vrrp_script, track_file and other blocks named there. */
import { argument, child, children, type Names, named } from './find.js';
import type { Interfaces } from './interfaces.js';
import type { Block } from './keywords/kinds.js';
import { BFD_INSTANCE, TRACK_FILE, TRACK_PROCESS, VRRP_SCRIPT } from './keywords/vrrp.js';
import type { Data } from './map-checks.js';
import type { Node } from './tree.js';
import { type Account, Values, without } from './values.js';
import { unescaped } from './words.js';

const BLOCKS = {
  track_script: { keywords: ['vrrp_script'], type: 'script', table: VRRP_SCRIPT },
  track_file: { keywords: ['track_file', 'vrrp_track_file'], type: 'file', table: TRACK_FILE },
  track_process: { keywords: ['vrrp_track_process'], type: 'process', table: TRACK_PROCESS },
  track_bfd: { keywords: ['bfd_instance'], type: 'bfd', table: BFD_INSTANCE },
} as const;
type Kind = keyof typeof BLOCKS;

/** Those that are tracked; keepalived, too, runs no others. */
export class Trackers {
  readonly data: Data[] = [];
  readonly nodes: Node[] = [];
  readonly #blocks: Record<Kind, Names>;
  readonly #account: Account;
  /** `kind name` → name in director.yaml, where all kinds share one list. */
  readonly #names = new Map<string, string>();

  constructor(tree: readonly Node[], account: Account) {
    const of = (kind: Kind) => named(tree, ...BLOCKS[kind].keywords);
    this.#account = account;
    this.#blocks = {
      track_script: of('track_script'),
      track_file: of('track_file'),
      track_process: of('track_process'),
      track_bfd: of('track_bfd'),
    };
  }

  /** Its name in director.yaml; undefined: nothing is called so, which has been told. */
  use(kind: Kind, name: string): string | undefined {
    const key = `${kind} ${name}`;
    const known = this.#names.get(key);
    const node = this.#blocks[kind].get(name);
    if (known !== undefined || !node?.children) return known;
    const taken = new Set(this.#names.values());
    const own = taken.has(name) ? `${name}-${BLOCKS[kind].type}` : name;
    this.#names.set(key, own);
    this.nodes.push(node);
    this.data.push({ name: own, type: BLOCKS[kind].type, ...this.#settings(kind, node) });
    return own;
  }

  /** Of the tracker itself: a use may say another one. */
  weightOf(kind: Kind, name: string): number {
    const node = this.#blocks[kind].get(name);
    const usual = kind === 'track_file' ? 1 : 0;
    return node ? (new Values(node, BLOCKS[kind].table).number('weight') ?? usual) : usual;
  }

  #settings(kind: Kind, node: Node): Data {
    const values = new Values(node, BLOCKS[kind].table as Block);
    const [weight, reverse] = values.words('weight') ?? [];
    const common = {
      weight: weight === undefined ? (kind === 'track_file' ? 1 : undefined) : Number(weight),
      reverse: reverse === 'reverse' || undefined,
    };
    switch (kind) {
      case 'track_script': {
        const [user, group] = values.words('user') ?? [];
        const account = user === undefined ? this.#account : { user, group };
        return without({
          ...common,
          script: values.script(account, 'script'),
          interval: values.seconds('interval'),
          timeout: values.seconds('timeout'),
          rise: values.number('rise'),
          fall: values.number('fall'),
          initFail: values.flag('init_fail'),
        });
      }
      case 'track_file':
        return without({ ...common, path: values.text('file') });
      case 'track_bfd':
        return without({ ...common, neighbour: values.text('neighbor_ip', 'neighbour_ip') });
      case 'track_process':
        return without({ ...common, ...processOf(values) });
    }
  }
}

/** `process` is a path or name, and arguments. */
function processOf(values: Values): Data {
  const words = values.words('process')?.map((word) => unescaped(word)) ?? [];
  const [path = '', ...more] = words.flatMap((word) => word.split(/\s+/).filter(Boolean));
  const full = values.flag('full_command');
  const delay = values.seconds('delay');
  const matches = values.text('param_match');
  return {
    process: full ? path : (path.split('/').at(-1) as string),
    fullCommand: full,
    arguments: more.length > 0 || matches !== undefined ? more : undefined,
    partial: matches === undefined ? undefined : true,
    quorum: values.number('quorum'),
    quorumMax: values.number('quorum_max'),
    terminateDelay: values.seconds('terminate_delay') ?? delay,
    forkDelay: values.seconds('fork_delay') ?? delay,
  };
}

/**
 * The tracks of an instance and, since a group fails as a whole, of its group. In a group, and of the
 * owner of the addresses, weights do not count: what has one is left out, as keepalived does.
 */
export function mapTracks(
  node: Node,
  group: Node | undefined,
  owner: boolean,
  trackers: Trackers,
  interfaces: Interfaces,
): { tracks: Node[]; data: Data[] } {
  const weighted = !owner && (!group || child(group, 'sync_group_tracking_weight') !== undefined);
  const own = argument(child(node, 'dpdk_interface', 'interface'));
  const tracks: Node[] = [];
  const data: Data[] = [];
  for (const block of [node, ...(group ? [group] : [])]) {
    for (const kind of ['track_interface', ...(Object.keys(BLOCKS) as Kind[])] as const) {
      for (const line of children(block, kind).flatMap((one) => one.children ?? [])) {
        const name = line.words[0].text;
        const [given, direction] = [weightIn(line), argument(line, 3)];
        if (kind === 'track_interface' && name === own) continue;
        const usual = kind === 'track_interface' ? 0 : trackers.weightOf(kind, name);
        if (!weighted && (given ?? usual) !== 0) continue;
        const what = whatOf(kind, name, trackers, interfaces);
        if (!what) continue;
        tracks.push(line);
        data.push(
          without({
            ...what,
            weight: given,
            reverse: direction === undefined ? undefined : direction === 'reverse',
          }),
        );
      }
    }
  }
  return { tracks, data };
}

/** `NAME weight N`; undefined: not given, or wrong, which has been told. */
function weightIn(line: Node): number | undefined {
  const text = argument(line, 2) ?? '';
  return /^[+-]?\d{1,3}$/.test(text) && Math.abs(Number(text)) <= 254 ? Number(text) : undefined;
}

function whatOf(
  kind: Kind | 'track_interface',
  name: string,
  trackers: Trackers,
  interfaces: Interfaces,
): Data | undefined {
  if (kind === 'track_interface') {
    return interfaces.has(name) ? { port: interfaces.portOf(name) } : { interface: name };
  }
  const tracker = trackers.use(kind, name);
  return tracker === undefined ? undefined : { tracker };
}
