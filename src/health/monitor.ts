/**
 * Health of all servers and services of a Model: runs their checks, adds up what they say, tells
 * of changes and runs notifications. What it finds goes into plan() as its Health; it changes
 * nothing itself. Log lines keep keepalived's words.
 */
import type { Endpoint } from '../config/address.js';
import type { Model, ServiceModel } from '../config/model.js';
import { type Logger, RateLimit } from '../log.js';
import { type Health, type ServerState, serverKey, serviceKey } from '../plan.js';
import type { HandshakeFigures } from '../stats/counters.js';
import { nameOf, timingOf } from './checkers/index.js';
import { hasQuorum } from './machine.js';
import { MAX_CHECKS, type PassiveCheck } from './model.js';
import { Notifier } from './notify.js';
import { mostOut } from './passive.js';
import { type CheckRunner, REAL_WORLD, type World } from './runner.js';
import { Slots } from './slots.js';
import { type MonitorState, STATE_VERSION } from './state.js';
import { type CheckReport, PASSIVE, ServerWatch, type WatchEvents } from './watch.js';

/** Of a trouble that lasts a line is written once in so long. */
const TROUBLE_MS = 60_000;
/** Changes that come together are published together. */
const GATHER_MS = 5;

interface ServiceEntry {
  model: ServiceModel;
  watches: ServerWatch[];
  /** undefined: not judged yet. */
  quorum: boolean | undefined;
}

export class HealthMonitor {
  readonly #log: Logger;
  readonly #changed: () => void;
  readonly #world: World;
  readonly #slots = new Slots(MAX_CHECKS);
  readonly #trouble = new RateLimit(TROUBLE_MS);
  readonly #notifier: Notifier;
  readonly #events: WatchEvents;
  readonly #servers = new Map<string, ServerWatch>();
  readonly #services = new Map<string, ServiceEntry>();
  /** What was last told of each server. */
  readonly #told = new Map<string, ServerState>();
  /** Of these the few that are down, or have another weight than the configured one. */
  readonly #apart = new Map<string, ServerState>();
  #gathering: unknown;
  /** Used by the first update(). */
  #resumed: MonitorState | undefined;

  /**
   * `changed` is called some milliseconds after health() has changed, once for many changes.
   * `resumed`: what state() of another monitor has said; servers that were out are out from the
   * first update() on, and nothing that was told then is told again.
   */
  constructor(
    log: Logger,
    changed: () => void,
    world: World = REAL_WORLD,
    resumed: MonitorState | undefined = undefined,
  ) {
    this.#log = log;
    this.#resumed = resumed?.version === STATE_VERSION ? resumed : undefined;
    this.#changed = changed;
    this.#world = world;
    this.#notifier = new Notifier(log);
    this.#events = {
      told: (watch, runner, outcome, change) => {
        this.#tell(watch, runner, outcome.detail, change);
      },
      moved: (watch) => this.#moved(watch),
      notTried: (watch, { detail }) => {
        this.#trouble.run('not tried', (suppressed) => {
          this.#log.warn(`health check of ${watch.key} could not be made: ${detail}`, {
            code: 'ERR_CHECK_NOT_TRIED',
            suppressed: suppressed || undefined,
          });
        });
      },
      queued: () => this.#tellQueue(),
      bug: (watch, error) => {
        const stack = error instanceof Error ? error.stack : String(error);
        this.#log.error(`health check of ${watch.key}: ${stack}`);
      },
    };
  }

  /** Of every server. What has no check is up. */
  health(): Health {
    return { servers: new Map(this.#told), lost: this.#lost() };
  }

  /** The same for plan(), without the servers that are up with the weight that they were given. */
  apart(): Health {
    return { servers: new Map(this.#apart), lost: this.#lost() };
  }

  #lost(): Set<string> {
    const lost = [...this.#services].filter(([, { quorum }]) => quorum === false);
    return new Set(lost.map(([key]) => key));
  }

  #note({ key, up, weight, model }: ServerWatch): void {
    this.#told.set(key, { up, weight });
    if (up && weight === model.weight) this.#apart.delete(key);
    else this.#apart.set(key, { up, weight });
  }

  /** What another monitor needs to go on from here. */
  state(): MonitorState {
    const servers = [...this.#servers].map(([key, watch]) => [key, watch.state()] as const);
    const quorums = [...this.#services].flatMap(([key, { quorum }]) =>
      quorum === undefined ? [] : [[key, quorum] as const],
    );
    return {
      version: STATE_VERSION,
      servers: Object.fromEntries(servers),
      quorums: Object.fromEntries(quorums),
    };
  }

  #tellQueue(): void {
    this.#trouble.run('queue', () => {
      const { limit, waiting } = this.#slots;
      this.#log.warn(
        `health checks wait for one of ${limit} sockets and come late: raise ` +
          'director.maxChecks, or lengthen delayLoop',
        { code: 'ERR_CHECKS_LATE', waiting },
      );
    });
  }

  /** The checks of a server, for people. */
  checksOf(key: string): CheckReport[] {
    return this.#servers.get(key)?.reports() ?? [];
  }

  /**
   * Checks what `model` has from now on; what is the same as before goes on with what it knows.
   * Services that are the same objects at the same places are left alone: nearly all of them, as a
   * rule.
   */
  update(model: Model): void {
    this.#slots.limit = model.director.maxChecks;
    const resumed = this.#resumed;
    this.#resumed = undefined;
    const entries = [...this.#services];
    const stays = model.services.map((service, at) => entries[at]?.[1].model === service);
    const others = entries.filter((_, at) => !stays[at]);
    const before = new Map(
      others.flatMap(([, { watches }]) => watches.map((watch) => [watch.key, watch])),
    );
    const quorums = new Map(
      resumed ? Object.entries(resumed.quorums) : others.map(([key, { quorum }]) => [key, quorum]),
    );
    this.#services.clear();
    const changed: [string, ServiceEntry][] = [];
    for (const [at, service] of model.services.entries()) {
      const [same, entry] = entries[at] ?? [];
      if (stays[at] && same !== undefined && entry) {
        this.#services.set(same, entry);
        continue;
      }
      const key = serviceKey(service);
      const watches = service.servers.map((server) => {
        const name = serverKey(service, server);
        const watch =
          before.get(name) ??
          new ServerWatch(name, key, { server, service }, this.#slots, this.#events, this.#world);
        before.delete(name);
        watch.update(server, service, resumed?.servers[name]);
        this.#servers.set(name, watch);
        this.#note(watch);
        return watch;
      });
      const now = { model: service, watches, quorum: quorums.get(key) };
      this.#services.set(key, now);
      changed.push([key, now]);
    }
    for (const [key, watch] of before) {
      watch.stop();
      this.#servers.delete(key);
      this.#told.delete(key);
      this.#apart.delete(key);
    }
    for (const [key, entry] of changed) this.#judge(key, entry);
  }

  /**
   * Passive checks: `read` tells what became of connections to a server, by its key. To be called
   * about once a second.
   */
  observe(read: (serverKey: string) => HandshakeFigures | undefined, nowMs = monotonicMs()): void {
    for (const watch of this.#servers.values()) {
      const figures = watch.model.health.passive && read(watch.key);
      const verdict = figures && watch.observe(figures, nowMs);
      if (verdict?.wants === 'ejection') this.#eject(watch, verdict.why, nowMs);
      if (verdict?.wants === 'return') {
        this.#log.info(`${this.#passiveOn(watch)} success (${verdict.why}).`);
        this.#moved(watch);
      }
    }
  }

  #eject(watch: ServerWatch, why: string, nowMs: number): void {
    const { watches } = this.#services.get(watch.service) as ServiceEntry;
    const most = mostOut(watch.model.health.passive as PassiveCheck, watches.length);
    const out = watches.filter((one) => one !== watch && !one.up).length;
    if (out >= most) {
      this.#trouble.run(`ejection ${watch.key}`, () => {
        const kept = `it is kept, as ${out} of ${watches.length} servers are out already`;
        this.#log.warn(`${this.#passiveOn(watch)} failed: ${why}; ${kept}.`, {
          code: 'ERR_PASSIVE_LIMIT',
        });
      });
      return;
    }
    const seconds = watch.eject(nowMs) / 1_000;
    this.#log.warn(`${this.#passiveOn(watch)} failed: ${why}; out for ${seconds} s.`);
    this.#moved(watch);
  }

  #passiveOn(watch: ServerWatch): string {
    const { model } = this.#services.get(watch.service) as ServiceEntry;
    return `${PASSIVE} on service ${bracketed(watch.target.server, model)}`;
  }

  /** Ends all checks, and (omega) runs what is to be run when a service goes away. */
  async stop(): Promise<void> {
    this.#world.clearTimeout(this.#gathering);
    for (const watch of this.#servers.values()) watch.stop();
    for (const [key, { model, watches, quorum }] of this.#services) {
      if (!model.health.omega) continue;
      for (const watch of watches) {
        if (watch.up) this.#notifier.notify(watch.key, watch.model.health.notifyDown);
      }
      if (quorum) this.#notifier.notify(key, model.health.quorumDown);
    }
    await this.#notifier.idle();
  }

  #tell(
    watch: ServerWatch,
    runner: CheckRunner,
    detail: string,
    change: 'up' | 'down' | undefined,
  ): void {
    const entry = this.#services.get(watch.service) as ServiceEntry;
    const name = nameOf(runner.check);
    const about = `${name} on service ${bracketed(watch.target.server, entry.model)}`;
    if (change === 'up') {
      this.#log.info(`${about} success (${detail}).`);
      return;
    }
    const { retry } = timingOf(runner.check);
    const after = change === 'down' && retry > 0 ? ` after ${retry} retries` : '';
    this.#log.warn(`${about} failed${after}: ${detail}.`);
  }

  #moved(watch: ServerWatch): void {
    const { key, up, weight } = watch;
    const told = this.#told.get(key);
    if (told && told.up === up && told.weight === weight) return;
    this.#note(watch);
    const entry = this.#services.get(watch.service) as ServiceEntry;
    if (told && told.up !== up) {
      const { notifyUp, notifyDown, inhibitOnFailure } = watch.model.health;
      const server = bracketed(watch.target.server, entry.model);
      const service = bracketed(entry.model.listen, entry.model);
      const [doing, to] = up
        ? [inhibitOnFailure ? 'Enabling' : 'Adding', 'to']
        : [inhibitOnFailure ? 'Disabling' : 'Removing', 'from'];
      this.#log.info(`${doing} service ${server} ${to} VS ${service}`);
      this.#notifier.notify(key, up ? notifyUp : notifyDown);
    } else {
      this.#log.info(`Changing weight from ${told?.weight} to ${weight} for ${key}`);
    }
    this.#judge(watch.service, entry);
    this.#gather();
  }

  #judge(key: string, entry: ServiceEntry): void {
    const { health } = entry.model;
    const live = entry.watches.filter(({ up }) => up);
    const weight = live.reduce((sum, one) => sum + one.weight, 0);
    const before = entry.quorum;
    entry.quorum = hasQuorum(before, weight, health.quorum, health.hysteresis);
    if (entry.watches.length === 0 || entry.quorum === before) return;
    // At the start a quorum that is not there yet is no loss, and one that no check has found is no
    // gain.
    if (before === undefined && (!entry.quorum || this.#isUnchecked(entry))) return;
    const service = bracketed(entry.model.listen, entry.model);
    if (entry.quorum) {
      const sum = `${health.quorum}+${health.hysteresis}=${health.quorum + health.hysteresis}`;
      this.#log.info(`Gained quorum ${sum} <= ${weight} for VS ${service}`);
      this.#notifier.notify(key, health.quorumUp);
    } else {
      const sum = `${health.quorum}-${health.hysteresis}=${health.quorum - health.hysteresis}`;
      this.#log.warn(`Lost quorum ${sum} > ${weight} for VS ${service}`);
      this.#notifier.notify(key, health.quorumDown);
    }
  }

  #isUnchecked({ watches }: ServiceEntry): boolean {
    return watches.every((watch) => watch.model.health.checks.length === 0);
  }

  #gather(): void {
    this.#gathering ??= this.#world.setTimeout(() => {
      this.#gathering = undefined;
      this.#changed();
    }, GATHER_MS);
  }
}

/** The same for every process until the machine starts anew: ejections outlive an upgrade. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** keepalived's way to write an endpoint. */
function bracketed({ address, port }: Endpoint, { protocol }: ServiceModel): string {
  return `[${address}]:${protocol}:${port}`;
}
