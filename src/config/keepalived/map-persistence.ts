/** What a virtual_server says of persistence. */
import { DEFAULT_PERSISTENCE_S, ENGINES } from '../persistence.js';
import { child } from './find.js';
import type { Data } from './map-checks.js';
import type { Unsupported } from './support.js';
import type { Node } from './tree.js';
import { type Values, without } from './values.js';

/** The keyword alone asks for six minutes. */
export function mapPersistence(values: Values, six: boolean): Data | undefined {
  if (!values.words('persistence_timeout')) return undefined;
  const timeout = values.seconds('persistence_timeout') ?? `${DEFAULT_PERSISTENCE_S}s`;
  const netmask = values.text('persistence_granularity');
  // Of IPv6 it is a length.
  const isLength = six && netmask !== undefined && /^\d+$/.test(netmask);
  return without({ timeout, netmask: isLength ? Number(netmask) : netmask });
}

/** `protocol` undefined: of a mark's service, which has all. */
export function mapEngine(
  node: Node,
  values: Values,
  protocol: string | undefined,
  unsupported: Unsupported,
): string | undefined {
  const line = child(node, 'persistence_engine');
  const name = values.text('persistence_engine');
  if (!line || name === undefined) return undefined;
  const known = ENGINES.some((engine) => engine === name);
  if (known && (protocol === undefined || protocol === 'udp')) {
    if (!values.words('persistence_timeout')) {
      unsupported.tuning(line, 'without persistence_timeout nobody asks it');
    }
    return name;
  }
  unsupported.packets('persistence_engine', line);
  return undefined;
}
