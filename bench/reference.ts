/**
 * What others do, and what we want to do: the only figures of the report that its run has not
 * measured.
 *
 * DPVS 1.10 with DPDK 24.11 was measured by us on a machine of this kind (2 cores of an AMD EPYC VM,
 * TSC 2.6 GHz, Debian 12), in the way of the `forward` scenario: one worker on a null port that
 * carries real frames, 60 bytes in memory, flows in uniformly random order, rr over 16 real servers,
 * software checksums; medians of three or more runs, floor included. Its floor was 12.7 ns.
 */
export const DPVS_FLOOR_NS = 12.7;

export interface Reference {
  mode: string;
  protocol: string;
  direction: string;
  /** By number of flows: ns a packet, floor included. */
  dpvs: Partial<Record<number, number>>;
  target: Partial<Record<number, number>>;
}

export const REFERENCES: readonly Reference[] = [
  {
    mode: 'fullnat',
    protocol: 'udp',
    direction: 'request',
    dpvs: { 1000: 156, 100000: 663, 1000000: 972 },
    target: { 1000: 32, 100000: 50, 1000000: 80 },
  },
  {
    mode: 'fullnat',
    protocol: 'tcp',
    direction: 'request',
    dpvs: { 1000: 144, 100000: 691, 1000000: 1015 },
    target: { 1000: 34, 100000: 52, 1000000: 82 },
  },
  {
    mode: 'fullnat',
    protocol: 'udp',
    direction: 'mixed',
    dpvs: { 1000: 130, 100000: 413, 1000000: 667 },
    target: {},
  },
  {
    mode: 'dr',
    protocol: 'udp',
    direction: 'request',
    dpvs: { 1000: 116, 100000: 461, 1000000: 843 },
    target: { 1000: 26, 100000: 40, 1000000: 65 },
  },
  {
    mode: 'tun',
    protocol: 'udp',
    direction: 'request',
    dpvs: { 1000: 147, 100000: 595, 1000000: 982 },
    target: { 1000: 30, 100000: 48, 1000000: 75 },
  },
  {
    mode: 'nat',
    protocol: 'udp',
    direction: 'request',
    dpvs: { 100000: 636 },
    target: { 1000: 30, 100000: 48, 1000000: 78 },
  },
];

interface Row {
  mode: string;
  protocol: string;
  direction: string;
  flows: number;
  bytes: number | 'imix';
}

function find(row: Row): Reference | undefined {
  if (row.bytes !== 64) return undefined;
  return REFERENCES.find(
    (each) =>
      each.mode === row.mode && each.protocol === row.protocol && each.direction === row.direction,
  );
}

export function dpvsNs(row: Row): number | undefined {
  return find(row)?.dpvs[row.flows];
}

export function targetNs(row: Row): number | undefined {
  return find(row)?.target[row.flows];
}
