/** Sockets of checks are open files, of which a process may have only so many. */
import { readFileSync } from 'node:fs';
import type { Loaded } from '../config/load.js';
import { SluiceError } from '../errors.js';

/** For everything but checks: ports, twins, the log, people on the control socket. */
const OTHERS = 256;

/** Throws ERR_FILE_LIMIT when the checks of `loaded` could run out of files. */
export function requireFiles({ model, locate }: Loaded, most = openFiles()): void {
  const { maxChecks } = model.director;
  const checks = model.services
    .flatMap(({ servers }) => servers.map(({ health }) => health.checks.length))
    .reduce((sum, count) => sum + count, 0);
  const needed = Math.min(checks, maxChecks) + OTHERS;
  if (needed <= most) return;
  throw new SluiceError(
    'ERR_FILE_LIMIT',
    `health checks may take ${needed - OTHERS} sockets at once (director.maxChecks), and ${OTHERS} ` +
      `files are needed besides, but this process may open ${most}: raise that (LimitNOFILE=, ` +
      'ulimit -n) or lower maxChecks',
    { place: locate(['director', 'maxChecks']) },
  );
}

/** Node raises the soft limit to the hard one when it starts. */
function openFiles(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const [, soft = ''] = /^Max open files\s+(\S+)/m.exec(limits) ?? [];
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
