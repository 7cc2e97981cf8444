/**
 * BFD_CHECK: the state of a BFD session (RFC 5880) that BIRD keeps, asked for on its control
 * socket.
 */
import { connect } from 'node:net';
import type { BfdCheck } from '../model.js';
import { failure, type Outcome, type Probe, type Target, wordsOf } from './checker.js';

const TIMEOUT_MS = 2_000;

export const bfd: Probe<BfdCheck> = async (check, target: Target) => {
  const neighbour = check.neighbour ?? target.server.address;
  try {
    return judgeSessions(await askBird(check.socket, 'show bfd sessions'), neighbour);
  } catch (error) {
    return failure(`BIRD: ${wordsOf(error)}`);
  }
};

/** Lines of BIRD's table: address, interface, state, since, interval, timeout. */
export function judgeSessions(answer: string, neighbour: string): Outcome {
  for (const line of answer.split('\n')) {
    const [address, , state] = line
      .replace(/^(\d{4}[- ]| )/, '')
      .trim()
      .split(/\s+/);
    if (address !== neighbour) continue;
    return { ok: state === 'Up', detail: `session is ${state}` };
  }
  return failure('no session');
}

/** One command; the answer's lines up to the one whose code a blank follows. */
export function askBird(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    let asked = false;
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('timed out')));
    socket.setEncoding('utf8');
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('connection closed')));
    socket.on('data', (part: string) => {
      text += part;
      if (!/(^|\n)\d{4} [^\n]*\n$/.test(text)) return;
      if (!asked) {
        asked = true;
        text = '';
        socket.write(`${command}\n`);
        return;
      }
      resolve(text);
      socket.destroy();
    });
  });
}
