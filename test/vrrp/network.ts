/**
 * Directors on a link under a virtual clock: real frames, judged and answered as vrrp.ts does, with
 * links that can be cut in one direction, processes that stop, and what was sent kept for replays.
 */

import { parseConfig } from '../../src/config/load.js';
import type { Seal } from '../../src/native.js';
import { openFrame } from '../../src/vrrp/frame.js';
import { Machine, type State } from '../../src/vrrp/machine.js';
import { adverts, judge, type Place } from '../../src/vrrp/messages.js';
import type { InstanceModel } from '../../src/vrrp/model.js';
import { Router, type Step } from '../../src/vrrp/router.js';
import { Replays } from '../../src/vrrp/seal.js';
import { BASE } from '../config/support.js';
import { sealed } from './sealing.js';

const TRIP_MS = 0.2;

export function instanceOf(keys: string): InstanceModel {
  const yaml = `${BASE}vrrp: { instances: [{ name: VI_1, port: front, routerId: 51, ${keys} }] }\n`;
  return parseConfig(yaml, 'x.yaml').model.vrrp.instances[0] as InstanceModel;
}

interface Flight {
  at: number;
  to: Node;
  frame: Uint8Array;
}

export class Node {
  readonly name: string;
  readonly net: Network;
  readonly model: InstanceModel;
  readonly place: Place;
  machine: Machine;
  router: Router;
  /** Its states with the times at which it entered them. */
  readonly story: [at: number, state: State][] = [];
  readonly dropped: Record<string, number> = {};
  /** Gratuitous ARP bursts. */
  readonly told: number[] = [];
  /** kill -9, or not yet started. */
  dead = true;
  /** SIGSTOP: nothing is done, what comes waits. */
  stopped = false;
  stoppedAt = 0;
  next = Number.POSITIVE_INFINITY;
  inbox: { at: number; frame: Uint8Array }[] = [];
  /** With which adverts are authenticated. */
  seal: Seal | undefined;
  replays = new Replays();
  /** Of its last advert, or the last that it has heard. */
  sequence = 0;
  /** Of its wall clock, which starts anew with the machine where it has no battery. */
  clockMs = 1_000_000;

  constructor(net: Network, name: string, model: InstanceModel, address: string, mac: number) {
    this.net = net;
    this.name = name;
    this.model = model;
    this.place = { port: 0, mac: Uint8Array.of(2, 0, 0, 0, mac, 1), address };
    [this.machine, this.router] = this.#fresh();
  }

  #fresh(): [Machine, Router] {
    const { version, priority, intervalMs, downAdverts, preempt, preemptDelayMs } = this.model;
    const timing = { intervalMs, downAdverts, startDelayMs: 0 };
    const { address } = this.place;
    const settings = { version, priority, preempt, preemptDelayMs, address, ...timing };
    const machine = new Machine('VI_1', settings);
    return [machine, new Router([machine], [])];
  }

  get state(): State | 'DEAD' {
    return this.dead ? 'DEAD' : this.machine.state;
  }

  /** Of the dataplane: a stopped process's goes on until its kernel threads stop, too, at once. */
  get isMaster(): boolean {
    return this.state === 'MASTER' && !this.stopped;
  }

  start(): void {
    [this.machine, this.router] = this.#fresh();
    this.dead = this.stopped = false;
    this.replays = new Replays();
    this.sequence = 0;
    this.inbox = [];
    this.apply(this.router.start(this.net.now));
  }

  kill(): void {
    this.dead = true;
    this.next = Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.stopped = true;
    this.stoppedAt = this.net.now;
  }

  /** The lease has run out long ago: the herald says so before anything else. */
  continue(): void {
    this.stopped = false;
    this.next = Number.POSITIVE_INFINITY;
    this.apply(this.router.lapsed(this.net.now));
  }

  fault(why: string | undefined): void {
    this.apply(this.router.setFault(this.net.now, 'VI_1', why));
  }

  resign(): void {
    this.apply(this.router.stop(this.net.now));
  }

  apply(steps: readonly Step[]): void {
    const { now } = this.net;
    for (const { effect } of steps) {
      if (effect.kind === 'advertise' && effect.atOnce) this.next = now;
      if (effect.kind === 'repeatArp') this.told.push(now);
      if (effect.kind === 'cease') {
        this.next = Number.POSITIVE_INFINITY;
        if (effect.farewell) this.#send(0);
      }
      if (effect.kind === 'state') {
        this.story.push([now, effect.to]);
        if (effect.to === 'MASTER') this.told.push(now);
      }
    }
  }

  turn(): void {
    if (this.dead || this.stopped) return;
    for (const { at, frame } of this.inbox.splice(0)) this.#hear(at, frame);
    this.apply(this.router.tick(this.net.now));
    if (this.net.now < this.next) return;
    this.#send(this.machine.priority);
    this.next = this.net.now + this.model.intervalMs;
  }

  #send(priority: number): void {
    const { frames, farewell, seal } = adverts(
      this.model,
      this.place,
      priority,
      () => undefined,
      this.seal,
    );
    for (const frame of priority === 0 ? farewell : frames) {
      if (seal)
        this.sequence = Math.max(this.sequence + 1, this.clockMs + Math.floor(this.net.now));
      this.net.carry(this, seal ? sealed(frame, seal, this.sequence) : frame);
    }
  }

  #hear(at: number, frame: Uint8Array): void {
    const arrived = openFrame(frame);
    if (!arrived || arrived.payload[1] !== this.model.vrid) {
      this.dropped.vrid = (this.dropped.vrid ?? 0) + 1;
      return;
    }
    const judgement = judge(this.model, this.place, arrived, this);
    if ('fault' in judgement) {
      this.dropped[judgement.fault] = (this.dropped[judgement.fault] ?? 0) + 1;
      return;
    }
    this.sequence = Math.max(this.sequence, judgement.sequence ?? 0);
    const { priority, intervalMs } = judgement.message;
    const { source } = arrived;
    this.apply(this.router.hear(at, 'VI_1', { source, priority, intervalMs }));
  }
}

export class Network {
  now = 0;
  readonly nodes: Node[] = [];
  /** All that was ever sent, with its time and sender. */
  readonly sent: { at: number; from: string; frame: Uint8Array }[] = [];
  /** Milliseconds in which several were master, and in which none was. */
  several = 0;
  none = 0;
  #flights: Flight[] = [];
  readonly #cut = new Set<string>();

  add(name: string, keys: string, address = `192.0.2.${this.nodes.length + 2}`): Node {
    const node = new Node(this, name, instanceOf(keys), address, this.nodes.length + 1);
    this.nodes.push(node);
    return node;
  }

  /** What one sends the other does not hear. */
  cut(from: Node, to: Node): void {
    this.#cut.add(`${from.name} ${to.name}`);
  }

  part(a: Node, b: Node): void {
    this.cut(a, b);
    this.cut(b, a);
  }

  heal(): void {
    this.#cut.clear();
  }

  carry(from: Node, frame: Uint8Array): void {
    this.sent.push({ at: this.now, from: from.name, frame });
    for (const to of this.nodes) {
      if (to === from || this.#cut.has(`${from.name} ${to.name}`)) continue;
      this.#flights.push({ at: this.now + TRIP_MS, to, frame });
    }
  }

  /** From nowhere, to everybody. */
  inject(frame: Uint8Array): void {
    for (const to of this.nodes) this.#flights.push({ at: this.now + TRIP_MS, to, frame });
  }

  /** Milliseconds pass; `each` is called at every one. */
  run(ms: number, each: () => void = () => {}): this {
    for (const end = this.now + ms; this.now < end; this.now++) {
      const arrived = this.#flights.filter(({ at }) => at <= this.now);
      this.#flights = this.#flights.filter(({ at }) => at > this.now);
      for (const { at, to, frame } of arrived) if (!to.dead) to.inbox.push({ at, frame });
      for (const node of this.nodes) node.turn();
      each();
      const masters = this.nodes.filter(({ isMaster }) => isMaster).length;
      if (masters > 1) this.several++;
      if (masters === 0) this.none++;
    }
    return this;
  }

  /** Counters of what follows. */
  reset(): void {
    this.several = this.none = 0;
  }

  get states(): string {
    return this.nodes.map(({ state }) => state).join(' ');
  }
}
