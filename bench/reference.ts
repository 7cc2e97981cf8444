/**
 * What others do, and what we want to do: the only figures of the report that its run has not
 * measured.
 *
 * DPVS 1.10 with DPDK 24.11 was measured by us on a machine of this kind (2 cores of an AMD EPYC VM,
 * TSC 2.6 GHz, Debian 12), in the way of the `forward` scenario: one worker on a null port that
 * carries real frames, 60 bytes in memory, flows in uniformly random order, rr over 16 real servers,
 * software checksums; medians of three or more runs, floor included. Its floor was 12.7 ns. katran
 * was measured on the same machine by BPF_PROG_TEST_RUN, the wrapper's 38 ns included.
 */
export const DPVS_FLOOR_NS = 12.7;

/** One figure that is wanted. */
export interface Goal {
  /** Which of the row's figures; '' when there is only one. */
  at: string;
  most?: number;
  least?: number;
}

/** A row of the target table. */
export interface Target {
  id: string;
  what: string;
  /** Whose results it comes from. */
  scenario: string;
  dpvs: string;
  katran: string;
  unit: string;
  goals: readonly Goal[];
}

/** What was measured for a goal. */
export interface Figure {
  value: number;
  /** In the same run and unit, where there is such a thing. */
  floor?: number;
  /** A multiplier's name, a fill, anything the row should say beside the number. */
  note?: string;
}

/** By a target's id, then by the goal's `at`. */
export type Figures = Record<string, Record<string, Figure>>;

const FLOWS = ['1 K', '100 K', '1 M'];

function byFlows(id: string, what: string, dpvs: string, katran: string, most: number[]): Target {
  const goals = most.map((limit, index) => ({ at: FLOWS[index]!, most: limit }));
  return {
    id,
    what: `${what}, ${FLOWS.join(' / ')} flows`,
    scenario: 'forward',
    dpvs,
    katran,
    unit: 'ns',
    goals,
  };
}

/** As the project set them at the start; none is left out of the report. */
export const TARGETS: readonly Target[] = [
  byFlows('fullnat-udp', 'FullNAT UDP', '156 / 663 / 972', '–', [32, 50, 80]),
  byFlows('fullnat-tcp', 'FullNAT TCP', '144 / 691 / 1 015', '–', [34, 52, 82]),
  byFlows('dr-udp', 'DR UDP', '116 / 461 / 843', '–', [26, 40, 65]),
  byFlows('tun-udp', 'TUN IPIP', '147 / 595 / 982', '139 / ~195 / ~330', [30, 48, 75]),
  byFlows('nat-udp', 'NAT', '– / 636 / –', '–', [30, 48, 78]),
  {
    id: 'new-flow',
    what: 'new FullNAT UDP flow, sustained with expiry',
    scenario: 'connect',
    dpvs: '1 834',
    katran: '372–764 (TUN, insert only)',
    unit: 'ns',
    goals: [{ at: '', most: 180 }],
  },
  {
    id: 'memory',
    what: 'memory a FullNAT connection, ports included',
    scenario: 'scale',
    dpvs: '712 B + 42 MB a LIP',
    katran: '–',
    unit: 'B',
    goals: [{ at: '', most: 128 }],
  },
  {
    id: 'capacity',
    what: 'most connections held in 24 GiB, and forwarding with them',
    scenario: 'scale',
    dpvs: '–',
    katran: '–',
    unit: '',
    goals: [
      { at: 'connections', least: 100_000_000 },
      { at: 'ns a packet', most: 150 },
    ],
  },
  {
    id: 'syn-flood',
    what: 'SYN flood at 20×, legitimate goodput',
    scenario: 'flood',
    dpvs: '–',
    katran: '–',
    unit: '',
    goals: [{ at: '', least: 0.95 }],
  },
  {
    id: 'publish',
    what: 'publish, 10 K services + 100 K servers',
    scenario: 'apply',
    dpvs: '–',
    katran: '–',
    unit: '',
    goals: [
      { at: 'ms', most: 100 },
      { at: 'packets lost', most: 0 },
    ],
  },
  {
    id: 'checks',
    what: 'TCP health checks of one core a second; late ones of 10 000 / s, a fifth without answer',
    scenario: 'checks',
    dpvs: '–',
    katran: '–',
    unit: '',
    goals: [
      { at: 'a second', least: 10_000 },
      { at: 'late', most: 0 },
    ],
  },
  {
    id: 'sync',
    what: 'connection sync of one core; forwarding speed it takes at 200 K new connections / s',
    scenario: 'sync',
    dpvs: 'none',
    katran: 'none',
    unit: '',
    goals: [
      { at: 'a second', least: 500_000 },
      { at: 'speed lost', most: 0.1 },
    ],
  },
  {
    id: 'failover',
    what: 'master killed and its link cut: VIP takeover (keepalived here: 40–50 ms, 3.55 s), and what else',
    scenario: 'failover',
    dpvs: '–',
    katran: '–',
    unit: '',
    goals: [
      { at: 'ms at 10 ms', most: 35 },
      { at: 's at 1 s', most: 3.61 },
      { at: 'false takeovers', most: 0 },
      { at: 'connections lost', most: 0 },
    ],
  },
  {
    id: 'upgrade',
    what: 'hot upgrade: packet gap of a UDP stream of 1 000 / s, and what is lost',
    scenario: 'upgrade',
    dpvs: 'none',
    katran: '–',
    unit: '',
    goals: [
      { at: 'ms gap', most: 50 },
      { at: 'connections lost', most: 0 },
    ],
  },
  {
    id: 'lab',
    what: "veth lab, against testpmd's mac forwarding on the same port kind",
    scenario: 'lab',
    dpvs: '–',
    katran: '–',
    unit: '',
    goals: ['nat', 'dr', 'tun', 'fullnat', 'enat'].map((mode) => ({ at: mode, least: 0.95 })),
  },
];

/** DPVS's ns a packet by mode, protocol and direction, then by flows. */
const DPVS: Record<string, Partial<Record<number, number>>> = {
  'fullnat udp request': { 1000: 156, 100000: 663, 1000000: 972 },
  'fullnat tcp request': { 1000: 144, 100000: 691, 1000000: 1015 },
  'fullnat udp mixed': { 1000: 130, 100000: 413, 1000000: 667 },
  'dr udp request': { 1000: 116, 100000: 461, 1000000: 843 },
  'tun udp request': { 1000: 147, 100000: 595, 1000000: 982 },
  'nat udp request': { 100000: 636 },
};

export interface Traffic {
  mode: string;
  protocol: string;
  family: number;
  direction: string;
  flows: number;
  bytes: number | 'imix';
}

/** With frames of 64 bytes and IPv4, as it was measured. */
export function dpvsNs(of: Traffic): number | undefined {
  if (of.bytes !== 64 || of.family !== 4) return undefined;
  return DPVS[`${of.mode} ${of.protocol} ${of.direction}`]?.[of.flows];
}

/** The row of the target table that such traffic belongs to, and the goal within it. */
export function targetOf(of: Traffic): { target: Target; goal: Goal } | undefined {
  if (of.bytes !== 64 || of.family !== 4 || of.direction !== 'request') return undefined;
  const target = TARGETS.find(({ id }) => id === `${of.mode}-${of.protocol}`);
  const goal = target?.goals.find(({ at }) => at === FLOWS[[1e3, 1e5, 1e6].indexOf(of.flows)]);
  return target && goal && { target, goal };
}
