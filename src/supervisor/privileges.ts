/**
 * Less than root: a director that root starts goes on as `director.user`, if there is one. It begins
 * again as that user, in the same process, since capabilities belong to threads and Node has made
 * some by now; nothing runs yet when it does.
 */
import { chownSync, mkdirSync, statSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { groupOfUser, userId } from '../accounts.js';
import { codeOf, SluiceError } from '../errors.js';
import type { Logger } from '../log.js';
import { native } from '../native.js';
import type { Identity } from './identity.js';

/** Numbers of capabilities(7), and what each is for. */
const CAPABILITIES = {
  /** Checks that name a source port, and metrics on a low one. */
  CAP_NET_BIND_SERVICE: 10,
  /** TAP twins, routes and neighbours, marks of checks' sockets. */
  CAP_NET_ADMIN: 12,
  /** Packet sockets and echo checks. */
  CAP_NET_RAW: 13,
  /** Memory that devices write into. */
  CAP_IPC_LOCK: 14,
  /** The programs that keep the kernel off the ports' frames. */
  CAP_BPF: 39,
};

/** Does not return where the process has to begin again. Throws ERR_PRIVILEGE. */
export function dropPrivileges({ user, socket }: Identity, log: Logger): void {
  if (user === undefined || process.getuid?.() !== 0) return;
  const uid = userId(user);
  if (uid === undefined) throw new SluiceError('ERR_PRIVILEGE', `there is no user ${user}`);
  if (uid === 0) return;
  giveFolder(dirname(socket), uid, groupOfUser(user) ?? uid);
  const names = Object.keys(CAPABILITIES).join(' ');
  log.info(`goes on as user ${user} with ${names}`);
  const mask = Object.values(CAPABILITIES).reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  native().becomeUser(user, mask);
}

/** The control socket's folder, if it is the director's own: made here, or by systemd for it. */
function giveFolder(folder: string, uid: number, gid: number): void {
  try {
    statSync(folder);
    const granted = (process.env.RUNTIME_DIRECTORY ?? '').split(':').filter(Boolean);
    const within = granted.some((one) => !relative(one, folder).startsWith('..'));
    if (!within) return;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    mkdirSync(folder, { recursive: true });
  }
  chownSync(folder, uid, gid);
}
