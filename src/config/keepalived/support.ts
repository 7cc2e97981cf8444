/**
 * What a keepalived.conf asks for and Sluice does not do. One rule: what would decide whether, from
 * whom or to which server packets go is an error, until the operator accepts to go without the
 * feature; what only says how keepalived itself runs, tunes or tells others is a warning.
 */
import { TOP } from './keywords/index.js';
import type { Block, Support } from './keywords/kinds.js';
import { type Node, placeOf } from './tree.js';
import { lookUp, type Problems } from './validate.js';
import type { Word } from './words.js';

/** Features by the names that `keepalived.accept` takes, with what going without means. */
export const FEATURES = {
  namespace: 'no network namespace is entered: start sluice inside it (ip netns exec)',
  persistence_engine: 'there is sip alone, for UDP: clients are known by their addresses',
  fwmark: 'no rule in marks of sluice.yaml gives packets that mark: the service is left out',
  scheduler: 'there is no such scheduler: wlc schedules instead',
  method: 'there is no SNAT: the service is left out',
  regex: 'regular expressions are JavaScript’s, which have nothing alike: it is left out',
  syn_proxy: 'the SYN proxy is for TCP to NAT and FNAT servers: SYNs reach them as they come',
  proxy_protocol: 'no PROXY protocol is spoken: servers learn the client’s address by TOA',
  hash_target: 'only addresses and ports are hashed',
  limits: 'traffic is not limited',
} as const;

export type Feature = keyof typeof FEATURES;
/** Done since: files that accept to go without them stay good. */
const DONE = ['multicast_group', 'virtual_routes', 'static'] as const;
export const FEATURE_NAMES = [...DONE, ...Object.keys(FEATURES)] as [string, ...string[]];

export class Unsupported {
  readonly #problems: Problems;
  readonly #accepted: ReadonlySet<string>;
  readonly #tuning = new Map<string, { node: Node; why: string; count: number }>();

  constructor(problems: Problems, accepted: readonly string[]) {
    this.#problems = problems;
    this.#accepted = new Set(accepted);
  }

  /** `what` in the words of the file. */
  packets(feature: Feature, node: Node, what = node.words[0].text, word?: Word): void {
    const message = `not supported: ${FEATURES[feature]}`;
    const place = placeOf(node, word);
    if (this.#accepted.has(feature)) {
      this.#problems.warning(
        'WARN_CONFIG_UNSUPPORTED',
        place,
        what,
        `accepted: ${FEATURES[feature]}`,
      );
    } else {
      const advice = `${message} (to go without, add ${feature} to keepalived.accept)`;
      this.#problems.error('ERR_CONFIG_UNSUPPORTED', place, what, advice);
    }
  }

  /** Told once a keyword, with how often it comes. */
  tuning(node: Node, why: string): void {
    const what = node.words[0].text;
    const known = this.#tuning.get(what);
    if (known) known.count++;
    else this.#tuning.set(what, { node, why, count: 1 });
  }

  /** An option of a line, told as tuning() does. */
  option(line: Node, name: string, why: string): void {
    const word = line.words.find(({ text }) => text === name) ?? line.words[0];
    this.tuning({ ...line, words: [word] }, why);
  }

  /** Everything that the keyword tables mark. */
  walk(tree: readonly Node[], table: Block = TOP): void {
    for (const node of tree) {
      const keyword = lookUp(table, node.words[0].text);
      if (keyword?.support) this.#report(node, keyword.support);
      else if (node.children && typeof keyword?.block === 'object') {
        this.walk(node.children, keyword.block);
      }
    }
  }

  #report(node: Node, support: Support): void {
    if ('tuning' in support) {
      this.tuning(node, support.tuning);
      return;
    }
    const what = node.children ? node.words.map(({ text }) => text).join(' ') : node.words[0].text;
    this.packets(support.packets as Feature, node, what);
  }

  finish(): void {
    for (const [what, { node, why, count }] of this.#tuning) {
      const more = count === 1 ? '' : ` (and ${count - 1} more of them)`;
      const message = `has no effect: ${why}${more}`;
      this.#problems.warning('WARN_CONFIG_UNSUPPORTED', placeOf(node), what, message);
    }
  }
}
