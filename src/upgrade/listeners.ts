/**
 * Sockets that listen go over with an upgrade as they are, so that no request finds them closed:
 * while two processes have one, either may take what comes.
 */
import type { Server } from 'node:net';
import type { Listeners } from './protocol.js';

/** `at`: path, or address and port; undefined: not configured. */
export function listener(
  what: string,
  server: Server | undefined,
  at: string | undefined,
): Listeners {
  // Node has no other name for it: a server that listens on a path or port has a handle with it.
  const fd = (server as { _handle?: { fd?: number } } | undefined)?._handle?.fd;
  return at === undefined || fd === undefined || fd < 0 ? {} : { [what]: { fd, at } };
}

/** The descriptor of one that is there already. */
export function inherited(
  listeners: Listeners | undefined,
  what: string,
  at: string,
): number | undefined {
  const one = listeners?.[what];
  return one?.at === at ? one.fd : undefined;
}
