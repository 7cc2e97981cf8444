/** All checks of one real server, and what they come to: in service or not, and at what weight. */
import type { ServerModel, ServiceModel } from '../config/model.js';
import type { HandshakeFigures } from '../stats/counters.js';
import { nameOf, type Outcome, type Target } from './checkers/index.js';
import type { Check } from './model.js';
import { eject, observe, type PassiveState, passiveState, type Verdict } from './passive.js';
import { CheckRunner, type World } from './runner.js';
import type { Slots } from './slots.js';
import { checkId, type ServerRecord } from './state.js';

const MOST_WEIGHT = 65_535;
/** Beside keepalived's words for checks, which has none of these. */
export const PASSIVE = 'PASSIVE_CHECK';

export interface CheckReport {
  /** keepalived's word: TCP_CHECK, HTTP_GET … */
  type: string;
  up: boolean;
  /** What the last probe saw; undefined before the first. */
  detail: string | undefined;
}

export interface WatchEvents {
  /** A check has changed its mind, or failed where every failure is to be told. */
  told(watch: ServerWatch, runner: CheckRunner, outcome: Outcome, change?: 'up' | 'down'): void;
  /** `up` or `weight` may differ now. */
  moved(watch: ServerWatch): void;
  /** A probe could not be made, for a reason of ours. */
  notTried(watch: ServerWatch, outcome: Outcome): void;
  /** A probe is due and has to wait. */
  queued(): void;
  bug(watch: ServerWatch, error: unknown): void;
}

export class ServerWatch {
  readonly key: string;
  /** Key of its service. */
  readonly service: string;
  readonly #slots: Slots;
  readonly #events: WatchEvents;
  readonly #world: World;
  #runners = new Map<string, CheckRunner>();
  #model: ServerModel;
  #target: Target;
  /** undefined: it has no passive checks. */
  #passive: PassiveState | undefined;
  #words: string | undefined;
  /** A check has said something of the weight. */
  #isDynamic = false;

  constructor(
    key: string,
    serviceKey: string,
    models: { server: ServerModel; service: ServiceModel },
    slots: Slots,
    events: WatchEvents,
    world: World,
  ) {
    this.key = key;
    this.service = serviceKey;
    this.#slots = slots;
    this.#events = events;
    this.#world = world;
    this.#model = models.server;
    this.#target = targetOf(models.server, models.service);
  }

  get model(): ServerModel {
    return this.#model;
  }

  get target(): Target {
    return this.#target;
  }

  get up(): boolean {
    return !this.isEjected && [...this.#runners.values()].every((runner) => runner.up);
  }

  /** By passive checks. */
  get isEjected(): boolean {
    return this.#passive?.untilMs !== undefined;
  }

  /** What clients' connections say of it now. A wanted ejection is the caller's to do: eject(). */
  observe(figures: HandshakeFigures, nowMs: number): Verdict {
    const { passive } = this.#model.health;
    if (!passive || !this.#passive) return undefined;
    const { state, verdict } = observe(passive, this.#passive, figures, nowMs);
    this.#passive = state;
    if (verdict) this.#words = verdict.why;
    return verdict;
  }

  /** For how long, ms. */
  eject(nowMs: number): number {
    const { passive } = this.#model.health;
    if (!passive || !this.#passive) return 0;
    this.#passive = eject(passive, this.#passive, nowMs);
    return (this.#passive.untilMs as number) - nowMs;
  }

  /** The configured weight and what dynamic checks make of it. */
  get weight(): number {
    const { weight, drained } = this.#model;
    // It does not count for a quorum either: nothing new goes to it.
    if (drained) return 0;
    let sum = weight;
    for (const { outcome } of this.#runners.values()) {
      if (!outcome?.ok || outcome.weight === undefined) continue;
      sum += 'add' in outcome.weight ? outcome.weight.add : outcome.weight.set - weight;
    }
    return Math.min(Math.max(sum, 0), MOST_WEIGHT);
  }

  reports(): CheckReport[] {
    const reports: CheckReport[] = [...this.#runners.values()].map((runner) => ({
      type: nameOf(runner.check),
      up: runner.up,
      detail: runner.outcome?.detail,
    }));
    if (this.#passive) reports.push({ type: PASSIVE, up: !this.isEjected, detail: this.#words });
    return reports;
  }

  /** To be given to update() of another watch of this server. */
  state(): ServerRecord {
    const checks = [...this.#runners].map(([id, runner]) => [id, runner.state()] as const);
    const record: ServerRecord = { checks: Object.fromEntries(checks) };
    return this.#passive ? { ...record, passive: this.#passive } : record;
  }

  /**
   * A check that is the same as before goes on with what it knows; one that is new here, with what
   * `resumed` knows of it.
   */
  update(server: ServerModel, service: ServiceModel, resumed?: ServerRecord): void {
    this.#model = server;
    this.#target = targetOf(server, service);
    this.#passive = server.health.passive && (this.#passive ?? resumed?.passive ?? passiveState());
    const before = this.#runners;
    this.#runners = new Map();
    server.health.checks.forEach((check, index) => {
      const id = checkId(index, check);
      const known = before.get(id);
      before.delete(id);
      const runner = known ?? this.#runnerOf(check);
      this.#runners.set(id, runner);
      if (!known) runner.start(resumed?.checks[id]);
    });
    for (const runner of before.values()) runner.stop();
  }

  #runnerOf(check: Check): CheckRunner {
    return new CheckRunner(
      check,
      this.#target,
      this.#slots,
      {
        result: (one, outcome, change) => this.#result(one, outcome, change),
        notTried: (outcome) => this.#events.notTried(this, outcome),
        queued: () => this.#events.queued(),
        bug: (error) => this.#events.bug(this, error),
      },
      this.#world,
    );
  }

  stop(): void {
    for (const runner of this.#runners.values()) runner.stop();
  }

  #result(runner: CheckRunner, outcome: Outcome, change: 'up' | 'down' | undefined): void {
    if (change !== undefined || (!outcome.ok && runner.tellsAll)) {
      this.#events.told(this, runner, outcome, change);
    }
    this.#isDynamic ||= outcome.weight !== undefined;
    if (change !== undefined || this.#isDynamic) this.#events.moved(this);
  }
}

function targetOf({ address, mode, tunnel }: ServerModel, { listen }: ServiceModel): Target {
  return { server: address, service: listen, mode, tunnel };
}
