/** Two directors under the virtual clock that tell one another of their connections. */
import type { Connection } from '../../src/connections.js';
import type { SyncSettings } from '../../src/native.js';
import { Bench, type BenchOptions } from '../support/replay.js';
import type { World } from '../support/world.js';

export const KEY = Uint8Array.from({ length: 16 }, (_, index) => 3 * index + 1);

export function settings(over: Partial<SyncSettings> = {}): SyncSettings {
  return {
    protocol: 'sluice',
    tells: true,
    adopts: true,
    key: KEY,
    syncid: 0,
    rate: 1_000_000,
    afterMs: 100,
    refreshMs: 10_000,
    ...over,
  };
}

/** Which datagrams arrive; all unless told. */
export type Wire = (datagram: Uint8Array, to: 'first' | 'second') => boolean;

export class Pair {
  readonly first: Bench;
  readonly second: Bench;
  wire: Wire = () => true;

  constructor(
    world: World,
    options: { first?: BenchOptions; second?: BenchOptions; sync?: Partial<SyncSettings> } = {},
  ) {
    this.first = new Bench(world, { burst: 32, seed: 1, ...options.first });
    this.second = new Bench(world, { burst: 32, seed: 2, ...options.second });
    this.first.startSync(settings({ session: 101, ...options.sync }));
    this.second.startSync(settings({ session: 202, ...options.sync }));
  }

  /** Both clocks move on, and what they have for one another goes over until they are quiet. */
  exchange(atMs: number): void {
    this.first.advance(atMs);
    this.second.advance(atMs);
    for (let round = 0; round < 50; round++) {
      const out = this.first.syncSend();
      const back = this.second.syncSend();
      if (out.length + back.length === 0) return;
      for (const datagram of out)
        if (this.wire(datagram, 'second')) this.second.syncReceive(datagram);
      for (const datagram of back)
        if (this.wire(datagram, 'first')) this.first.syncReceive(datagram);
    }
    throw new Error('the directors go on talking for ever');
  }

  close(): void {
    this.first.close();
    this.second.close();
  }
}

/** What both directors have to agree about, sorted. */
export function agreed(connections: Connection[]): string[] {
  return connections
    .map((c) =>
      [
        c.protocol,
        `${c.client}:${c.clientPort}`,
        `${c.virtual}:${c.virtualPort}`,
        `${c.local}:${c.localPort}`,
        `${c.server}:${c.serverPort}`,
        c.mode,
        c.state,
      ].join(' '),
    )
    .sort();
}
