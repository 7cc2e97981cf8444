/** What instances look at besides adverts, put together: links, workers, trackers. */
import type { Engine } from '../native.js';
import { sameData } from '../same-data.js';
import type { InstanceModel, TrackerModel, TrackModel } from './model.js';
import { type Finding, interfaceIsUp, judged, Tracker } from './trackers.js';

/** A worker that has not come round for so long makes its director no master. */
const STALL_US = 1_000_000;
const FAILED = { port: 'is down', interface: 'is down', tracker: 'failed' } as const;

export interface Assessment {
  /** Sum of the weights. */
  weight: number;
  /** The first reason to be in FAULT; undefined: none. */
  fault: string | undefined;
}

export interface TrackReport {
  name: string;
  weight: number;
  good: boolean;
  detail: string;
}

export type TrackedEngine = Pick<Engine, 'ports' | 'workerLag' | 'gauges'>;

export class Tracking {
  readonly #engine: TrackedEngine;
  readonly #changed: (tracker: Tracker) => void;
  #trackers = new Map<string, Tracker>();

  constructor(engine: TrackedEngine, changed: (tracker: Tracker) => void) {
    this.#engine = engine;
    this.#changed = changed;
  }

  /** Those that stay the same keep what they have found. */
  configure(models: readonly TrackerModel[]): void {
    const before = this.#trackers;
    this.#trackers = new Map(
      models.map((model) => {
        const old = before.get(model.name);
        if (!old || !sameData(old.model, model))
          return [model.name, new Tracker(model, this.#changed, () => this.#engine.gauges())];
        before.delete(model.name);
        return [model.name, old];
      }),
    );
    for (const tracker of before.values()) tracker.stop();
  }

  stop(): void {
    for (const tracker of this.#trackers.values()) tracker.stop();
  }

  /** A function, for many instances at one moment. */
  assess(): (model: InstanceModel) => Assessment {
    const links = new Map(this.#engine.ports().map(({ name, up }) => [name, up]));
    const stalled = this.#engine.workerLag().findIndex((us) => us >= STALL_US);
    return ({ port, track, trackPort }) => {
      let weight = 0;
      let fault = stalled < 0 ? undefined : `worker ${stalled} hangs`;
      if (trackPort && links.get(port) === false) fault = `port ${port} is down`;
      for (const one of track) {
        const finding = this.#finding(one, links);
        if (!finding) continue;
        weight += finding.weight;
        if (finding.fault) fault ??= `${one.kind} ${one.name} ${FAILED[one.kind]}`;
      }
      return { weight, fault };
    };
  }

  report({ track }: InstanceModel): TrackReport[] {
    const links = new Map(this.#engine.ports().map(({ name, up }) => [name, up]));
    return track.map((one) => {
      const { kind, name } = one;
      const tracker = kind === 'tracker' ? this.#trackers.get(name) : undefined;
      const weight = one.weight ?? tracker?.model.weight ?? 0;
      if (tracker) return { name, weight, good: tracker.good, detail: tracker.detail };
      const good = isUp(one, links);
      return { name, weight, good, detail: good ? 'up' : 'down' };
    });
  }

  #finding(track: TrackModel, links: ReadonlyMap<string, boolean>): Finding | undefined {
    const { kind, name, weight = 0, reverse = false } = track;
    if (kind === 'tracker') return this.#trackers.get(name)?.finding(track);
    return judged(isUp(track, links), weight, reverse);
  }
}

function isUp({ kind, name }: TrackModel, links: ReadonlyMap<string, boolean>): boolean {
  return kind === 'port' ? (links.get(name) ?? false) : interfaceIsUp(name);
}
