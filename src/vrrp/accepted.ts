/**
 * VIPs in accept mode (RFC 9568 section 6.1) on the TAP twins, for programs of this machine. The
 * kernel has one only while the dataplane owns it: whoever asks for its MAC is never answered twice.
 */
import { describe } from '../errors.js';
import type { Logger } from '../log.js';
import type { Role } from '../plan.js';
import { sameData } from '../same-data.js';

/** By the twin's name; every twin is in it. */
type Addresses = ReadonlyMap<string, readonly string[]>;

export class Accepted {
  readonly #log: Logger;
  readonly #apply: (twin: string, addresses: string[]) => void;
  /** A twin that is not in it has whatever an earlier control plane has left. */
  readonly #there = new Map<string, readonly string[]>();

  /** `apply`: makes these the only ones that the twin has. */
  constructor(log: Logger, apply: (twin: string, addresses: string[]) => void) {
    this.#log = log;
    this.#apply = apply;
  }

  /**
   * Runs `publish`, which makes `role` the dataplane's. What is not ours any more leaves the kernel
   * before that, what has become ours comes after it. `twins`: by port, '' for none.
   */
  around(role: Role, twins: readonly string[], publish: () => void): void {
    const wanted = wantedOf(role, twins);
    for (const [twin, addresses] of wanted) {
      const there = this.#there.get(twin);
      const stay = there ? there.filter((one) => addresses.includes(one)) : [];
      this.#set(twin, stay);
    }
    publish();
    for (const [twin, addresses] of wanted) this.#set(twin, addresses);
  }

  /** What fails is tried again with the next publication. */
  #set(twin: string, addresses: readonly string[]): void {
    if (sameData(this.#there.get(twin), addresses)) return;
    this.#there.delete(twin);
    try {
      this.#apply(twin, [...addresses]);
      this.#there.set(twin, addresses);
    } catch (error) {
      this.#log.error(`accept mode: ${describe(error)}`, { code: 'ERR_NATIVE_TWIN' });
    }
  }
}

function wantedOf({ addresses }: Role, twins: readonly string[]): Addresses {
  const wanted = new Map<string, string[]>();
  for (const twin of twins) if (twin !== '') wanted.set(twin, []);
  for (const [address, { ours, accepted, port }] of addresses) {
    if (ours && accepted) wanted.get(twins[port] ?? '')?.push(address);
  }
  return wanted;
}
