/**
 * Long work in slices. What cannot wait (VRRP's adverts, health checks, other requests) gets its turn
 * between them: a listing of 100 000 servers takes as long as ever, and nobody else notices.
 */
import { setImmediate } from 'node:timers/promises';

/** Adverts may be 10 ms apart. */
const SLICE_MS = 5;

/** To be called after each piece of work; `await` what it returns, if it returns something. */
export function pacer(sliceMs = SLICE_MS): () => Promise<void> | undefined {
  let begun = performance.now();
  const rest = async () => {
    await setImmediate();
    begun = performance.now();
  };
  return () => (performance.now() - begun < sliceMs ? undefined : rest());
}

/** All of it, made in slices. */
export async function collected<T>(things: Iterable<T>): Promise<T[]> {
  const rest = pacer();
  const all: T[] = [];
  for (const thing of things) {
    all.push(thing);
    const pause = rest();
    if (pause) await pause;
  }
  return all;
}
