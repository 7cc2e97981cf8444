/** What `sluice realserver` prints: lines for people, or one JSON object a line. */
import type { RealserverAttachment, RealserverCounter } from './types.js';

export interface Attached {
  interfaces: string[];
  directors: string[];
  vips: string[];
  modes: string[];
  attachments: RealserverAttachment[];
}

export interface Reporter {
  attached(what: Attached): void;
  counters(counters: RealserverCounter[]): void;
  detached(pinned: string | undefined): void;
}

type Write = (line: string) => void;

export function jsonReporter(write: Write): Reporter {
  const event = (name: string, more: object) => write(JSON.stringify({ event: name, ...more }));
  return {
    attached: (what) => event('attached', what),
    counters: (counters) =>
      event('counters', {
        counters: Object.fromEntries(counters.map(({ name, value }) => [name, value])),
      }),
    detached: (pinned) => event('detached', { pinned: pinned ?? null }),
  };
}

export function textReporter(write: Write): Reporter {
  return {
    attached({ directors, vips, modes, attachments }) {
      write(
        `modes ${modes.join(', ')}; directors ${directors.join(', ')}; VIPs ${vips.join(', ')}`,
      );
      for (const { program, where, how } of attachments) {
        write(`  ${program.padEnd(16)} on ${where.padEnd(12)} by ${how}`);
      }
      write('ready');
    },
    counters(counters) {
      const met = counters.filter(({ value }) => value > 0);
      if (met.length === 0) write('nothing counted yet');
      for (const { name, value, help } of met) {
        write(`${String(value).padStart(12)}  ${name.padEnd(18)} ${help}`);
      }
    },
    detached: (pinned) => write(pinned ? `stays attached, pinned in ${pinned}` : 'detached'),
  };
}
