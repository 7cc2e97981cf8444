/**
 * What lists of clients come to: the networks of one family that a snapshot carries, and the entry
 * that speaks for a client.
 */
import { createHash } from 'node:crypto';
import { isSix } from './address.js';
import {
  type ClientFile,
  type ClientItem,
  type ClientListName,
  type Clients,
  type Network,
  networksIn,
  networksOf,
  parseClients,
  rangeOf,
} from './clients.js';

/** Networks as native/engine/snapshot_wire.h has them. The same list is the same object. */
export interface ClientSet {
  /** 16 hexadecimal digits: sets that have the same are the same. */
  fingerprint: string;
  family: 4 | 6;
  count: number;
  bytes: Uint8Array;
}

/** Bytes of a network in a snapshot. */
export const CLIENT4 = 8;
export const CLIENT6 = 24;

/** A line of a file that is no client. */
export interface LineFault {
  /** From 1 on. */
  line: number;
  column: number;
  message: string;
}

class Networks {
  readonly first: bigint[] = [];
  readonly length: number[] = [];
  /** Index of a list's item, or a file's line from 1 on. */
  readonly origin: number[] = [];

  add({ first, length }: Network, origin: number): void {
    this.first.push(first);
    this.length.push(length);
    this.origin.push(origin);
  }

  get count(): number {
    return this.length.length;
  }
}

interface Parsed {
  four: Networks;
  six: Networks;
  faults: LineFault[];
}

const parsedFiles = new WeakMap<ClientFile, Parsed>();
const QUAD =
  /^([1-9]?\d|1\d\d|2[0-4]\d|25[0-5])\.([1-9]?\d|1\d\d|2[0-4]\d|25[0-5])\.([1-9]?\d|1\d\d|2[0-4]\d|25[0-5])\.([1-9]?\d|1\d\d|2[0-4]\d|25[0-5])$/;

/** One client a line; `#` begins a comment. */
export function parseClientFile(file: ClientFile): Parsed {
  const known = parsedFiles.get(file);
  if (known) return known;
  const parsed: Parsed = { four: new Networks(), six: new Networks(), faults: [] };
  let line = 0;
  for (const whole of file.text.split('\n')) {
    line++;
    const said = whole.split('#', 1)[0] as string;
    const text = said.trim();
    if (text === '') continue;
    // What most lines of large files are.
    const quad = QUAD.exec(text);
    if (quad) {
      const [, a, b, c, d] = quad;
      const number = ((Number(a) * 256 + Number(b)) * 256 + Number(c)) * 256 + Number(d);
      parsed.four.add({ six: false, first: BigInt(number), length: 32 }, line);
      continue;
    }
    const range = rangeOf(text);
    if ('fault' in range) {
      const column = said.indexOf(text) + 1;
      const message = `is ${JSON.stringify(text)}, expected ${range.fault}`;
      parsed.faults.push({ line, column, message });
      continue;
    }
    const networks = range.six ? parsed.six : parsed.four;
    for (const network of networksIn(range)) networks.add(network, line);
  }
  parsedFiles.set(file, parsed);
  return parsed;
}

type Files = readonly ClientFile[];

function parsedFile(path: string, files: Files): Parsed | undefined {
  const file = files.find((one) => one.path === path);
  return file && parseClientFile(file);
}

/** Of one family, in the order of the list. */
function* partsOf(items: readonly ClientItem[], files: Files, six: boolean) {
  const own = new Networks();
  for (const [index, item] of items.entries()) {
    if (typeof item !== 'string') {
      const parsed = parsedFile(item.file, files);
      if (parsed) yield { item: index, networks: six ? parsed.six : parsed.four };
    } else if (isSix(item) === six) {
      for (const network of networksOf(item)) own.add(network, index);
    }
  }
  yield { item: undefined, networks: own };
}

export function countNetworks(items: readonly ClientItem[], files: Files, six: boolean): number {
  let count = 0;
  for (const { networks } of partsOf(items, files, six)) count += networks.count;
  return count;
}

interface Made {
  files: (ClientFile | undefined)[];
  sets: { 4?: ClientSet; 6?: ClientSet };
}

const made = new WeakMap<readonly ClientItem[], Made>();
const sets = new Map<string, WeakRef<ClientSet>>();
const texts = new Map<string, WeakRef<ClientSet>>();

/** null: there is no list. */
export function clientSet(
  items: readonly ClientItem[],
  files: Files,
  six: boolean,
): ClientSet | null {
  if (items.length === 0) return null;
  const used = items.flatMap((item) =>
    typeof item === 'string' ? [] : [files.find(({ path }) => path === item.file)],
  );
  let known = made.get(items);
  if (!known || known.files.some((file, at) => file !== used[at])) {
    known = { files: used, sets: {} };
    made.set(items, known);
  }
  const family = six ? 6 : 4;
  known.sets[family] ??= ofText(items, six) ?? shared(encode(items, files, six));
  return known.sets[family];
}

/** A group of keepalived.conf is a list of its own in each service that names it. */
function ofText(items: readonly ClientItem[], six: boolean): ClientSet | undefined {
  if (items.some((item) => typeof item !== 'string')) return undefined;
  const text = `${six} ${items.join(' ')}`;
  const known = texts.get(text)?.deref();
  if (known) return known;
  for (const [old, ref] of texts) if (!ref.deref()) texts.delete(old);
  const set = shared(encode(items, [], six));
  texts.set(text, new WeakRef(set));
  return set;
}

/** What is alike in different lists is kept once. */
function shared(set: ClientSet): ClientSet {
  const key = `${set.family} ${set.count} ${set.fingerprint}`;
  const known = sets.get(key)?.deref();
  if (known) return known;
  for (const [old, ref] of sets) if (!ref.deref()) sets.delete(old);
  sets.set(key, new WeakRef(set));
  return set;
}

function encode(items: readonly ClientItem[], files: Files, six: boolean): ClientSet {
  const size = six ? CLIENT6 : CLIENT4;
  const count = countNetworks(items, files, six);
  const bytes = new Uint8Array(count * size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { networks } of partsOf(items, files, six)) {
    for (let index = 0; index < networks.count; index++, at += size) {
      const first = networks.first[index] as bigint;
      if (six) {
        view.setBigUint64(at, first >> 64n);
        view.setBigUint64(at + 8, first & 0xffff_ffff_ffff_ffffn);
        bytes[at + 16] = networks.length[index] as number;
      } else {
        view.setUint32(at, Number(first));
        bytes[at + 4] = networks.length[index] as number;
      }
    }
  }
  const fingerprint = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return { fingerprint, family: six ? 6 : 4, count, bytes };
}

/** An entry of a list. */
export interface Entry {
  list: ClientListName;
  /** As it was said. */
  text: string;
  /** Index in the list. */
  item: number;
  /** Where it stands in a file, of which `item` is the path. */
  file?: { path: string; line: number };
}

export type Admission =
  /** `by`: the entry that lets it in; undefined: everybody is let in. */
  | { admitted: true; by: Entry | undefined }
  /** `by`: the entry that denies it; undefined: no entry of `allow` lets it in. */
  | { admitted: false; by: Entry | undefined };

/** What the lists say of a client; of nested entries the narrowest one is named. */
export function admission({ allow, deny }: Clients, files: Files, client: string): Admission {
  const denied = entryOf('deny', deny, files, client);
  if (denied) return { admitted: false, by: denied };
  const by = entryOf('allow', allow, files, client);
  return { admitted: allow.length === 0 || by !== undefined, by };
}

function entryOf(
  list: ClientListName,
  items: readonly ClientItem[],
  files: Files,
  client: string,
): Entry | undefined {
  const [own] = networksOf(client);
  if (!own || items.length === 0) return undefined;
  const bits = own.six ? 128 : 32;
  let best: { item: number; line: number | undefined; length: number } | undefined;
  for (const { item, networks } of partsOf(items, files, own.six)) {
    for (let at = 0; at < networks.count; at++) {
      const length = networks.length[at] as number;
      if (best && best.length >= length) continue;
      const host = BigInt(bits - length);
      if (((networks.first[at] as bigint) ^ own.first) >> host !== 0n) continue;
      const origin = networks.origin[at] as number;
      best = { item: item ?? origin, line: item === undefined ? undefined : origin, length };
    }
  }
  if (!best) return undefined;
  const said = items[best.item] as ClientItem;
  if (typeof said === 'string') return { list, text: said, item: best.item };
  const line = best.line as number;
  const file = files.find(({ path }) => path === said.file) as ClientFile;
  const text = ((file.text.split('\n')[line - 1] ?? '').split('#', 1)[0] as string).trim();
  return { list, text, item: best.item, file: { path: file.path, line } };
}

/** All that a list says, files line by line. */
export function* entriesOf(
  list: ClientListName,
  items: readonly ClientItem[],
  files: Files,
): Generator<Entry> {
  for (const [item, said] of items.entries()) {
    if (typeof said === 'string') {
      yield { list, text: said, item };
      continue;
    }
    const file = files.find(({ path }) => path === said.file);
    for (const [at, whole] of (file?.text.split('\n') ?? []).entries()) {
      const text = parseClients((whole.split('#', 1)[0] as string).trim());
      if ('fault' in text) continue;
      yield { list, text: text.value, item, file: { path: said.file, line: at + 1 } };
    }
  }
}
