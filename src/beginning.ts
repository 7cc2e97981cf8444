/** What a director begins with: a new process, one that takes over, or a control plane after another. */
import { resolve as absolute } from 'node:path';
import { claimSocket } from './api/server.js';
import { type Loaded, loadConfig } from './config/load.js';
import type { Model } from './config/model.js';
import { KeptEdits, type Restored } from './edits/kept.js';
import { engineOptions, workerCpus } from './engine-options.js';
import { formatProblem } from './errors.js';
import { requireFiles } from './health/files.js';
import type { Host } from './host.js';
import type { Ledger, Past } from './ledger.js';
import { allowedCpus, requireDevices, requireHugepages } from './requirements.js';
import { rememberDaemons } from './sync/feature.js';
import { pastOf } from './upgrade/past.js';
import { VERSION } from './version.js';

/** What a director begins with: a file that was read, or what an earlier one has left. */
export interface Beginning {
  loaded: Loaded;
  cpus: number[];
  ledger: Ledger;
  past: Past | undefined;
  /** undefined: edits end with the process. */
  kept: KeptEdits | undefined;
  initial?: Restored | undefined;
}

export async function begin(config: string, ledger: Ledger, host: Host): Promise<Beginning> {
  const loaded = loadConfig(absolute(config));
  for (const warning of loaded.warnings) host.log.warn(formatProblem(warning));
  requireDevices(loaded);
  const { model } = loaded;
  const cpus = workerCpus(model.director.workers, allowedCpus());
  requireHugepages(loaded);
  requireFiles(loaded);
  await host.become(model.director);
  await claimSocket(model.director.socket);
  await host.startEngine(engineOptions(model, cpus, host.memory));
  host.memory.of('director').set('cpus', cpus);
  const kept = keptEdits(model, host);
  return { loaded, cpus, ledger, past: undefined, kept, initial: kept?.restore(loaded) };
}

/** As begin(), but ports, sockets and what was known are another process's, which goes on meanwhile. */
export async function succeed(
  config: string,
  past: Past | undefined,
  ledger: Ledger,
  host: Host,
): Promise<Beginning> {
  const { discardEdits = false, version = '' } = host.succession ?? {};
  const loaded = loadConfig(absolute(config));
  for (const warning of loaded.warnings) host.log.warn(formatProblem(warning));
  requireDevices(loaded);
  requireHugepages(loaded);
  requireFiles(loaded);
  const next = past && pastOf(past, loaded, { discardEdits, version });
  const model = next?.model ?? loaded.model;
  const cpus = workerCpus(model.director.workers, allowedCpus());
  await host.startEngine(engineOptions(model, cpus, host.memory));
  host.memory.of('director').set('cpus', cpus);
  const kept = keptEdits(model, host);
  const initial = next ? undefined : kept?.restore(loaded);
  if (discardEdits) rememberDaemons(host.memory, undefined);
  return { loaded, cpus, ledger, past: next, kept, initial };
}

export async function resume(past: Past, ledger: Ledger, host: Host): Promise<Beginning> {
  await claimSocket(past.loaded.model.director.socket);
  const cpus = host.memory.of<number[]>('director').get('cpus') ?? [];
  return { loaded: past.loaded, cpus, ledger, past, kept: keptEdits(past.loaded.model, host) };
}

function keptEdits({ director: { keepEdits } }: Model, { log }: Host): KeptEdits | undefined {
  return keepEdits === undefined ? undefined : new KeptEdits(keepEdits, log, VERSION);
}
