/** One VRRP instance at work: its machine, its place, its counters, its gratuitous ARP. */

import { addressesOf } from '../config/marks.js';
import type { Model } from '../config/model.js';
import { connectedPort } from '../config/reach.js';
import type { Advert, Herald, Seal } from '../native.js';
import { sameData } from '../same-data.js';
import { type Announced, Announcer } from './announce.js';
import type { Arrived } from './frame.js';
import { Machine, type State } from './machine.js';
import { adverts, type Guard, type Judgement, judge, type Place, sourceMac } from './messages.js';
import { groupOf, type InstanceModel } from './model.js';
import { type Fault, isV6 } from './packet.js';
import { Replays } from './seal.js';
import type { TrackReport } from './tracking.js';

export interface InstanceCounters {
  advertisementsReceived: number;
  becameMaster: number;
  releasedMaster: number;
  priorityZeroReceived: number;
  priorityZeroSent: number;
  dropped: Partial<Record<Fault, number>>;
}

/** What an instance says of itself: `sluice show vrrp`. */
export interface InstanceReport extends InstanceCounters {
  name: string;
  port: string;
  routerId: number;
  version: 2 | 3;
  state: State;
  /** ISO 8601. */
  since: string;
  priority: number;
  effectivePriority: number;
  advertMs: number;
  masterDownMs: number;
  preempt: boolean;
  virtualMac: boolean;
  /** What adverts have to bear. */
  authentication: 'none' | 'password' | 'ah' | 'hmac';
  source: string;
  unicastPeers: string[];
  /** null: adverts go to peers. */
  multicastGroup: string | null;
  addresses: string[];
  /** The master's address and priority as it says; ourselves when we are it. */
  master: { address: string; priority: number } | null;
  group: string | null;
  /** Why it is in FAULT. */
  fault: string | null;
  tracked: TrackReport[];
}

export class Instance {
  readonly machine: Machine;
  readonly announcer: Announcer;
  readonly counters: InstanceCounters = {
    advertisementsReceived: 0,
    becameMaster: 0,
    releasedMaster: 0,
    priorityZeroReceived: 0,
    priorityZeroSent: 0,
    dropped: {},
  };
  readonly #herald: Herald;
  model: InstanceModel;
  place: Place;
  since = new Date();
  fault: string | undefined;
  #announced: Announced[] = [];
  #guard: Guard;

  constructor(
    model: InstanceModel,
    startDelayMs: number,
    place: Place,
    herald: Herald,
    seal?: Seal,
  ) {
    this.model = model;
    this.place = place;
    this.#herald = herald;
    this.announcer = new Announcer(herald, () => this.id);
    this.machine = new Machine(model.name, this.#settings(model, startDelayMs));
    // What an earlier control plane has heard is no news to this one.
    this.#guard = { seal, replays: new Replays(herald.heed(this.id, 0)) };
  }

  /** The herald's number for it: the same after a restart of the control plane. */
  get id(): number {
    const { port, address } = this.place;
    return (port * 2 + (isV6(address) ? 1 : 0)) * 256 + this.model.vrid;
  }

  get isMaster(): boolean {
    return this.machine.state === 'MASTER';
  }

  get addresses(): string[] {
    return [...this.model.addresses, ...this.model.excludedAddresses];
  }

  configure(now: number, model: InstanceModel, place: Place, seal: Seal | undefined): void {
    this.model = model;
    this.place = place;
    // Of another key nothing has been sent before.
    if (!sameData(seal, this.#guard.seal)) this.#guard = { seal, replays: new Replays() };
    this.machine.configure(now, this.#settings(model, 0));
  }

  #settings(model: InstanceModel, startDelayMs: number) {
    const { version, priority, intervalMs, downAdverts, preempt, preemptDelayMs } = model;
    const { address } = this.place;
    const timing = { intervalMs, downAdverts, startDelayMs };
    return { version, priority, preempt, preemptDelayMs, address, ...timing };
  }

  advert(macOf: (peer: string) => Uint8Array | undefined): Advert {
    return adverts(this.model, this.place, this.machine.priority, macOf, this.#guard.seal);
  }

  /** The judgement of another's advert that bears its router ID; what is sent next is above it. */
  judge(arrived: Arrived): Judgement {
    const judgement = judge(this.model, this.place, arrived, this.#guard);
    const sequence = 'fault' in judgement ? undefined : judgement.sequence;
    if (sequence !== undefined) this.#herald.heed(this.id, sequence);
    return judgement;
  }

  get authentication(): InstanceReport['authentication'] {
    const { password, ah, hmacKey } = this.model;
    if (hmacKey !== undefined) return 'hmac';
    return password === undefined ? 'none' : ah ? 'ah' : 'password';
  }

  advertise(macOf: (peer: string) => Uint8Array | undefined, atOnce: boolean): void {
    this.#herald.repeat(this.id, this.advert(macOf), atOnce);
  }

  cease(farewell: boolean): void {
    this.#herald.cease(this.id, farewell);
    if (farewell) this.counters.priorityZeroSent++;
  }

  /** Its addresses, and the local addresses that move with its VIPs, each on the port it is behind. */
  follow(model: Model, macs: readonly Uint8Array[]): void {
    const own = new Set(this.addresses);
    for (const service of model.services) {
      if (!addressesOf(service, model.marks).some((vip) => own.has(vip))) continue;
      for (const address of service.localAddresses) own.add(address);
    }
    this.#announced = [...own].map((address) => {
      const name = connectedPort(model.ports, address);
      const found = model.ports.findIndex((port) => port.name === name);
      const port = found < 0 ? this.place.port : found;
      const virtual = port === this.place.port && this.addresses.includes(address);
      const mac = virtual ? sourceMac(this.model, this.place) : (macs[port] as Uint8Array);
      return { address, port, mac };
    });
  }

  get announced(): readonly Announced[] {
    return this.#announced;
  }

  /** Tells of the addresses that were not among those of before. */
  announceNew(before: readonly Announced[]): void {
    const known = new Set(before.map(keyOf));
    const added = this.#announced.filter((one) => !known.has(keyOf(one)));
    const { repeat, delayMs } = this.model.garp;
    if (added.length > 0) this.announcer.twice(repeat, delayMs, () => added);
  }

  /** Whether an advert comes by its port, in its family, and to it or its multicast group. */
  isReachedBy(port: number, { source, destination, multicast }: Arrived): boolean {
    if (this.place.port !== port || isV6(this.place.address) !== isV6(source)) return false;
    return !multicast || destination === groupOf(this.model);
  }

  drop(fault: Fault): void {
    this.counters.dropped[fault] = (this.counters.dropped[fault] ?? 0) + 1;
  }

  /** `group`: that it is in. */
  report(group: string | null, tracked: TrackReport[]): InstanceReport {
    const { model, machine, place, counters } = this;
    const own = { address: place.address, priority: machine.priority };
    return {
      name: model.name,
      port: model.port,
      routerId: model.vrid,
      version: model.version,
      state: machine.state,
      since: this.since.toISOString(),
      priority: model.priority,
      effectivePriority: machine.priority,
      advertMs: model.intervalMs,
      masterDownMs: machine.masterDownMs,
      preempt: model.preempt,
      virtualMac: model.virtualMac,
      authentication: this.authentication,
      source: place.address,
      unicastPeers: model.unicastPeers,
      multicastGroup: model.unicastPeers.length > 0 ? null : groupOf(model),
      addresses: this.addresses,
      master: this.isMaster ? own : (machine.master ?? null),
      group,
      fault: machine.state === 'FAULT' ? (this.fault ?? 'its group is') : null,
      tracked,
      ...counters,
    };
  }
}

function keyOf({ address, port, mac }: Announced): string {
  return `${address} ${port} ${mac.join()}`;
}
