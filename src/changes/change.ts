/** A difference between two Models, as it is told. */
import type { FieldChange } from './fields.js';

export const CHANGED_THINGS = [
  'service',
  'server',
  'timeouts',
  'route',
  'neighbour',
  'mark',
  'vrrp',
  'kernel',
  'clients',
  'sync daemon',
  'setting',
] as const;

export interface ModelChange {
  what: (typeof CHANGED_THINGS)[number];
  change: 'added' | 'removed' | 'changed';
  /** `tcp 203.0.113.10:80`, of a server with ` 198.51.100.11:8080` after it. */
  key: string;
  /** What of it has changed. */
  fields: FieldChange[];
  /** The same in words: `weight 1 → 5` … */
  details: string[];
}
