// SCTP associations: their states, chunk by chunk, and what begins one.

import { CHUNKS, type Chunk, chunk } from '../../support/sctp.js';
import type { Scenario, Scene, Step } from '../scene.js';
import type { OracleMode, Service } from '../services.js';
import { MODES } from './common.js';

/** M3UA's port (RFC 4666); NAT maps it. */
const signalling = (mode: OracleMode, more: Partial<Service> = {}): Service[] => [
  {
    mode,
    protocol: 'sctp',
    port: 2905,
    servers: [{ name: 'A', ...(mode === 'nat' ? { port: 2906 } : {}) }],
    ...more,
  },
];

/** c: from the client, s: from the server; then its chunks. */
type Event = `${'c' | 's'} ${string}`;

function played(s: Scene, events: Event[], sport: number): Step[] {
  return events.map((event) => {
    const chunks = event.slice(2).split(' ') as Chunk[];
    return event.startsWith('c')
      ? s.sctp({ chunks, sport })
      : s.sctpReply({ chunks, dport: sport });
  });
}

const HANDSHAKE: Event[] = ['c INIT', 's INIT-ACK', 'c COOKIE-ECHO DATA', 's COOKIE-ACK'];

/** How each state is reached. */
const BOTH: Record<string, Event[]> = {
  INIT1: ['c INIT'],
  INIT: ['c INIT', 'c INIT'],
  'C-SENT': ['c INIT', 's INIT-ACK'],
  'C-REPLIED': ['c INIT', 's INIT-ACK', 'c COOKIE-ECHO'],
  'C-WAIT': ['c INIT', 's INIT'],
  COOKIE: ['c INIT', 's INIT', 'c INIT-ACK'],
  'C-ECHOED': ['c INIT', 's COOKIE-ECHO'],
  ESTABLISHED: ['c INIT', 's COOKIE-ACK'],
  'S-SENT': ['c INIT', 's SHUTDOWN'],
  'S-RECEIVED': ['c INIT', 's COOKIE-ACK', 'c SHUTDOWN'],
  'S-ACK-SENT': ['c INIT', 's SHUTDOWN-ACK'],
  REJECTED: ['c INIT', 's ABORT'],
  CLOSED: ['c INIT', 'c ABORT'],
};
const CLIENT_ONLY: Record<string, Event[]> = {
  INIT1: ['c INIT'],
  INIT: ['c INIT', 'c INIT'],
  'C-ECHOED': ['c INIT', 'c INIT-ACK'],
  ESTABLISHED: ['c INIT', 'c COOKIE-ECHO'],
  'S-RECEIVED': ['c INIT', 'c COOKIE-ECHO', 'c SHUTDOWN'],
  CLOSED: ['c INIT', 'c ABORT'],
};

/** Each chunk in each state: an association a chunk, and one look at them all. */
const transitions: Scenario[] = [
  ...Object.keys(BOTH).map((state): [OracleMode, string[]] => ['nat', [state]]),
  ...[
    ['INIT1', 'INIT', 'C-ECHOED'],
    ['ESTABLISHED', 'S-RECEIVED', 'CLOSED'],
  ].map((states): [OracleMode, string[]] => ['dr', states]),
].map(([mode, states]): Scenario => {
  const chunks = Object.keys(CHUNKS);
  const sides = mode === 'nat' ? (['c', 's'] as const) : (['c'] as const);
  const events = sides.flatMap((side) => chunks.map((one): Event => `${side} ${one}`));
  const starts = mode === 'nat' ? BOTH : CLIENT_ONLY;
  const series = states.flatMap((state) =>
    events.map((event) => [...(starts[state] as Event[]), event]),
  );
  return {
    say: `${mode}: every SCTP chunk in state ${states.join(', ')}`,
    services: signalling(mode),
    steps: (s) => [...series.flatMap((one, at) => played(s, one, 41_000 + at)), 'listing'],
  };
});

const lives: Scenario[] = [
  {
    say: 'nat: an SCTP association is set up, used and shut down by its client',
    services: signalling('nat'),
    statistics: true,
    steps: (s) => [
      ...played(s, HANDSHAKE, 40_000),
      'listing',
      ...played(s, ['c DATA', 's SACK DATA', 'c SACK', 'c HEARTBEAT', 's HEARTBEAT-ACK'], 40_000),
      'listing',
      ...played(s, ['c SHUTDOWN', 's SHUTDOWN-ACK', 'c SHUTDOWN-COMPLETE'], 40_000),
      'listing',
      ...played(s, ['c INIT'], 40_000),
      'listing',
    ],
  },
  {
    say: 'nat: an SCTP association is shut down by its server',
    services: signalling('nat'),
    steps: (s) => [
      ...played(s, [...HANDSHAKE, 's SHUTDOWN', 'c SHUTDOWN-ACK'], 40_000),
      'listing',
      ...played(s, ['s SHUTDOWN-COMPLETE'], 40_000),
      'listing',
    ],
  },
  ...MODES.map(
    (mode): Scenario => ({
      say: `${mode}: an SCTP association of which the client’s packets are all there is`,
      services: signalling(mode),
      steps: (s) => [
        ...played(s, ['c INIT', 'c COOKIE-ECHO', 'c DATA', 'c SACK'], 40_000),
        'listing',
        ...played(s, ['c COOKIE-ECHO ABORT', 'c DATA'], 40_000),
        'listing',
      ],
    }),
  ),
  ...MODES.map(
    (mode): Scenario => ({
      say: `${mode}: SCTP chunks of every length`,
      services: signalling(mode),
      steps: (s) => [
        s.sctp({ chunks: ['INIT'] }),
        ...[0, 1, 2, 3, 4, 63, 64, 65, 1000, 1400].map((length) =>
          s.sctp({ chunks: [chunk('DATA', new Uint8Array(length).fill(length))] }),
        ),
      ],
    }),
  ),
  {
    say: 'nat: to the same port, SCTP’s checksum stays what it is, right or wrong',
    services: signalling('nat', { servers: [{ name: 'A' }] }),
    steps: (s) => [
      s.sctp({ chunks: ['INIT'] }),
      s.sctp({ chunks: ['DATA'], checksum: 'bad' }),
      s.sctpReply({ chunks: ['SACK'], sport: 2905, checksum: 'bad' }),
    ],
  },
  {
    say: 'nat: a wrong SCTP checksum, to another port',
    services: signalling('nat'),
    steps: (s) => [
      s.sctp({ chunks: ['INIT'] }),
      s.sctp({ chunks: ['DATA'], checksum: 'bad' }),
      s.sctpReply({ chunks: ['SACK'], checksum: 'bad' }),
    ],
    differs: ['sctp-checksum'],
  },
  {
    say: 'nat: SCTP chunks of no association begin none',
    services: signalling('nat'),
    steps: (s) => [
      ...Object.keys(CHUNKS)
        .filter((type) => type !== 'INIT')
        .map((type, at) => s.sctp({ chunks: [type as Chunk], sport: 42_000 + at })),
      'listing',
    ],
  },
  {
    say: 'nat: associations of one client are spread, and one stays where it is',
    services: signalling('nat', {
      servers: [
        { name: 'A', port: 2906 },
        { name: 'B', port: 2906 },
      ],
    }),
    steps: (s) => [
      ...played(s, ['c INIT', 'c INIT'], 40_000),
      ...played(s, ['c INIT'], 40_001),
      ...played(s, ['c INIT'], 40_002),
      'listing',
    ],
  },
  {
    say: 'nat: without a server an INIT is answered by port unreachable',
    services: signalling('nat', { servers: [] }),
    steps: (s) => [s.sctp({ chunks: ['INIT'] })],
  },
  {
    say: 'nat: SCTP with TTL 1, and an error about it from either side',
    services: signalling('nat'),
    steps: (s) => [
      s.sctp({ chunks: ['INIT'], ttl: 1 }),
      s.sctp({ chunks: ['INIT'] }),
      s.serverError(s.back(s.asServerSeesSctp()), { type: 3, code: 2, quoteBytes: 28 }),
      s.error(s.front(s.asClientSeesSctp()), { type: 11, code: 0, quoteBytes: 28 }),
    ],
  },
  {
    say: 'nat: a persistent SCTP service',
    services: signalling('nat', {
      persistence: { timeout: 360 },
      servers: [
        { name: 'A', port: 2906 },
        { name: 'B', port: 2906 },
      ],
    }),
    steps: (s) => [
      ...played(s, ['c INIT'], 40_000),
      ...played(s, ['c INIT'], 40_001),
      ...played(s, ['c INIT'], 40_002),
      'listing',
    ],
  },
];

export const sctp: Scenario[] = [...lives, ...transitions];
