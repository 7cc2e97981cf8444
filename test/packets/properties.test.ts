// timeout: 300
/**
 * Random flows in random worlds: the engine and the dumb model must agree on every packet, every
 * connection and every counter. Reproducible: the seed is fixed unless SLUICE_SEED gives another;
 * SLUICE_RUNS makes it run longer.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Distribution, SCHEDULERS } from '../../src/native.js';
import { Duo } from '../support/duo.js';
import {
  type Action,
  action,
  frameOf,
  inWords,
  type RandomWorld,
  randomService,
  randomWorld,
  wordsOf,
} from '../support/random.js';
import { type Slots, world } from '../support/world.js';

const parameters = {
  seed: Number(process.env.SLUICE_SEED ?? 20260101),
  numRuns: Number(process.env.SLUICE_RUNS ?? 300),
  interruptAfterTimeLimit: 30_000,
  markInterruptAsFailure: false,
};

/** Ends that random traffic must have come to. */
const EXPECTED = [
  ...['nat', 'dr', 'tun', 'fullnat', 'enat', 'nat_reply', 'fullnat_reply', 'icmp_error'].map(
    (what) => `forwarded_${what}`,
  ),
  ...['arp', 'echo', 'reset', 'port_unreachable', 'protocol_unreachable'].map(
    (what) => `answered_${what}`,
  ),
  ...['answered_time_exceeded', 'answered_too_big', 'punted_not_ours', 'punted_not_ipv4'],
  ...['bad_icmp_checksum', 'bad_l4_checksum', 'icmp_without_connection', 'icmp_ttl_expired'],
  ...['reset_without_connection', 'source_route', 'martian'],
];

interface Batch {
  /** Milliseconds since the batch before. */
  wait: number;
  actions: Action[];
}

const batch: fc.Arbitrary<Batch> = fc.record({
  wait: fc.constantFrom(0, 0, 1, 20, 400, 5_000, 11_000, 61_000, 130_000, 310_000, 1_000_000),
  actions: fc.array(action, { minLength: 1, maxLength: 32 }),
});

/** The first moment from `at` on that is not within a turn of the timing wheel of any expiry. */
function awayFromExpiry(duo: Duo, at: number): number {
  let time = at;
  const all = duo.model.connections.all();
  while (all.some(({ expires }) => Math.abs(expires - time) < 2_500)) time += 2_600;
  return time;
}

function play(
  duo: Duo,
  batches: Batch[],
  partial: boolean,
  from = 0,
): { lines: string[]; at: number } {
  let at = from;
  for (const { wait, actions } of batches) {
    at = awayFromExpiry(duo, at + wait);
    duo.advance(at);
    const arriving = actions.map((one) => frameOf(one, duo.model, partial));
    const { complaints } = duo.run(arriving, at);
    const lines = [...complaints, ...duo.compareTables(), ...duo.bench.invariants()];
    if (lines.length > 0) {
      const words = arriving.map(({ frame, port }, n) => `  ${n} on ${port}: ${inWords(frame)}`);
      return { lines: [...lines, `at ${at} ms, burst of`, ...words], at };
    }
  }
  return { lines: [], at };
}

/** fc.assert, with what went wrong before how to see it again. */
function holds<Ts>(property: fc.IProperty<Ts>, more: fc.Parameters<Ts> = {}): void {
  try {
    fc.assert(property, { ...(parameters as fc.Parameters<Ts>), ...more });
  } catch (error) {
    const { cause, message } = error as Error & { cause?: Error };
    throw new Error(`${cause?.message ?? ''}\n${message.slice(0, 4000)}`, { cause });
  }
}

function check(lines: string[]): void {
  if (lines.length > 0) throw new Error(`\n${lines.join('\n')}`);
}

test('random flows in random worlds: engine and model agree', () => {
  const seen = new Set<string>();
  holds(
    fc.property(
      randomWorld,
      fc.array(batch, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 32 }),
      (random, batches, burst) => {
        const duo = new Duo(world(wordsOf(random)), { burst, seed: burst });
        try {
          check(play(duo, batches, random.partial).lines);
          for (const [end, count] of Object.entries(duo.bench.counters().ends)) {
            if (count > 0) seen.add(end);
          }
        } finally {
          duo.close();
        }
      },
    ),
  );
  // Nothing is proved about what was never tried.
  assert.equal(
    EXPECTED.filter((end) => !seen.has(end)),
    [],
  );
});

test('and they go on agreeing while the configuration changes under them', () => {
  holds(
    fc.property(
      randomWorld,
      fc.array(
        fc.record({
          services: fc.array(randomService, { minLength: 1, maxLength: 4 }),
          batches: fc.array(batch, { minLength: 1, maxLength: 3 }),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      fc.integer({ min: 1, max: 32 }),
      (first, changes, burst) => {
        const slots: Slots = new Map();
        const duo = new Duo(world(wordsOf(first), slots), { burst });
        try {
          let at = 0;
          changes.forEach(({ services, batches }, index) => {
            const played = play(duo, batches, first.partial, at);
            check(played.lines);
            at = played.at;
            // A service keeps its scheduler: what a change of that does to its state is free.
            const kept = services.map((one, n) => {
              const like = first.services[n % first.services.length];
              return { ...one, scheduler: like?.scheduler ?? 0 };
            });
            const next: RandomWorld = { ...first, services: kept };
            duo.publish(world(wordsOf(next), slots, index + 2));
          });
        } finally {
          duo.close();
        }
      },
    ),
  );
});

test('so do several workers that share the frames, each packet counted once', () => {
  holds(
    fc.property(
      randomWorld,
      fc.array(batch, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 2, max: 4 }),
      fc.constantFrom<Distribution>('inTurn', 'nic', 'otherKey', 'noHash'),
      fc.integer({ min: 1, max: 32 }),
      (random, batches, workers, distribution, most) => {
        // A NIC keeps the order of a flow, not that of a burst.
        const burst = distribution === 'inTurn' ? most : 1;
        // Workers schedule each for themselves and share thresholds out: with one server a service,
        // and none, there is no choice. ovf's depends on the connections of all workers.
        const services = random.services.map((one) => ({
          ...one,
          scheduler: SCHEDULERS[one.scheduler] === 'ovf' ? 0 : one.scheduler,
          servers: one.servers
            .filter(({ up }) => up)
            .slice(0, 1)
            .map((server) => ({ ...server, upper: 0 })),
        }));
        const duo = new Duo(world(wordsOf({ ...random, services })), {
          burst,
          workers,
          distribution,
        });
        try {
          check(play(duo, batches, random.partial).lines);
        } finally {
          duo.close();
        }
      },
    ),
  );
});

test.run();
