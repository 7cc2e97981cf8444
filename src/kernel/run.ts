/** Runs iproute2: by its arguments, never by a shell, with the capabilities of this process. */
import { spawn } from 'node:child_process';
import { native } from '../native.js';

/** Never to be waited for longer. */
const MOST_MS = 30_000;

export interface Ran {
  /** undefined: ended by a signal, or never started. */
  status: number | undefined;
  output: string;
  errors: string;
}

export type Run = (args: readonly string[], input?: string) => Promise<Ran>;

/** Never rejects. */
export const runIp: Run = (args, input = '') =>
  new Promise((resolve) => {
    let output = '';
    let errors = '';
    const child = (() => {
      // Capabilities of a process that is not root's are lost by exec, unless they are ambient.
      const plain = process.getuid?.() !== 0;
      if (plain) native().raiseAmbient();
      try {
        return spawn('ip', args, { env: ENVIRONMENT, detached: true });
      } finally {
        if (plain) native().forgetAmbient();
      }
    })();
    const limit = setTimeout(() => {
      errors += `killed after ${MOST_MS / 1000} s\n`;
      child.kill('SIGKILL');
    }, MOST_MS);
    const done = (status: number | undefined) => {
      clearTimeout(limit);
      resolve({ status, output, errors });
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('error', (error) => {
      errors += `${error.message}\n`;
      done(undefined);
    });
    // It has ended before it has read everything: its status says so.
    child.stdin.on('error', () => {});
    child.on('close', (status) => done(status ?? undefined));
    child.stdin.end(input);
  });

/** iproute2 is in sbin, which not every environment names; its messages are read. */
const ENVIRONMENT = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
