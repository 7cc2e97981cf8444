/**
 * The machines of one director and the groups they are in. A sync group is master or backup as a
 * whole: it takes over when the last of its instances hears no master any more, and gives up when
 * one of them does. Pure, as the machines are.
 */
import type { Heirs } from './heir.js';
import type { Effect, Heard, Machine } from './machine.js';

/** Deadlines of machines that lose the same master; its adverts come one right after the other. */
const TOGETHER_MS = 2;

export interface Step {
  machine: Machine;
  effect: Effect;
}

export class Router {
  readonly machines: ReadonlyMap<string, Machine>;
  readonly #groupOf = new Map<Machine, readonly Machine[]>();
  /** Of a group: would take over if the others could. */
  readonly #ready = new Set<Machine>();
  readonly #faults = new Map<Machine, string>();

  /**
   * `groups`: names of instances; each is in one group at the most. `before`: what some of the
   * machines were in until now.
   */
  constructor(
    machines: readonly Machine[],
    groups: readonly (readonly string[])[],
    before?: Router,
  ) {
    this.machines = new Map(machines.map((machine) => [machine.name, machine]));
    for (const names of groups) {
      const members = names.map((name) => this.machines.get(name) as Machine);
      for (const member of members) this.#groupOf.set(member, members);
    }
    if (!before) return;
    for (const machine of machines) {
      if (before.#ready.has(machine)) this.#ready.add(machine);
      const fault = before.#faults.get(machine);
      if (fault !== undefined) this.#faults.set(machine, fault);
    }
  }

  /** After a change of groups: one that is master in part gives up; one that could be master is. */
  settle(now: number): Step[] {
    const steps: Step[] = [];
    for (const members of new Set(this.#groupOf.values())) {
      if (members.every(({ state }) => state === 'MASTER')) continue;
      const able = members.every((one) => one.state === 'MASTER' || this.#ready.has(one));
      for (const member of members) {
        if (able ? member.state === 'MASTER' : member.state !== 'MASTER') continue;
        const effects = able ? member.masterNow(now) : member.backupNow(now, 'its group is backup');
        this.#ready.delete(member);
        steps.push(...effects.map((effect) => ({ machine: member, effect })));
      }
    }
    // Who waited for a group that it is no longer in.
    for (const machine of this.#ready) {
      if (!this.#groupOf.has(machine)) steps.push(...this.#timeout(machine, now));
    }
    return steps;
  }

  get deadline(): number {
    return Math.min(...[...this.machines.values()].map(({ deadline }) => deadline));
  }

  /** All that are backups, where they wait for the same master. */
  get heirs(): Heirs | undefined {
    const machines = [...this.machines.values()].filter(
      ({ state, deadline }) => state === 'BACKUP' && Number.isFinite(deadline),
    );
    const [first] = machines;
    if (!first) return undefined;
    const deadlines = machines.map(({ deadline }) => deadline);
    const at = Math.max(...deadlines);
    const same = machines.every(({ master }) => master?.address === first.master?.address);
    return same && at - Math.min(...deadlines) <= TOGETHER_MS ? { machines, at } : undefined;
  }

  /** Those that have not been started. */
  start(now: number): Step[] {
    return this.#each((machine) => (machine.state === 'INIT' ? machine.start(now) : []), now);
  }

  hear(now: number, name: string, heard: Heard): Step[] {
    const machine = this.machines.get(name) as Machine;
    if (heard.priority >= machine.priority) this.#ready.delete(machine);
    return this.#follow(machine, machine.hear(now, heard), now);
  }

  tick(now: number): Step[] {
    return this.#each((machine) => machine.tick(now), now);
  }

  /** `why` undefined: nothing is wrong with it. */
  setFault(now: number, name: string, why: string | undefined): Step[] {
    const machine = this.machines.get(name) as Machine;
    if (why === undefined) this.#faults.delete(machine);
    else this.#faults.set(machine, why);
    const members = this.#membersOf(machine);
    const faulty = members.find((member) => this.#faults.has(member));
    return members.flatMap((member) => {
      const own = this.#faults.get(member) ?? (faulty && `${faulty.name} is in FAULT state`);
      const effects = own === undefined ? member.recover(now) : member.fault(now, own);
      if (own !== undefined) this.#ready.delete(member);
      return this.#follow(member, effects, now);
    });
  }

  setWeight(now: number, name: string, weight: number): Step[] {
    const machine = this.machines.get(name) as Machine;
    return this.#follow(machine, machine.setWeight(weight), now);
  }

  lapsed(now: number): Step[] {
    return this.#each((machine) => machine.lapsed(now), now);
  }

  stop(now: number): Step[] {
    return this.#each((machine) => machine.stop(), now);
  }

  #each(action: (machine: Machine) => Effect[], now: number): Step[] {
    return [...this.machines.values()].flatMap((machine) =>
      this.#follow(machine, action(machine), now),
    );
  }

  #membersOf(machine: Machine): readonly Machine[] {
    return this.#groupOf.get(machine) ?? [machine];
  }

  /** What follows for the group. */
  #follow(machine: Machine, effects: Effect[], now: number): Step[] {
    const steps: Step[] = [];
    for (const effect of effects) {
      if (effect.kind === 'timeout') {
        steps.push(...this.#timeout(machine, now));
        continue;
      }
      steps.push({ machine, effect });
      if (effect.kind !== 'state' || effect.to !== 'BACKUP' || effect.from !== 'MASTER') continue;
      for (const other of this.#membersOf(machine)) {
        this.#ready.delete(other);
        if (other === machine || other.state !== 'MASTER') continue;
        const why = `${machine.name} of its group is backup`;
        steps.push(...other.backupNow(now, why).map((one) => ({ machine: other, effect: one })));
      }
    }
    return steps;
  }

  #timeout(machine: Machine, now: number): Step[] {
    this.#ready.add(machine);
    const members = this.#membersOf(machine);
    if (!members.every((one) => this.#ready.has(one) || one.state === 'MASTER')) return [];
    return members.flatMap((member) => {
      this.#ready.delete(member);
      return member.masterNow(now).map((effect) => ({ machine: member, effect }));
    });
  }
}
