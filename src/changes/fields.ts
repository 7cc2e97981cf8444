/**
 * What differs between two things of a Model, setting by setting: as data for programs, whose words
 * and units are those that people read. One setting is one FieldChange, however deep it is; secrets
 * are told as changed, and never what they were or are.
 */
import { formatCidr, formatEndpoint } from '../config/address.js';
import { sameData } from '../same-data.js';
import { HIDDEN, isSecret, withoutSecretsIn } from '../secrets.js';

export interface ValueChange {
  /** `weight`, `check http connect timeout` … */
  field: string;
  /** null: not given. Times are text with their unit; a secret is `***`. */
  from: Told;
  to: Told;
}

/** Of a list what has come and gone; neither: the same things are in another order. */
export interface ListChange {
  field: string;
  added: string[];
  removed: string[];
  /** Added and removed ones that are not named. */
  more: number;
}

export type Told = string | number | boolean | null;
export type FieldChange = ValueChange | ListChange;

/** Of a list so many are named, so that a report stays small where lists of 100 000 clients change. */
const NAMED = 50;
/** Characters of a value in a report. */
const LONGEST = 500;

/** Where a setting's own name is not what people would say; empty: its members speak for themselves. */
const WORDS: Readonly<Record<string, string>> = {
  allow: 'clients allowed',
  deny: 'clients denied',
  checks: 'check',
  clients: '',
  health: '',
  schedulePort: 'scheduling by port',
  scheduleFallback: 'scheduling with fallback',
  onePacket: 'one-packet scheduling',
  text: '',
  trackers: 'tracker',
  urls: 'url',
  vrid: 'router id',
};

/** Suffixes of names that say the unit, in microseconds. */
const UNITS: readonly [suffix: RegExp, us: number][] = [
  [/Ms$/, 1_000],
  [/Us$/, 1],
  [/(?<=timeout)S$/, 1_000_000],
];

type Data = Record<string, unknown>;

/** `ignored`: settings that are somebody else's to tell. */
export function fieldChanges(
  before: object,
  after: object,
  ignored: readonly string[] = [],
): FieldChange[] {
  return memberChanges('', before as Data, after as Data, ignored);
}

/** Lists of texts. */
export function listChange(
  field: string,
  before: readonly string[],
  after: readonly string[],
): ListChange {
  const [old, now] = [new Set(before), new Set(after)];
  const added = after.filter((one) => !old.has(one));
  const removed = before.filter((one) => !now.has(one));
  const named = { added: added.slice(0, NAMED), removed: removed.slice(0, NAMED) };
  const more = added.length + removed.length - named.added.length - named.removed.length;
  return { field, ...named, more };
}

function memberChanges(
  field: string,
  before: Data,
  after: Data,
  ignored: readonly string[],
): FieldChange[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => !ignored.includes(key))
    .flatMap((key) => changesOf(field, key, before[key], after[key]));
}

function changesOf(around: string, key: string, before: unknown, after: unknown): FieldChange[] {
  if (sameData(before, after)) return [];
  const field = [around, wordOf(key)].filter(Boolean).join(' ');
  // Of a thing that may be drained it is never said that it is not.
  if (key === 'drained') return [{ field, from: before === true, to: after === true }];
  if (key === 'text') return [listChange(field, linesOf(before), linesOf(after))];
  if (Array.isArray(before) && Array.isArray(after)) return elementChanges(field, before, after);
  const texts = textOf(before) === undefined && textOf(after) === undefined;
  if (texts && isRecord(before) && isRecord(after)) return memberChanges(field, before, after, []);
  return [{ field, from: told(key, before), to: told(key, after) }];
}

function elementChanges(
  field: string,
  before: readonly unknown[],
  after: readonly unknown[],
): FieldChange[] {
  const [old, now] = [labelled(before), labelled(after)];
  const inner = [...now].flatMap(([label, value]) => {
    const was = old.get(label);
    if (!isRecord(value) || !isRecord(was) || sameData(was, value)) return [];
    return memberChanges(`${field} ${label}`, was, value, []);
  });
  const [labels, others] = [[...old.keys()], [...now.keys()]];
  if (sameData(labels, others)) return inner;
  if (labels.length < 2 && others.length < 2 && [...before, ...after].every(isRecord)) {
    return [{ field, from: labels[0] ?? null, to: others[0] ?? null }];
  }
  return [...inner, listChange(field, labels, others)];
}

/** By what tells them from one another; of several that are alike in that the second is `… 2`. */
function labelled(list: readonly unknown[]): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const value of list) {
    const label = labelOf(value);
    let unique = label;
    for (let count = 2; found.has(unique); count++) unique = `${label} ${count}`;
    found.set(unique, value);
  }
  return found;
}

function labelOf(value: unknown): string {
  if (Array.isArray(value) && isPair(value)) return rangeText(value[0], value[1]);
  const text = textOf(value);
  if (text !== undefined || !isRecord(value)) return text ?? String(value);
  const { kind, name, type, path } = value;
  const label = name ?? type ?? path;
  return label === undefined
    ? described(value)
    : shortened([kind, label].filter((one) => one !== undefined).join(' '));
}

function linesOf(text: unknown): string[] {
  return String(text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function isRecord(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of scalars and of what is one thing to people, though it is several here; else undefined. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return shortened(withoutSecretsIn(value));
  if (typeof value === 'number') return `${value}`;
  if (!isRecord(value)) return undefined;
  const { address, port, length, low, high, file, argv } = value;
  if (Array.isArray(argv)) return shortened(withoutSecretsIn(argv.join(' ')));
  if (typeof low === 'number' && typeof high === 'number') return rangeText(low, high);
  if (Object.keys(value).length === 1 && typeof file === 'string') return `file ${file}`;
  if (typeof address !== 'string' || Object.keys(value).length !== 2) return undefined;
  if (typeof length === 'number') return formatCidr({ address, length });
  return typeof port === 'number' ? formatEndpoint({ address, port }) : undefined;
}

/** Of a list of ranges. */
function isPair(value: readonly unknown[]): value is [number, number] {
  return value.length === 2 && value.every((one) => typeof one === 'number');
}

function rangeText(low: number, high: number): string {
  return low === high ? `${low}` : `${low}-${high}`;
}

function told(key: string, value: unknown): Told {
  if (value === undefined || value === null) return null;
  if (isSecret(key) && typeof value === 'string') return HIDDEN;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return withUnit(key, value);
  return textOf(value) ?? described(value);
}

/** `timeout 60 s, netmask 255.255.255.0`: what is given, of a thing that was not there before. */
function described(value: unknown): string {
  if (Array.isArray(value)) return shortened(value.map(labelOf).join(', '));
  const parts = Object.entries(value as Data).flatMap(([key, member]) => {
    const said = told(key, member);
    if (said === null || said === false || said === '') return [];
    return said === true ? [wordOf(key)] : [`${wordOf(key)} ${said}`.trim()];
  });
  return shortened(parts.join(', '));
}

function withUnit(key: string, value: number): Told {
  const unit = UNITS.find(([suffix]) => suffix.test(key));
  if (!unit) return value;
  const us = value * unit[1];
  if (us >= 1e6 || us === 0) return `${us / 1e6} s`;
  return us >= 1e3 ? `${us / 1e3} ms` : `${us} µs`;
}

function wordOf(key: string): string {
  const known = WORDS[key];
  if (known !== undefined) return known;
  const plain = UNITS.reduce((name, [suffix]) => name.replace(suffix, ''), key);
  return plain.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}…`;
}
