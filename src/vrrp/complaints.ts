/** Log lines about what came in or went out wrong: one of a kind in ten seconds. */
import { type Logger, RateLimit } from '../log.js';
import type { HeraldNews } from '../native.js';
import { FAULTS, type Fault } from './packet.js';

const QUIET_MS = 10_000;
/** An advert that left so much later than it was due is told of. */
const LATE_MS = 5;

export class Complaints {
  readonly #log: Logger;
  readonly #quiet = new RateLimit(QUIET_MS);
  /** Since the last line about it. */
  #latestMs = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Of another router's advert. */
  advert(who: string, fault: Fault, detail: string): void {
    const text = `${who} advert dropped or odd: ${FAULTS[fault]} (${detail})`;
    this.#warn(`${who} ${fault}`, 'ERR_VRRP_ADVERT', text);
  }

  /** Of what the herald could not do in time. */
  late({ lost, unsent, lateMs }: Pick<HeraldNews, 'lost' | 'unsent' | 'lateMs'>): void {
    const warn = (about: string, text: string) => this.#warn(about, 'ERR_VRRP_LATE', text);
    if (lost > 0) warn('lost', `${lost} VRRP adverts of others were lost: more came than are kept`);
    if (unsent > 0) warn('unsent', `${unsent} gratuitous ARPs were not sent: too many wait`);
    if (lateMs < LATE_MS) return;
    this.#latestMs = Math.max(this.#latestMs, lateMs);
    const text = `a VRRP advert left ${this.#latestMs.toFixed(1)} ms late: others may take over`;
    if (warn('late', text)) this.#latestMs = 0;
  }

  /** Whether it was written. */
  #warn(about: string, code: string, text: string): boolean {
    let written = false;
    this.#quiet.run(about, (suppressed) => {
      this.#log.warn(text, { code, suppressed: suppressed || undefined });
      written = true;
    });
    return written;
  }
}
