/** SMTP_CHECK: the greeting and the answer to HELO are friendly (RFC 5321 sections 3.1, 4.1.1.1). */
import { createInterface } from 'node:readline';
import { visible } from '../../visible.js';
import type { SmtpCheck } from '../model.js';
import { failure, type Probe } from './checker.js';
import { withConnection } from './connection.js';

/** What is awaited in turn, and what is said then. */
const DIALOGUE: [what: string, code: number, say: (name: string) => string][] = [
  ['greeting', 220, (name) => `HELO ${name}\r\n`],
  ['HELO', 250, () => 'QUIT\r\n'],
];

/** A server that never ends its line must not fill the director's memory. */
const LONGEST_ANSWERS = 64 << 10;
const LONGEST_WORDS = 80;

export const smtp: Probe<SmtpCheck> = (check, target, _step, signal) =>
  withConnection(check, target, signal, (socket, done) => {
    let stage = 0;
    let bytes = 0;
    socket.on('data', (part) => {
      bytes += part.length;
      if (bytes > LONGEST_ANSWERS)
        done(failure(`more than ${LONGEST_ANSWERS >> 10} KiB of answers`));
    });
    const lines = createInterface({ input: socket });
    lines.on('line', (line) => {
      const [what, code, say] = DIALOGUE[stage] as (typeof DIALOGUE)[number];
      // All lines of an answer but the last have a dash behind the code (section 4.2.1).
      if (/^\d{3}-/.test(line)) return;
      if (Number(line.slice(0, 3)) !== code) {
        done(failure(`${what} answered with '${line.slice(0, LONGEST_WORDS)}'`));
        lines.close();
        return;
      }
      socket.write(say(check.heloName));
      stage++;
      if (stage < DIALOGUE.length) return;
      lines.close();
      done({ ok: true, detail: visible(line.slice(0, LONGEST_WORDS)) });
    });
    socket.once('end', () => done(failure('connection closed')));
  });
