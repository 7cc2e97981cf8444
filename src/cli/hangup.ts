/**
 * SIGHUP, which ends a process that does not handle it, from the first moment on: whoever starts a
 * director may want a reload before its modules are loaded. Imports nothing, so that it comes first.
 */
let wanted = false;
let handler: (() => void) | undefined;

/** From now on a SIGHUP is kept for onHangup(). */
export function holdHangups(): void {
  process.on('SIGHUP', () => {
    if (handler) handler();
    else wanted = true;
  });
}

/** Calls `next` at each SIGHUP, and now if one was held. */
export function onHangup(next: () => void): void {
  handler = next;
  if (wanted) next();
  wanted = false;
}
