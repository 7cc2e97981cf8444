/** Programs that a configuration names: checks and notifications. No shell, a time limit, a user. */
import { spawn } from 'node:child_process';
import { groupId, groupOfUser, userId } from '../accounts.js';
import { SluiceError } from '../errors.js';
import type { Script } from './model.js';

export interface ScriptResult {
  /** undefined: ended by a signal, or never started. */
  status: number | undefined;
  /** For a person: `status 1`, `killed after 5 s`, `no such file`. */
  detail: string;
}

/** The number of a user or group. */
function identity(what: 'user' | 'group', name: string): number {
  const number = what === 'user' ? userId(name) : groupId(name);
  if (number !== undefined) return number;
  throw new SluiceError('ERR_SCRIPT_USER', `there is no ${what} ${name} to run a script as`);
}

/** Runs it to its end, or kills it and what it started after `timeoutMs`. Never rejects. */
export function runScript(
  script: Script,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<ScriptResult> {
  return new Promise((resolve) => {
    const [command = '', ...args] = script.argv;
    const child = (() => {
      try {
        const { user, group } = script;
        return spawn(command, args, {
          stdio: 'ignore',
          // A process group of its own, to be killed whole.
          detached: true,
          uid: user === undefined ? undefined : identity('user', user),
          gid:
            group !== undefined
              ? identity('group', group)
              : user === undefined
                ? undefined
                : groupOfUser(user),
        });
      } catch (error) {
        return error as Error;
      }
    })();
    if (child instanceof Error) {
      resolve({ status: undefined, detail: child.message });
      return;
    }
    let killed: string | undefined;
    const kill = (why: string) => {
      killed = why;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended in this very moment.
      }
    };
    const limit = setTimeout(() => kill(`killed after ${timeoutMs / 1000} s`), timeoutMs);
    const abort = () => kill('given up');
    signal?.addEventListener('abort', abort, { once: true });
    const done = (result: ScriptResult) => {
      clearTimeout(limit);
      signal?.removeEventListener('abort', abort);
      resolve(result);
    };
    child.once('error', (error) => done({ status: undefined, detail: error.message }));
    child.once('exit', (status, by) => {
      if (killed !== undefined) done({ status: undefined, detail: killed });
      else if (status === null) done({ status: undefined, detail: `ended by ${by}` });
      else done({ status, detail: `status ${status}` });
    });
  });
}
