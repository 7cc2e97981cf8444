/**
 * Gratuitous ARP and its like of IPv6 with keepalived's settings: a burst when an instance becomes
 * master, another one after a delay, and again at a distance for as long as it is.
 */
import type { Herald } from '../native.js';
import { announcement } from './frame.js';
import type { GarpModel } from './model.js';

/** An address and the MAC it is told with, on a port. */
export interface Announced {
  address: string;
  port: number;
  mac: Uint8Array;
}

export class Announcer {
  readonly #herald: Pick<Herald, 'send'>;
  readonly #instance: () => number;
  readonly #timers = new Set<NodeJS.Timeout>();
  #reminding = false;

  /** `instance`: the herald's number for it. */
  constructor(herald: Pick<Herald, 'send'>, instance: () => number) {
    this.#herald = herald;
    this.#instance = instance;
  }

  /** Until stop(). `addresses` is asked each time: a reload may change them. */
  start(garp: GarpModel, addresses: () => readonly Announced[]): void {
    this.stop();
    this.twice(garp.repeat, garp.delayMs, addresses);
    if (garp.refreshMs > 0) {
      const again = () => this.#burst(addresses(), garp.refreshRepeat);
      this.#timers.add(setInterval(again, garp.refreshMs).unref());
    }
  }

  /** A burst now, and another one after the delay; 0: no other. */
  twice(repeat: number, delayMs: number, addresses: () => readonly Announced[]): void {
    this.#burst(addresses(), repeat);
    if (delayMs === 0) return;
    const later = setTimeout(() => {
      this.#timers.delete(later);
      this.#burst(addresses(), repeat);
    }, delayMs).unref();
    this.#timers.add(later);
  }

  /** The first burst of twice() each time, the second once for all that come before it. */
  remind(repeat: number, delayMs: number, addresses: () => readonly Announced[]): void {
    if (this.#reminding) {
      this.#burst(addresses(), repeat);
      return;
    }
    this.#reminding = delayMs > 0;
    let first = true;
    this.twice(repeat, delayMs, () => {
      if (!first) this.#reminding = false;
      first = false;
      return addresses();
    });
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#reminding = false;
  }

  /** All addresses once before any comes a second time. */
  #burst(addresses: readonly Announced[], repeat: number): void {
    const instance = this.#instance();
    for (let round = 0; round < repeat; round++) {
      for (const { address, port, mac } of addresses) {
        this.#herald.send({ instance, port, frame: announcement(address, mac) });
      }
    }
  }
}
