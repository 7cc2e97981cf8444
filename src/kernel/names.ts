/** Names that iproute2 has for numbers, as this machine's files say them: tables, protocols, scopes. */
import { readdirSync, readFileSync } from 'node:fs';
import { codeOf } from '../errors.js';

/** What iproute2 knows without a file. */
const BUILT_IN: Record<string, readonly string[]> = {
  rt_tables: ['main', 'local', 'default'],
  rt_scopes: ['global', 'nowhere', 'host', 'link', 'site'],
  rt_protos: ['kernel', 'boot', 'static', 'redirect', 'ra', 'keepalived', 'bird', 'zebra', 'dhcp'],
  group: ['default'],
  rt_dsfield: [],
  rt_realms: ['cosmos'],
  protocols: ['icmp', 'tcp', 'udp', 'sctp', 'dccp', 'gre', 'esp', 'ah', 'ipv6-icmp', 'udplite'],
};

const known = new Map<string, ReadonlySet<string>>();

/** `table`: a file of /etc/iproute2, or /etc/protocols. Read once. */
export function namesOf(table: string): ReadonlySet<string> {
  const found = known.get(table) ?? new Set([...(BUILT_IN[table] ?? []), ...inFiles(table)]);
  known.set(table, found);
  return found;
}

function inFiles(table: string): string[] {
  if (table === 'protocols') return [];
  const file = `/etc/iproute2/${table}`;
  const more = listed(`${file}.d`).filter((name) => name.endsWith('.conf'));
  return [file, ...more.map((name) => `${file}.d/${name}`)].flatMap((path) =>
    textOf(path)
      .split('\n')
      .flatMap((line) => /^\s*(?:0x)?[\da-f]+\s+([^\s#]+)/i.exec(line)?.[1] ?? []),
  );
}

/** None where iproute2 is not installed. */
const textOf = (path: string) => absent(() => readFileSync(path, 'utf8'), '');
const listed = (path: string) => absent(() => readdirSync(path), []);

function absent<Value>(read: () => Value, otherwise: Value): Value {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return otherwise;
    throw error;
  }
}
