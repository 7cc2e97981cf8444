/**
 * A live view of the counters: a SharedArrayBuffer over the workers' own memory, made by the small
 * nan addon `sluice_live` (Node-API cannot wrap existing memory as one). Where that addon is not
 * built, every read copies instead.
 */
import { createRequire } from 'node:module';
import type { Engine } from '../native.js';
import type { ReadCounters } from './counters.js';

interface LiveModule {
  view(address: bigint, bytes: number): SharedArrayBuffer;
}

export interface CounterSource {
  read: ReadCounters;
  /** 'live': the workers' memory itself; 'copy': a copy a read. */
  kind: 'live' | 'copy';
}

export function counterSource(engine: Engine): CounterSource {
  try {
    const require = createRequire(import.meta.url);
    const bindings = require('bindings') as (name: string) => LiveModule;
    const { address, bytes } = engine.countersLocation();
    const words = new BigUint64Array(bindings('sluice_live').view(address, bytes));
    return { read: () => words, kind: 'live' };
  } catch {
    return { read: shortLived(() => engine.counters()), kind: 'copy' };
  }
}

/** One copy serves a whole report: its many figures are read within one turn of the event loop. */
function shortLived(copy: () => BigUint64Array): ReadCounters {
  let cached: BigUint64Array | undefined;
  return () => {
    if (!cached) {
      cached = copy();
      setImmediate(() => {
        cached = undefined;
      });
    }
    return cached;
  };
}
