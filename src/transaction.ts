/**
 * The running state and its history. Every change (a file, edits by ipvsadm or the API, a return
 * to an earlier generation) goes the same way: a whole new Model is checked, planned and published
 * in one step, or nothing changes at all. The file and the running state may differ; a file that
 * is read again never overwrites edits unless asked to.
 */

import type { DiffReport, EditReport, HistoryReport, ReloadReport } from './api/types.js';
import type { ModelChange } from './changes/change.js';
import { sharing } from './changes/sharing.js';
import { changeLines, NOTHING, summaryOf } from './changes/words.js';
import type { Loaded } from './config/load.js';
import type { Model } from './config/model.js';
import { recheck } from './config/recheck.js';
import type { EditPolicy } from './edits/policies.js';
import { ERRORS, type ErrorCode, formatProblem, SluiceError } from './errors.js';
import type { Generation, Ledger, Past } from './ledger.js';
import { diffModels, mergeModels } from './model-diff.js';
import { type Edit, type Edited, editModel, type ServiceId } from './model-edit.js';
import { ALL_UP, type Health, type Planned, plan, type Role, serviceKey } from './plan.js';
import { asStarted, refuseRestartSettings, restartPaths } from './reload.js';
import { encodeSnapshot } from './snapshot.js';
import type { CounterView } from './stats/counters.js';
import type { RateView, SlotLists } from './stats/rates.js';

/** Generations that are kept to return to. */
const KEPT = 32;
/** Edits that a refusal lists. */
const LISTED = 10;
/** Changes that a generation and an answer have; of the others it is told how many they are. */
const TOLD = 50;

/** What a transaction needs of the rest of the director. */
export interface Surroundings {
  /** May throw; then nothing has changed. */
  publish(snapshot: Uint8Array): void;
  counters: CounterView;
  rates: RateView;
  health?: () => Health;
  role?: () => Role;
  /** Told of the next Model before it is planned, and of the old one again if that fails. */
  adopt?: (model: Model) => void;
  /** Where the running state is written down for the next control plane. */
  ledger?: Ledger;
  /** Told of each change, to keep edits for the next process; `byEdit`: it was made of edits. */
  keep?: (loaded: Loaded, model: Model, generation: number, byEdit: boolean) => void;
  /** Run-time edits of what is not in the Model. */
  others?: OtherEdits;
}

export interface OtherEdits {
  edits(): ModelChange[];
  /** Back to what the file says. */
  discard(): void;
}

/** What a transaction has done. */
interface Done {
  summary: string;
  changes: ModelChange[];
  more: number;
  warnings: string[];
}

/** What to begin with instead of what the file says. */
export interface Initial {
  model: Model;
  /** Why, for the history. */
  cause: string;
}

export class Transactions {
  readonly #around: Surroundings;
  #loaded: Loaded;
  #model: Model;
  #planned: Planned;
  #history: Generation[] = [];
  readonly #initial: Initial | undefined;
  readonly #past: Past | undefined;

  /**
   * `past`: what another control plane of this process has left; it goes on from there. `initial`: of
   * a process before this one.
   */
  constructor(loaded: Loaded, around: Surroundings, past?: Past, initial?: Initial) {
    this.#around = around;
    this.#loaded = loaded;
    this.#past = past;
    this.#initial = initial;
    this.#model = past?.model ?? initial?.model ?? loaded.model;
    this.#history = past?.history ?? [];
    this.#around.adopt?.(this.#model);
    // The same generation again: what has changed meanwhile is health and role at most.
    const before = (past?.slots.generation ?? 0) - (past?.cause === undefined ? 1 : 0);
    const slots = past && { ...past.slots, generation: before };
    this.#planned = plan(this.#model, this.#health(), this.#around.role?.(), slots);
  }

  /** The first publication. `keeps`: nobody else has this configuration's edits to keep. */
  start(keeps = true): void {
    this.#around.publish(encodeSnapshot(this.#planned.snapshot));
    this.#around.rates.follow(liveSlots(this.#planned));
    this.#around.ledger?.published(this.#planned.snapshot.generation, this.#planned.slots);
    const { cause } = this.#past ?? {};
    if (this.#history.length > 0 && cause === undefined) return;
    this.#around.ledger?.based(this.#loaded);
    const also = this.#initial ? `, and ${this.#initial.cause}` : '';
    const summary = countsOf(this.#model);
    const before = this.#history.at(-1);
    const done = before
      ? told(diffModels(before.model, this.#model))
      : { summary, changes: [], more: 0 };
    this.#remember(cause ?? `start with ${this.#loaded.file}${also}`, done);
    if (keeps) this.keep();
  }

  /** Writes edits down for the next process. */
  keep(byEdit = false): void {
    const { generation } = this.#planned.snapshot;
    this.#around.keep?.(this.#loaded, this.#model, generation, byEdit);
  }

  get model(): Model {
    return this.#model;
  }

  get planned(): Planned {
    return this.#planned;
  }

  get loaded(): Loaded {
    return this.#loaded;
  }

  /** What the running state has that its file has not, and the other way round. */
  edits(): ModelChange[] {
    return [...this.#edited().found, ...this.#others()];
  }

  /** The same in words, a line each. */
  editLines(): string[] {
    return [...this.#edited().lines, ...changeLines(this.#others())];
  }

  #others(): ModelChange[] {
    return this.#around.others?.edits() ?? [];
  }

  #edited() {
    const [model, file] = [this.#model, this.#loaded.model];
    if (this.#edits?.model !== model || this.#edits.file !== file) {
      const found = model === file ? [] : diffModels(file, model);
      this.#edits = { model, file, found, lines: changeLines(found) };
    }
    return this.#edits;
  }

  /** They are asked for more often than anything changes. */
  #edits: { model: Model; file: Model; found: ModelChange[]; lines: string[] } | undefined;

  /** Plans the same Model anew, for health that has changed; no generation to return to. */
  replan(): Planned {
    return this.#publish(this.#model);
  }

  /** What replan() would publish in another role. */
  foresee(role: Role): Uint8Array {
    const { slots } = this.#planned;
    const planned = plan(this.#model, this.#health(), role, slots, this.#busy());
    return encodeSnapshot(planned.snapshot);
  }

  /** Runs a file from now on. */
  load(file: Loaded, policy: EditPolicy, cause: string): ReloadReport {
    refuseRestartSettings(this.#loaded.model, file);
    const next = { ...file, model: sharing(file.model, this.#model) };
    const { model, overruled } = this.#target(next, policy);
    const others = policy === 'discard' ? this.#others().map(taken) : [];
    const { warnings, ...done } = this.#change(model, cause);
    // Keys that the file names by their paths may have changed.
    if (done.changes.length === 0) this.#around.adopt?.(this.#model);
    this.#loaded = next;
    if (policy === 'discard') this.#around.others?.discard();
    this.#around.ledger?.based(next);
    this.keep();
    const gaveWay = overruled.map((key) => `the file's change of ${key} replaced a run-time edit`);
    return {
      generation: this.#planned.snapshot.generation,
      ...besides(done, others),
      warnings: [...next.warnings.map(formatProblem), ...gaveWay, ...warnings],
      edits: this.editLines(),
    };
  }

  /** Makes those edits that can be made, or (`together`) all or none. */
  edit(edits: readonly Edit[], cause: string, together: boolean): EditReport {
    const { model, refusals } = together
      ? editTogether(this.#model, edits)
      : editEach(this.#model, edits);
    const { warnings: _, ...done } = this.#change(model, cause);
    if (done.changes.length > 0) this.keep(true);
    return {
      generation: this.#planned.snapshot.generation,
      ...done,
      results: refusals.map((one) => one && { code: one.code, message: one.message }),
    };
  }

  /**
   * Back to what ran in a generation; the last one before the present unless told. What only a start
   * can change stays.
   */
  rollback(wanted: number | undefined, cause: string): ReloadReport {
    const target =
      wanted === undefined
        ? this.#history.at(-2)
        : this.#history.find(({ generation }) => generation === wanted);
    if (!target) {
      const kept = this.#history.map(({ generation }) => generation).join(', ');
      const what = wanted === undefined ? 'no earlier generation' : `no generation ${wanted}`;
      throw new SluiceError('ERR_NO_GENERATION', `${what} is kept; there are: ${kept}`);
    }
    const staying = restartPaths(this.#model, target.model).map(({ path }) => path.join('.'));
    const model = asStarted(target.model, this.#model);
    const [fault] = staying.length > 0 ? recheck(model) : [];
    if (fault) throw coded(fault);
    const { warnings, ...done } = this.#change(model, `${cause} to ${target.generation}`);
    this.keep();
    return {
      generation: this.#planned.snapshot.generation,
      ...done,
      warnings: [
        ...staying.map((path) => `${path} stays as it is: only a restart changes it`),
        ...warnings,
      ],
      edits: this.editLines(),
    };
  }

  /** Counters and rates of a service and its servers, or of all, start at zero. */
  zero(id: ServiceId | undefined): void {
    const key = id && serviceKey(id);
    if (key !== undefined && !this.#planned.slots.services.get(key)?.live) {
      throw new SluiceError('ERR_NO_SUCH_SERVICE', `there is no service ${key}`);
    }
    const slots = liveSlots(this.#planned, key);
    this.#around.counters.rebase(slots);
    this.#around.rates.restart(slots);
  }

  history(): HistoryReport[] {
    const now = this.#history.at(-1)?.generation;
    return this.#history.map(({ model: _, ...one }) => ({
      ...one,
      current: one.generation === now,
    }));
  }

  /** What `load` would change, without changing it. */
  diff(file: Loaded, policy: Exclude<EditPolicy, 'refuse'>): DiffReport {
    const next = { ...file, model: sharing(file.model, this.#model) };
    const { model, overruled } = this.#target(next, policy);
    const restart = restartPaths(this.#loaded.model, next.model).map(({ path }) => path.join('.'));
    const others = policy === 'discard' ? this.#others() : [];
    return {
      file: next.file,
      changes: this.#withConnections([
        ...diffModels(this.#model, model),
        ...others.map(taken).reverse(),
      ]),
      edits: this.#withConnections(this.edits()),
      overruled,
      restart,
    };
  }

  #withConnections(changes: ModelChange[]): DiffReport['changes'] {
    const { services, servers } = this.#planned.slots;
    return changes.map((change) => {
      const count = (slot: number | undefined) => {
        if (slot === undefined) return 0;
        const { active, inactive } = this.#around.counters.server(slot);
        return active + inactive;
      };
      if (change.what === 'server') {
        return { ...change, connections: count(servers.get(change.key)?.slot) };
      }
      const own =
        change.what === 'service' && services.has(change.key)
          ? [...servers].filter(([key]) => key.startsWith(`${change.key} `))
          : [];
      return { ...change, connections: own.reduce((sum, [, { slot }]) => sum + count(slot), 0) };
    });
  }

  #target(next: Loaded, policy: EditPolicy): { model: Model; overruled: string[] } {
    const edits = this.edits();
    if (edits.length === 0 || policy === 'discard') return { model: next.model, overruled: [] };
    if (policy === 'refuse') throw editsInTheWay(edits);
    const merged = mergeModels(this.#loaded.model, next.model, this.#model);
    const [fault] = recheck(merged.model);
    if (fault) throw coded(fault);
    return merged;
  }

  /** What says the same as what runs changes nothing, and is no generation. */
  #change(wanted: Model, cause: string): Done {
    const before = this.#planned;
    const old = this.#model;
    const model = sharing(wanted, old);
    if (model === old) return { summary: NOTHING, changes: [], more: 0, warnings: [] };
    this.#around.adopt?.(model);
    try {
      this.#publish(model);
    } catch (error) {
      this.#around.adopt?.(old);
      throw error;
    }
    this.#model = model;
    const done = told(diffModels(old, model));
    this.#remember(cause, done);
    const known = new Set(before.warnings);
    return { ...done, warnings: this.#planned.warnings.filter((warning) => !known.has(warning)) };
  }

  #publish(model: Model): Planned {
    const { counters, rates } = this.#around;
    const { slots } = this.#planned;
    const planned = plan(model, this.#health(), this.#around.role?.(), slots, this.#busy());
    const snapshot = encodeSnapshot(planned.snapshot);
    // A slot with a new owner has no connection, so its counters stand still until the publication.
    counters.rebase(planned.taken);
    rates.restart(planned.taken);
    this.#around.publish(snapshot);
    this.#planned = planned;
    const stay =
      planned.slots.services === slots.services && planned.slots.servers === slots.servers;
    if (!stay) rates.follow(liveSlots(planned));
    this.#around.ledger?.published(planned.snapshot.generation, planned.slots);
    return planned;
  }

  /** Slots of servers that are gone but for their connections. */
  #busy(): Set<number> {
    const removed = [...this.#planned.slots.servers.values()].filter(({ live }) => !live);
    return this.#around.counters.busyServers(removed.map(({ slot }) => slot));
  }

  #health(): Health {
    return this.#around.health?.() ?? ALL_UP;
  }

  #remember(cause: string, done: Omit<Done, 'warnings'>): void {
    const { generation } = this.#planned.snapshot;
    const at = new Date().toISOString();
    const one = { generation, at, cause, ...done, model: this.#model };
    this.#history.push(one);
    const dropped = this.#history.slice(0, -KEPT);
    this.#history = this.#history.slice(-KEPT);
    this.#around.ledger?.ran(one, dropped);
  }
}

function told(changes: ModelChange[]): Omit<Done, 'warnings'> {
  const more = Math.max(0, changes.length - TOLD);
  return { summary: summaryOf(changes), changes: changes.slice(0, TOLD), more };
}

/** And what has changed besides the Model. */
function besides(done: Omit<Done, 'warnings'>, others: ModelChange[]): Omit<Done, 'warnings'> {
  if (others.length === 0) return done;
  const { summary, changes, more } = done;
  const parts = [...(changes.length > 0 ? [summary] : []), summaryOf(others)];
  return { summary: parts.join('; '), changes: [...changes, ...others], more };
}

/** What a start has, of which nothing has changed. */
export function countsOf({ services }: Model): string {
  const servers = services.reduce((sum, service) => sum + service.servers.length, 0);
  const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
  return `${counted(services.length, 'service')}, ${counted(servers, 'server')}`;
}

const BACK = { added: 'removed', removed: 'added', changed: 'changed' } as const;

/** An edit that is taken back. */
const taken = (edit: ModelChange): ModelChange => ({ ...edit, change: BACK[edit.change] });

/** Slots of what lives now: of one service and its servers, or of all. */
function liveSlots({ slots }: Planned, service?: string): SlotLists & Planned['taken'] {
  const live = (entries: Planned['slots']['services'], wanted: (key: string) => boolean) =>
    [...entries].flatMap(([key, entry]) => (entry.live && wanted(key) ? [entry.slot] : []));
  const isOwn = (key: string) => service === undefined || key === service;
  return {
    services: live(slots.services, isOwn),
    servers: live(slots.servers, (key) => isOwn(key.slice(0, key.lastIndexOf(' ')))),
  };
}

/** Throws for the first edit that cannot be made. */
function editTogether(model: Model, edits: readonly Edit[]): Edited {
  const edited = editModel(model, edits);
  const refusal = edited.refusals.find((one) => one !== null);
  if (refusal) throw refusal;
  const [fault] = recheck(edited.model, model);
  if (fault) throw coded(fault);
  return edited;
}

/**
 * Which of many edits makes the whole impossible is found by halving, so that one bad line among
 * ten thousand costs a dozen checks of the whole.
 */
export function editEach(model: Model, edits: readonly Edit[]): Edited {
  const edited = editModel(model, edits);
  const [fault] = recheck(edited.model, model);
  if (!fault) return edited;
  if (edits.length === 1) return { model, refusals: [coded(fault)] };
  const half = Math.ceil(edits.length / 2);
  const first = editEach(model, edits.slice(0, half));
  const second = editEach(first.model, edits.slice(half));
  return { model: second.model, refusals: [...first.refusals, ...second.refusals] };
}

function coded({ code, message }: { code: string; message: string }): SluiceError {
  return new SluiceError(code in ERRORS ? (code as ErrorCode) : 'ERR_CONFIG', message);
}

function editsInTheWay(edits: readonly ModelChange[]): SluiceError {
  const lines = changeLines(edits, { most: LISTED }).map((line) => `\n  ${line}`);
  return new SluiceError(
    'ERR_RUNTIME_EDITS',
    'the running state has been edited since its file was read; --keep-edits reads the file and ' +
      `keeps them, --discard-edits drops them:${lines.join('')}`,
  );
}
