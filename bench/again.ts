/**
 * `npm run bench -- --again`: what is kept is measured anew case by case, where it is of another
 * dataplane than today's or its floor was noisy. A noisy result gives way to one with a quieter
 * floor, whatever the director took in either. So a report becomes whole on a machine that is quiet
 * for minutes at a time only.
 */
import type { Environment } from './environment.js';
import type { Quiet } from './quiet.js';
import type { Outcome, Recorded, Results } from './scenario.js';

export class Again {
  readonly #environment: Environment;
  readonly #quiet: Quiet;
  readonly #kept = new Map<string, Recorded<unknown>>();

  constructor(kept: Results<unknown> | undefined, environment: Environment, quiet: Quiet) {
    this.#environment = environment;
    this.#quiet = quiet;
    for (const one of kept?.cases ?? []) {
      const { commit, native, date } = one.measured ?? kept!.environment;
      if (one.name === undefined || native === undefined || native !== environment.native) continue;
      this.#kept.set(one.name, { ...one, measured: { commit, native, date } });
      if (one.circumstances.calm !== undefined) quiet.learn(one.circumstances.calm);
    }
  }

  /** A result of today's dataplane that needs no other. */
  steady(name: string): Recorded<unknown> | undefined {
    const kept = this.#kept.get(name);
    const calm = kept?.circumstances.calm;
    return calm === undefined || this.#quiet.isQuiet(calm) ? kept : undefined;
  }

  /** Which of the two stays: the one with the quieter floor. */
  better(name: string, outcome: Outcome<unknown>): Recorded<unknown> {
    const kept = this.#kept.get(name);
    const [was, is] = [kept?.circumstances.calm, outcome.circumstances.calm];
    if (kept !== undefined && was !== undefined && is !== undefined && was.floorNs < is.floorNs) {
      return kept;
    }
    const { commit, native, date } = this.#environment;
    return { ...outcome, name, measured: { commit, ...(native && { native }), date } };
  }
}
