/**
 * Run-time edits that outlive the process: a file with the edits that make the running state of the
 * configuration's, written anew at each change. It is whole or not there: written beside its place,
 * synced, renamed; and a digest in its first line tells one that something else has changed.
 */
import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { edit } from '../api/requests.js';
import { changeLines } from '../changes/words.js';
import type { Loaded } from '../config/load.js';
import type { Model } from '../config/model.js';
import { codeOf, describe, SluiceError } from '../errors.js';
import { type Logger, RateLimit } from '../log.js';
import { diffModels } from '../model-diff.js';
import { type Edit, editModel } from '../model-edit.js';
import { DAEMON_ROLES, type Daemon } from '../sync/daemons.js';
import { editEach } from '../transaction.js';
import { editsBetween } from './between.js';

/** Grows when a file of before can't be read any more. */
const FORMAT = 1;
const HEAD = /^sluice-edits (\d+) sha256=([0-9a-f]{64})$/;
/** Differences and refusals that the log lists. */
const LISTED = 10;

const daemon = z.strictObject({
  role: z.enum(DAEMON_ROLES),
  interface: z.string(),
  syncid: z.int(),
  maxlen: z.int(),
  group: z.string(),
  port: z.int(),
  ttl: z.int(),
});

const contents = z.strictObject({
  /** The configuration that the edits belong to. */
  config: z.string(),
  /** Digest of its services and timeouts. */
  base: z.string(),
  version: z.string(),
  generation: z.int(),
  at: z.string(),
  edits: z.array(edit),
  /** IPVS' sync daemons, where they are not the configuration's. */
  daemons: z.array(daemon).optional(),
});
type Contents = z.output<typeof contents>;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const bases = new WeakMap<Model, string>();

/** Digest of what edits can change. */
export function baseOf(model: Model): string {
  const known = bases.get(model);
  if (known) return known;
  const { services, timeouts } = model;
  const base = sha256(JSON.stringify({ services, timeouts }));
  bases.set(model, base);
  return base;
}

export function encodeKept(kept: Contents): string {
  const body = `${JSON.stringify(kept, null, 1)}\n`;
  return `sluice-edits ${FORMAT} sha256=${sha256(body)}\n${body}`;
}

/** Throws ERR_EDITS_FILE. */
export function decodeKept(text: string, path: string): Contents {
  const fault = (why: string) => new SluiceError('ERR_EDITS_FILE', `${path}: ${why}`);
  const end = text.indexOf('\n');
  const [, format, digest] = HEAD.exec(text.slice(0, end < 0 ? undefined : end)) ?? [];
  if (format === undefined) throw fault('is no file of run-time edits');
  if (Number(format) !== FORMAT) throw fault(`is of format ${format}, expected ${FORMAT}`);
  const body = text.slice(end + 1);
  if (sha256(body) !== digest) throw fault('is torn, or was changed by hand');
  const parsed = contents.safeParse(JSON.parse(body));
  if (parsed.success) return parsed.data;
  throw fault(`another version of Sluice wrote it: ${parsed.error.issues[0]?.message}`);
}

/** What a director begins with. */
export interface Restored {
  model: Model;
  /** For the history. */
  cause: string;
  /** undefined: the configuration's. */
  daemons: Daemon[] | undefined;
}

export class KeptEdits {
  readonly #path: string;
  readonly #log: Logger;
  readonly #version: string;
  readonly #trouble = new RateLimit(10_000);
  #written: string | undefined;

  /** Throws ERR_EDITS_FILE where the folder could not be written to. */
  constructor(path: string, log: Logger, version: string) {
    this.#path = path;
    this.#log = log;
    this.#version = version;
    try {
      accessSync(dirname(path), constants.W_OK | constants.X_OK);
    } catch (cause) {
      const message = `director.keepEdits: cannot write in ${dirname(path)}: ${(cause as Error).message}`;
      throw new SluiceError('ERR_EDITS_FILE', message, { cause });
    }
  }

  /**
   * The edits of before, made to the file as it is now. What cannot be used is put aside and told of:
   * a director that forwards as its file says is better than none.
   */
  restore({ file, model }: Loaded): Restored | undefined {
    const kept = this.#read();
    if (!kept || (kept.edits.length === 0 && !kept.daemons)) return undefined;
    if (kept.config !== file) {
      this.#log.warn(
        `${this.#path} has edits of ${kept.config}, not of ${file}: they are not made`,
      );
      return undefined;
    }
    const { model: edited, refusals } = editEach(model, kept.edits);
    const { daemons } = kept;
    const made = refusals.filter((one) => one === null).length + (daemons ? 1 : 0);
    if (kept.base !== baseOf(model)) {
      this.#log.warn(
        `${file} has changed since it was edited at run time: the edits are made to it`,
      );
    }
    refusals.forEach((refusal, at) => {
      if (!refusal) return;
      const { edit: what } = kept.edits[at] as Edit;
      this.#log.warn(`a kept edit (${what}) is not made: ${refusal.message}`, {
        code: refusal.code,
      });
    });
    if (made === 0) return undefined;
    const edits = made === 1 ? 'an edit' : `${made} edits`;
    this.#log.warn(`${edits} of ${kept.at} made again: the running state is not what ${file} says`);
    return { model: edited, cause: `${edits} kept since ${kept.at}`, daemons };
  }

  /** After each change; see Surroundings of src/transaction.ts. What cannot be written is logged: the change itself is in force. */
  keep(
    { file, model: base }: Loaded,
    running: Model,
    generation: number,
    byEdit: boolean,
    daemons?: Daemon[],
  ): void {
    const edits = editsBetween(base, running);
    if (!byEdit) this.#tellUnkept(base, running, edits);
    const same = JSON.stringify([file, baseOf(base), edits, daemons]);
    if (same === this.#written) return;
    try {
      if (edits.length === 0 && !daemons) rmSync(this.#path, { force: true });
      else {
        const at = new Date().toISOString();
        const about = { config: file, base: baseOf(base), version: this.#version, generation, at };
        this.#replace(encodeKept({ ...about, edits, ...(daemons && { daemons }) }));
      }
      this.#written = same;
    } catch (error) {
      this.#trouble.run('write', () =>
        this.#log.error(`edits are not kept: ${describe(error)}`, { code: 'ERR_EDITS_FILE' }),
      );
    }
  }

  /** A return to a generation of another file brings back what no edit can say. */
  #tellUnkept(base: Model, running: Model, edits: readonly Edit[]): void {
    const left = diffModels(editModel(base, edits).model, running);
    if (left.length === 0) return;
    const lines = changeLines(left, { most: LISTED }).join('; ');
    this.#log.warn(`not kept for a restart, as no edit can say it: ${lines}`);
  }

  #read(): Contents | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.#putAside(error);
      return undefined;
    }
    try {
      return decodeKept(text, this.#path);
    } catch (error) {
      this.#putAside(error);
      return undefined;
    }
  }

  #putAside(error: unknown): void {
    const aside = `${this.#path}.bad`;
    this.#log.error(`run-time edits are lost: ${describe(error)}; see ${aside}`, {
      code: 'ERR_EDITS_FILE',
    });
    try {
      renameSync(this.#path, aside);
    } catch (failure) {
      this.#log.error(describe(failure));
    }
  }

  /** Whole or not at all, also when the power fails. */
  #replace(text: string): void {
    const beside = `${this.#path}.new`;
    const fd = openSync(beside, 'w', 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, this.#path);
    const folder = openSync(dirname(this.#path), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}
