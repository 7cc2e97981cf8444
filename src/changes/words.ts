/** Changes as people read them: a line each, or all of them in one line. */
import type { ModelChange } from './change.js';
import type { FieldChange, Told } from './fields.js';

/** Characters of a value; the report has more of it. */
const VALUE = 60;
/** Things that a line names one by one. */
const NAMED = 8;
/** Servers that a line about several names. */
const SERVERS = 4;
/** Changes that are told in one line. */
const IN_A_LINE = 4;
/** Characters that two long values have in common before it is left out. */
const ALIKE = 20;

export const NOTHING = 'nothing changed';

/** `weight 1 → 3`, `local addresses +198.51.100.201, -198.51.100.200`, `drained`. */
export function fieldText(change: FieldChange): string {
  const { field } = change;
  if ('added' in change) return `${field} ${listText(change)}`.trim();
  const { from, to } = change;
  if (field === 'drained') return to === true ? 'drained' : 'no longer drained';
  // Both are hidden.
  if (from === to) return `${field} changed`;
  return `${field} ${pairText(from, to)}`;
}

function listText({ added, removed, more }: Extract<FieldChange, { added: string[] }>): string {
  const signed = [...added.map((one) => `+${cut(one)}`), ...removed.map((one) => `-${cut(one)}`)];
  const left = signed.length - NAMED + more;
  const end = left > 0 ? `, and ${left} more` : '';
  return signed.length === 0 ? 'in another order' : signed.slice(0, NAMED).join(', ') + end;
}

function pairText(from: Told, to: Told): string {
  const [old, now] = [valueText(from), valueText(to)];
  const start = old.length > VALUE || now.length > VALUE ? common(old, now) : 0;
  // Long values that begin alike: where they part is what is to be seen.
  const of = (text: string) => cut(start > ALIKE ? `…${text.slice(start - ALIKE / 2)}` : text);
  return `${of(old)} → ${of(now)}`;
}

function common(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}

function valueText(value: Told): string {
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return value === '' ? '""' : `${value}`;
}

function cut(text: string): string {
  return text.length <= VALUE ? text : `${text.slice(0, VALUE)}…`;
}

const SIGNS = { added: '+', removed: '-', changed: '~' };

/** `~ server tcp 203.0.113.10:80 198.51.100.12:8080: weight 1 → 3` */
export function changeLine({ what, change, key, details }: ModelChange): string {
  return lineOf(change, key === '' || key === what ? what : `${what} ${key}`, details);
}

function lineOf(
  change: ModelChange['change'],
  name: string,
  details: readonly string[],
  rest = '',
): string {
  return `${SIGNS[change]} ${name}${details.length > 0 ? `: ${details.join(', ')}` : ''}${rest}`;
}

interface Group {
  first: ModelChange;
  /** Servers of one service to which the same has happened, or which came or went with it. */
  servers: string[];
  connections: number;
}

/** Servers are told with their service when it comes or goes, and together when their change is the same. */
function grouped(changes: readonly (ModelChange & { connections?: number })[]): Group[] {
  const groups = new Map<string, Group>();
  for (const change of changes) {
    const { what, change: done, key, details, connections = 0 } = change;
    const end = key.lastIndexOf(' ');
    const service = key.slice(0, end);
    const whole = done === 'changed' ? undefined : groups.get(`service ${done} ${service}`);
    const id =
      what === 'server' ? `server ${done} ${service} ${details.join()}` : `${what} ${done} ${key}`;
    const group = (what === 'server' && whole) || groups.get(id);
    if (!group) {
      const servers = what === 'server' ? [key.slice(end + 1)] : [];
      groups.set(id, { first: change, servers, connections });
      continue;
    }
    group.servers.push(key.slice(end + 1));
    // A service's are those of its servers.
    if (group !== whole) group.connections += connections;
  }
  return [...groups.values()];
}

function groupLine({ first, servers, connections }: Group): string {
  const { what, change, key, details } = first;
  const rest =
    connections === 0 ? '' : ` (${connections} connection${connections === 1 ? '' : 's'})`;
  const more = servers.length - SERVERS;
  const named = servers.slice(0, SERVERS).join(', ') + (more > 0 ? ` and ${more} more` : '');
  const count = servers.length === 1 ? 'server' : `${servers.length} servers`;
  if (what === 'service' && servers.length > 0) {
    return lineOf(change, `service ${key} with ${count} ${named}`, details, rest);
  }
  if (what !== 'server' || servers.length === 1) return changeLine(first) + rest;
  const service = key.slice(0, key.lastIndexOf(' '));
  return lineOf(change, `${count} of ${service} (${named})`, details, rest);
}

/** A line each, as far as `most` go, and how many more there are: `more` of them aren't in the list. */
export function changeLines(
  changes: readonly (ModelChange & { connections?: number })[],
  { most = Number.POSITIVE_INFINITY, more = 0 } = {},
): string[] {
  const groups = grouped(changes);
  const left = groups.length - most;
  const lines = groups.slice(0, most).map(groupLine);
  const untold = Math.max(0, left) + more;
  return untold > 0 ? [...lines, `and ${untold} more`] : lines;
}

/** All in one line, or NOTHING. */
export function summaryOf(changes: readonly ModelChange[]): string {
  if (changes.length === 0) return NOTHING;
  return changeLines(changes, { most: IN_A_LINE }).join('; ');
}

/** Lines of edits: the first of many, and where the others are. */
export function editLines(edits: readonly string[], most: number): string[] {
  const more = edits.length - most;
  return more > 0 ? [...edits.slice(0, most), `and ${more} more: sluice diff`] : [...edits];
}
