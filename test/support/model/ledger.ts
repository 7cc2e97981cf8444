/** Counters of services and servers, and which servers are over their thresholds. */
import type { Snapshot, SnapshotServer } from '../../../src/snapshot.js';
import type { Connection, Connections } from './connections.js';
import { isOverloaded, type Load } from './schedulers.js';

export interface Tally {
  conns: number;
  inPkts: number;
  outPkts: number;
  inBytes: number;
  outBytes: number;
}

const noTally = (): Tally => ({ conns: 0, inPkts: 0, outPkts: 0, inBytes: 0, outBytes: 0 });

export class Ledger {
  /** By slot. */
  readonly services = new Map<number, Tally>();
  readonly servers = new Map<number, Tally>();
  private readonly overloaded = new Set<number>();
  /** Upper thresholds as last configured. */
  private readonly uppers = new Map<number, number>();

  made(connection: Connection): void {
    for (const tally of this.of(connection)) tally.conns += 1;
  }

  count(connection: Connection, way: 'in' | 'out', bytes: number): void {
    for (const tally of this.of(connection)) {
      tally[`${way}Pkts`] += 1;
      tally[`${way}Bytes`] += bytes;
    }
  }

  load(connections: Connections, slot: number): Load {
    return { ...connections.load(slot), overloaded: this.overloaded.has(slot) };
  }

  /** A connection of this server has come or gone. */
  weigh(snapshot: Snapshot, connections: Connections, slot: number, came: boolean): void {
    const server = serversOf(snapshot).find((one) => one.slot === slot);
    const over = server && isOverloaded(server, this.load(connections, slot), came);
    if (over) this.overloaded.add(slot);
    else this.overloaded.delete(slot);
  }

  /**
   * A new threshold is looked at when the next connection comes or goes; a raised one frees. A
   * server that was away comes back as it was.
   */
  thresholdsChanged(after: Snapshot): void {
    for (const { slot, upper } of serversOf(after)) {
      if (upper === 0 || upper > (this.uppers.get(slot) ?? 0)) this.overloaded.delete(slot);
      this.uppers.set(slot, upper);
    }
  }

  private of(connection: Connection): Tally[] {
    const find = (map: Map<number, Tally>, slot: number) => {
      const tally = map.get(slot) ?? noTally();
      map.set(slot, tally);
      return tally;
    };
    return [find(this.services, connection.serviceSlot), find(this.servers, connection.serverSlot)];
  }
}

function serversOf(snapshot: Snapshot): SnapshotServer[] {
  return snapshot.services.flatMap(({ servers }) => servers);
}
