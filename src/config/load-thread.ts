/** The thread of aside.ts: reads one configuration, hands it over part by part, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { ConfigError, SluiceError } from '../errors.js';
import { plainEnvironment } from '../threads.js';
import type { FromReader } from './aside.js';
import { loadConfig } from './load.js';
import type { Model } from './model.js';
import { buffersOf, columnsOf } from './places.js';

/** Of a part: the event loop takes some milliseconds for so many. */
const SERVERS = 1_000;

function* parts(file: string): Generator<FromReader> {
  try {
    const { model, warnings, tokenHashes, whole, locate } = loadConfig(file);
    const places = columnsOf(model, whole, locate);
    for (let at = 0; at < model.services.length; ) {
      const [from, most] = [at, SERVERS];
      for (let servers = 0; at < model.services.length && servers < most; at++) {
        servers += (model.services[at]?.servers.length ?? 0) + 1;
      }
      yield { type: 'services', services: model.services.slice(from, at) };
    }
    const rest: Model = { ...model, services: [] };
    yield { type: 'rest', model: rest, warnings, tokenHashes, places };
  } catch (error) {
    yield problemsOf(error);
  }
}

function problemsOf(error: unknown): FromReader {
  if (error instanceof ConfigError) return { type: 'problems', problems: error.problems };
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof SluiceError ? error.code : undefined;
  return { type: 'error', code, message, stack };
}

plainEnvironment();
const all = parts(workerData as string);
parentPort?.on('message', () => {
  const { value, done } = all.next();
  if (done) return;
  parentPort?.postMessage(value, value.type === 'rest' ? buffersOf(value.places) : []);
  if (value.type !== 'services') parentPort?.close();
});
