/**
 * VRRP of a director: adverts in and out by the herald, machines in between, and what follows: the
 * role that plan() gets, gratuitous ARP, notifications, log lines in keepalived's words. Nothing
 * here depends on when the event loop comes round: see native/engine/live/herald.h.
 */
import { parseMac } from '../config/address.js';
import type { Model } from '../config/model.js';
import { connectedPort } from '../config/reach.js';
import type { Logger } from '../log.js';
import type { Herald, HeraldNews } from '../native.js';
import type { Role, RoleAddress } from '../plan.js';
import { sameData } from '../same-data.js';
import type { Announced } from './announce.js';
import { Complaints } from './complaints.js';
import { openFrame } from './frame.js';
import { Heir } from './heir.js';
import { Instance, type InstanceReport } from './instance.js';
import type { State } from './machine.js';
import { type Membership, Memberships } from './memberships.js';
import { type Place, placeOf, sourceMac } from './messages.js';
import { type GroupModel, groupOf, type InstanceModel, isSix, type VrrpModel } from './model.js';
import { Notices } from './notices.js';
import { isV6 } from './packet.js';
import { PeerMacs } from './peers.js';
import { Router, type Step } from './router.js';
import { Keys } from './seal.js';
import { type TrackedEngine, Tracking } from './tracking.js';

/** The state of links and workers is looked at so often. */
const WATCH_MS = 100;
/** Unicast peers whose MAC is not known are asked for so often. */
const PEERS_MS = 2_000;
/** Renewals of the lease that may be missed. */
const LEASE_SHARE = 6;

export interface VrrpParts {
  log: Logger;
  engine: TrackedEngine;
  openHerald: (onNews: () => void) => Herald;
  /** The role has changed: what follows it has to be published now. */
  changed: () => void;
  /** What would be published in that role; undefined: nothing has been yet. */
  foresee: (role: Role) => Uint8Array | undefined;
  /** Whether a lower master may be replaced: what it knows is known here. Unless given: always. */
  mayPreempt?: () => boolean;
  /** Of an instance: another process has handed it over as the master. */
  wasMaster?: (name: string) => boolean;
  /** Runs an action of a timer; what it throws is reported and goes no further. */
  guard: (what: string, action: () => void) => void;
}

export interface VrrpReport {
  instances: InstanceReport[];
  groups: { name: string; state: State; instances: string[] }[];
}

/** CLOCK_MONOTONIC in milliseconds, the herald's clock. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

export class Vrrp {
  readonly #parts: VrrpParts;
  readonly #log: Logger;
  readonly #notices: Notices;
  readonly #memberships: Memberships;
  readonly #peers = new PeerMacs();
  readonly #keys = new Keys();
  readonly #complaints: Complaints;
  readonly #instances = new Map<string, Instance>();
  readonly #tracking: Tracking;
  readonly #groupStates = new Map<string, State>();
  readonly #heir: Heir;
  #looking = false;
  #herald: Herald | undefined;
  #router = new Router([], []);
  #model: Model | undefined;
  #vrrp: VrrpModel | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #leaseTimer: NodeJS.Timeout | undefined;
  /** What instances say that an earlier control plane has left as masters. */
  readonly #resumed: Step[] = [];
  #running = false;
  #stopped = false;

  constructor(parts: VrrpParts) {
    this.#parts = parts;
    this.#log = parts.log;
    this.#notices = new Notices(parts.log);
    this.#memberships = new Memberships(parts.log);
    this.#complaints = new Complaints(parts.log);
    this.#tracking = new Tracking(parts.engine, ({ model, good, detail }) => {
      this.#log.info(`Tracker ${model.name} ${good ? 'succeeded' : 'failed'}: ${detail}`);
      parts.guard('vrrp', () => this.#judgeAll());
    });
    this.#heir = new Heir({
      herald: () => this.#herald,
      heirs: () => this.#router.heirs,
      instanceOf: ({ name }) => this.#instances.get(name) as Instance,
      macOf: (peer) => this.#peers.of(peer),
      foresee: (instances) => parts.foresee(this.role(instances)),
      guard: (action) => parts.guard('vrrp', action),
    });
  }

  /** For plan(): whose each address is, or would be if `heirs` were masters, too. */
  role(heirs: ReadonlySet<Instance> = new Set()): Role {
    const addresses = new Map<string, RoleAddress>();
    const ports = this.#model?.ports ?? [];
    for (const instance of this.#instances.values()) {
      const { place, model } = instance;
      const ours = instance.isMaster || heirs.has(instance);
      for (const address of instance.addresses) {
        const name = connectedPort(ports, address);
        const found = ports.findIndex((port) => port.name === name);
        const port = found < 0 ? place.port : found;
        const mac = model.virtualMac && port === place.port ? sourceMac(model, place) : undefined;
        addresses.set(address, { ours, port, mac, accepted: model.accept });
      }
    }
    return { addresses };
  }

  /** Instances that are masters, by name. */
  get masters(): ReadonlySet<string> {
    const own = [...this.#instances.values()].filter(({ isMaster }) => isMaster);
    return new Set(own.map(({ model }) => model.name));
  }

  /**
   * Before the first publication, and with each change of the configuration, before its own. Throws
   * ERR_VRRP_KEY, and nothing has changed then.
   */
  update(model: Model): void {
    const newKeys = this.#keys.follow(model.vrrp);
    this.#model = model;
    this.#peers.configure(model.neighbours);
    const macs = this.#macs();
    const before = new Map([...this.#instances.values()].map((one) => [one, one.announced]));
    const changed = newKeys || !sameData(model.vrrp, this.#vrrp);
    if (changed) this.#configure(model.vrrp, macs);
    for (const instance of this.#instances.values()) instance.follow(model, macs);
    if (!this.#running) return;
    if (changed) this.#renewAdverts();
    // Once it is published.
    setImmediate(() => this.#parts.guard('vrrp', () => this.#announceNew(before)));
  }

  #announceNew(before: ReadonlyMap<Instance, readonly Announced[]>): void {
    for (const instance of this.#instances.values()) {
      const known = before.get(instance);
      if (known && instance.isMaster) instance.announceNew(known);
    }
  }

  /** After each publication. */
  published(): void {
    if (this.#running && this.#instances.size > 0) this.#heir.renew();
  }

  /** After the first publication. */
  start(): void {
    this.#running = true;
    this.#begin();
    this.#apply(this.#resumed.splice(0));
  }

  /** Resigns everywhere. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of [...this.#timers, this.#leaseTimer]) clearInterval(timer);
    this.#tracking.stop();
    this.#heir.stop();
    this.#memberships.stop();
    this.#apply(this.#router.stop(now()));
    await this.#notices.end();
  }

  report(): VrrpReport {
    const groups = this.#vrrp?.groups ?? [];
    const instances = [...this.#instances.values()].map((instance) => this.#reportOf(instance));
    return {
      instances,
      groups: groups.map((group) => ({
        name: group.name,
        state: this.#stateOf(group),
        instances: group.instances,
      })),
    };
  }

  #macs(): Uint8Array[] {
    return this.#parts.engine.ports().map(({ mac }) => parseMac(mac) as Uint8Array);
  }

  /** Those of all instances that multicast, on the twins of their ports. */
  #groups(): Membership[] {
    const twins = this.#parts.engine.ports().map(({ twin }) => twin);
    return [...this.#instances.values()].flatMap(({ place, model }) => {
      const twin = twins[place.port];
      if (!twin || model.unicastPeers.length > 0) return [];
      const own = this.#model?.ports[place.port]?.addresses ?? [];
      const four = own.find(({ address }) => !isV6(address))?.address;
      return [{ twin, group: groupOf(model), address: four }];
    });
  }

  #configure(vrrp: VrrpModel, macs: readonly Uint8Array[]): void {
    this.#vrrp = vrrp;
    const before = new Map(this.#instances);
    this.#instances.clear();
    for (const model of vrrp.instances) {
      const place = placeOf(model, this.#model?.ports ?? [], macs);
      const old = before.get(model.name);
      const stays = old?.place.port === place.port && sameMachine(old.model, model);
      if (old && stays) {
        before.delete(model.name);
        old.configure(now(), model, place, this.#keys.sealOf(model));
        this.#instances.set(model.name, old);
      } else {
        this.#instances.set(model.name, this.#make(model, place));
      }
    }
    for (const old of before.values()) this.#end(old);
    const machines = [...this.#instances.values()].map(({ machine }) => machine);
    this.#router = new Router(
      machines,
      vrrp.groups.map(({ instances }) => instances),
      this.#router,
    );
    this.#memberships.follow(this.#groups());
    this.#notices.setFifo(vrrp.notifyFifo);
    this.#tracking.configure(vrrp.trackers);
    if (!this.#running) return;
    this.#apply(this.#router.settle(now()));
    this.#begin();
  }

  /** One that the herald repeats is the master already: its control plane has ended, not the role. */
  #make(model: InstanceModel, place: Place): Instance {
    const herald = this.#openHerald();
    const { startDelayMs } = this.#vrrp as VrrpModel;
    const seal = this.#keys.sealOf(model);
    const instance = new Instance(model, startDelayMs, place, herald, seal);
    const repeats = () =>
      herald.take().repeating.includes(instance.id) || this.#parts.wasMaster?.(model.name);
    if (!this.#running && repeats()) {
      const { machine } = instance;
      for (const effect of machine.start(now(), true)) this.#resumed.push({ machine, effect });
    }
    return instance;
  }

  /** Removed from the configuration. */
  #end(instance: Instance): void {
    instance.announcer.stop();
    for (const effect of instance.machine.stop()) {
      if (effect.kind === 'cease') instance.cease(effect.farewell);
    }
    this.#log.info(`(${instance.model.name}) removed`);
  }

  #openHerald(): Herald {
    this.#herald ??= this.#parts.openHerald(() => this.#parts.guard('vrrp', () => this.#look()));
    return this.#herald;
  }

  /** Starts what has not been started. */
  #begin(): void {
    if (this.#instances.size === 0) return;
    this.#renewLease();
    this.#apply(this.#router.start(now()));
    this.#watch();
    clearInterval(this.#leaseTimer);
    this.#leaseTimer = this.#every((this.#vrrp as VrrpModel).leaseMs / LEASE_SHARE, () =>
      this.#renewLease(),
    );
    if (this.#timers.length > 0) return;
    this.#timers.push(this.#every(WATCH_MS, () => this.#watch()));
    this.#timers.push(this.#every(PEERS_MS, () => this.#refreshPeers()));
    this.#refreshPeers();
  }

  #every(ms: number, action: () => void): NodeJS.Timeout {
    return setInterval(() => this.#parts.guard('vrrp', action), ms).unref();
  }

  #renewLease(): void {
    this.#herald?.renewLease((this.#vrrp as VrrpModel).leaseMs);
  }

  #refreshPeers(): void {
    const peers = [...this.#instances.values()].flatMap(({ model }) => model.unicastPeers);
    if (peers.length > 0 && this.#peers.refresh(peers)) this.#renewAdverts();
  }

  #renewAdverts(): void {
    this.#heir.renew();
    for (const instance of this.#instances.values()) {
      if (instance.isMaster) instance.advertise((peer) => this.#peers.of(peer), false);
    }
  }

  /**
   * Everything that was heard, in order, and then the time up to which that is everything: a late
   * look, or one that takes long, is no silence.
   */
  #look(): void {
    if (this.#stopped || !this.#herald) return;
    const news = this.#herald.take();
    this.#looking = true;
    try {
      if (news.succeeded) this.#follow(news);
      if (news.lapsed) {
        this.#log.warn('the control plane was late: the VRRP lease has run out', {
          code: 'ERR_VRRP_LEASE',
        });
        this.#renewLease();
        this.#apply(this.#router.lapsed(now()));
      }
      for (const { atMs, port, frame } of news.heard) this.#hear(atMs, port, frame);
      // Silence is no wonder where the link is down, which the watch may not have seen yet.
      if (news.completeMs >= this.#router.deadline) this.#judgeAll();
      this.#apply(this.#router.tick(news.completeMs));
      this.#complaints.late(news);
    } finally {
      this.#looking = false;
      this.#setAlarm();
    }
  }

  /** The herald has taken over at the deadline. What has stopped being a backup meanwhile gives up. */
  #follow({ completeMs, repeating }: HeraldNews): void {
    this.#apply(this.#router.tick(completeMs));
    const strays = [...this.#instances.values()].filter(
      (one) => !one.isMaster && repeating.includes(one.id),
    );
    for (const one of strays) one.cease(true);
    if (strays.length > 0) this.#parts.changed();
  }

  /** The herald may decide by itself only where nothing that it has handed over is left to judge. */
  #setAlarm(): void {
    if (this.#looking) return;
    const { heirs, deadline } = this.#router;
    if (heirs && this.#heir.isReadyFor(heirs)) this.#herald?.wakeAt(heirs.at, true);
    else this.#herald?.wakeAt(alarmOf(deadline), false);
  }

  #hear(atMs: number, port: number, frame: Uint8Array): void {
    const arrived = openFrame(frame);
    if (!arrived) return;
    const vrid = arrived.payload[1];
    const reached = [...this.#instances.values()].filter((one) => one.isReachedBy(port, arrived));
    // To a group that other routers of the link have for themselves.
    const elsewhere = reached.length === 0 && arrived.multicast;
    if (elsewhere && [...this.#instances.values()].some(({ place }) => place.port === port)) return;
    const instance = reached.find(({ model }) => model.vrid === vrid);
    if (!instance) {
      this.#complaints.advert(
        `port ${this.#model?.ports[port]?.name}`,
        'vrid',
        `${vrid} from ${arrived.source}`,
      );
      return;
    }
    const { name } = instance.model;
    const judgement = instance.judge(arrived);
    if ('fault' in judgement) {
      instance.drop(judgement.fault);
      this.#complaints.advert(`(${name})`, judgement.fault, judgement.detail ?? arrived.source);
      return;
    }
    const { message, remark } = judgement;
    if (remark !== undefined)
      this.#complaints.advert(`(${name})`, 'addresses', `${remark} from ${arrived.source}`);
    instance.counters.advertisementsReceived++;
    if (message.priority === 0) instance.counters.priorityZeroReceived++;
    if (instance.model.unicastPeers.length > 0) {
      if (this.#peers.learn(arrived.source, arrived.sourceMac)) this.#renewAdverts();
    }
    const { source } = arrived;
    const { priority, intervalMs } = message;
    instance.machine.mayPreempt = this.#parts.mayPreempt?.() ?? true;
    this.#apply(this.#router.hear(atMs, name, { source, priority, intervalMs }));
  }

  /** Links and workers: every port of an instance, its own included. */
  #watch(): void {
    if (this.#stopped || this.#instances.size === 0) return;
    this.#judgeAll();
  }

  #judgeAll(): void {
    if (!this.#running) return;
    const assess = this.#tracking.assess();
    for (const instance of this.#instances.values()) {
      const { name } = instance.machine;
      const { weight, fault } = assess(instance.model);
      instance.fault = fault;
      this.#apply([
        ...this.#router.setWeight(now(), name, weight),
        ...this.#router.setFault(now(), name, fault),
      ]);
    }
  }

  /** Adverts first, then what is published, then gratuitous ARP: peers are told in this order. */
  #apply(steps: readonly Step[]): void {
    const became: Instance[] = [];
    const lower = new Set<Instance>();
    let moved = false;
    for (const { machine, effect } of steps) {
      const instance = this.#instances.get(machine.name) as Instance;
      switch (effect.kind) {
        case 'advertise':
          instance.advertise((peer) => this.#peers.of(peer), effect.atOnce);
          break;
        case 'cease':
          instance.cease(effect.farewell);
          break;
        case 'repeatArp':
          lower.add(instance);
          break;
        case 'log':
          this.#log[effect.level](`(${machine.name}) ${effect.text}`);
          break;
        case 'state':
          this.#entered(instance, effect);
          moved ||= effect.from === 'MASTER' || effect.to === 'MASTER';
          if (effect.to === 'MASTER') became.push(instance);
          else instance.announcer.stop();
      }
    }
    if (steps.some(({ effect: { kind } }) => kind === 'state')) this.#heir.renew();
    this.#setAlarm();
    if (moved) this.#parts.changed();
    for (const instance of became) {
      instance.announcer.start(instance.model.garp, () => instance.announced);
    }
    for (const instance of lower) {
      if (became.includes(instance)) continue;
      const { lowerPriorityRepeat, lowerPriorityDelayMs } = instance.model.garp;
      instance.announcer.remind(
        lowerPriorityRepeat,
        lowerPriorityDelayMs,
        () => instance.announced,
      );
    }
    if (steps.some(({ effect }) => effect.kind === 'state')) this.#tellGroups();
  }

  #entered(instance: Instance, { from, to, why }: { from: State; to: State; why: string }): void {
    const { model, counters, machine } = instance;
    instance.since = new Date();
    if (to === 'MASTER') counters.becameMaster++;
    else if (from === 'MASTER') counters.releasedMaster++;
    const { name } = model;
    if (from === 'INIT' && to === 'BACKUP') {
      this.#log.info(`(${name}) Entering BACKUP STATE (init)`);
    } else {
      if (why !== 'stop') this.#log.info(`(${name}) ${why}`);
      this.#log.info(`(${name}) ${to === 'STOP' ? 'Stopping' : `Entering ${to} STATE`}`);
    }
    if (to !== 'INIT') this.#notices.tell('INSTANCE', name, to, machine.priority, model.notify);
  }

  #stateOf(group: GroupModel): State {
    const states = new Set(
      group.instances.map((name) => this.#instances.get(name)?.machine.state ?? 'INIT'),
    );
    const [first = 'INIT'] = states;
    return states.has('FAULT') ? 'FAULT' : states.size === 1 ? first : 'BACKUP';
  }

  #tellGroups(): void {
    for (const group of this.#vrrp?.groups ?? []) {
      const state = this.#stateOf(group);
      if (state === 'INIT' || this.#groupStates.get(group.name) === state) continue;
      this.#groupStates.set(group.name, state);
      this.#log.info(`VRRP_Group(${group.name}) Syncing instances to ${state} state`);
      this.#notices.tell('GROUP', group.name, state, 0, group.notify);
    }
  }

  #reportOf(instance: Instance): InstanceReport {
    const { model } = instance;
    const group = this.#vrrp?.groups.find(({ instances }) => instances.includes(model.name));
    return instance.report(group?.name ?? null, this.#tracking.report(model));
  }
}

/** 0: none. */
function alarmOf(deadline: number): number {
  return Number.isFinite(deadline) ? deadline : 0;
}

/** What a running machine can take over; the rest makes it another one. */
function sameMachine(a: InstanceModel, b: InstanceModel): boolean {
  return a.vrid === b.vrid && a.version === b.version && isSix(a) === isSix(b);
}
