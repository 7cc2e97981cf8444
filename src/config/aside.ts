/**
 * Reading a configuration without holding up the event loop, on which VRRP's lease, health checks and
 * the API depend: YAML and checks of ten thousand services take seconds. A large one is read by a
 * thread, with memory of its own, and handed over in parts between which everything else has its turn.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ConfigError, type ErrorCode, type Problem, SluiceError } from '../errors.js';
import { sameData } from '../same-data.js';
import { threadEntry } from '../threads.js';
import { sharedClientFile } from './client-files.js';
import { type Loaded, loadConfig } from './load.js';
import type { Model, ServiceModel } from './model.js';
import { locator, type PlaceColumns } from './places.js';
import { BESIDE } from './source.js';

/** Read in milliseconds: a thread would take longer to start. */
const SMALL_BYTES = 128 * 1024;

const ENTRY = threadEntry('load-thread', import.meta.url);

/** To the thread: the next part is wanted. */
export const NEXT = 'next';

/** What the thread says: parts, and then the rest or what is wrong. */
export type FromReader =
  | { type: 'services'; services: ServiceModel[] }
  | {
      type: 'rest';
      /** Without services. */
      model: Model;
      warnings: Problem[];
      tokenHashes: Loaded['tokenHashes'];
      places: PlaceColumns;
    }
  | { type: 'problems'; problems: Problem[] }
  | { type: 'error'; code: ErrorCode | undefined; message: string; stack: string | undefined };

/** As loadConfig(). `before`: what has not changed since is the same objects, and costs less later. */
export async function loadAside(file: string, before?: Model): Promise<Loaded> {
  return isSmall(file) ? loadConfig(file) : loadInThread(file, before);
}

/** Whether it, and what it may include, is surely read at once. */
export function isSmall(file: string): boolean {
  try {
    const beside = statSync(join(dirname(file), BESIDE), { throwIfNoEntry: false })?.size ?? 0;
    if (statSync(file).size + beside > SMALL_BYTES) return false;
    // Of includes, of a keepalived.conf that a director.yaml names, and of files of clients nobody
    // knows the size yet.
    return !/^\s*(include|keepalived:)|\bclients:/m.test(readFileSync(file, 'utf8'));
  } catch {
    // loadConfig() says what is wrong with it.
    return true;
  }
}

/** As loadConfig(), by a thread whatever the size. */
export function loadInThread(file: string, before?: Model): Promise<Loaded> {
  const worker = new Worker(ENTRY, { workerData: file, name: 'configuration' });
  // What it must not do is to keep a process that ends.
  worker.unref();
  const services: ServiceModel[] = [];
  const known = new Map(before?.services.map((service) => [service.name, service]));
  const shared = (service: ServiceModel) => {
    const old = known.get(service.name);
    return old && sameData(old, service) ? old : service;
  };
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => {
      reject(new SluiceError('ERR_CONFIG_READ', `${file}: the thread that read it has ended`));
    });
    worker.on('message', (message: FromReader) => {
      switch (message.type) {
        case 'services':
          for (const service of message.services) services.push(shared(service));
          worker.postMessage(NEXT);
          return;
        case 'rest': {
          const { warnings, tokenHashes, places } = message;
          const clientFiles = message.model.clientFiles.map(({ path, text }) =>
            sharedClientFile(path, text),
          );
          const model = { ...message.model, services, clientFiles };
          resolve({
            file,
            model,
            warnings,
            locate: locator(places),
            ...(tokenHashes && { tokenHashes }),
          });
          return;
        }
        case 'problems':
          reject(new ConfigError(file, message.problems));
          return;
        case 'error':
          reject(errorOf(message));
      }
    });
    worker.postMessage(NEXT);
  });
}

function errorOf({ code, message, stack }: FromReader & { type: 'error' }): Error {
  if (code !== undefined) return new SluiceError(code, message);
  return Object.assign(new Error(message), stack !== undefined && { stack });
}
