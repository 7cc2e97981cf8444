/**
 * Two of Debian's keepalived. Without IPVS in the kernel they move VIPs and nothing else, so that
 * the traffic which loads them is translated by nftables, on either.
 */

import { readFileSync, rmSync } from 'node:fs';
import type { Lab } from '../../src/lab/lab.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import {
  BACK_PREFIX,
  directorBack,
  directorFront,
  FRONT_PREFIX,
  natServer,
  ROUTER,
  VIP,
} from '../../src/lab/topology.js';
import { type Pair, PRIORITIES, ROUTER_ID, SHARED, type Which } from './pair.js';

const conf = (n: Which, advertMs: number) => `global_defs {
  vrrp_garp_master_repeat 5
}
vrrp_instance VI_1 {
  state BACKUP
  nopreempt
  interface f0
  version 3
  virtual_router_id ${ROUTER_ID}
  priority ${PRIORITIES[n - 1]}
  advert_int ${advertMs / 1000}
  virtual_ipaddress {
    ${SHARED.front}
    ${VIP.nat}
    ${SHARED.back} dev b0
  }
}
`;

const TABLE = `table ip load {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr ${VIP.nat} tcp dport 80 dnat to ${natServer(1)}
  }
}
`;

export class KeepalivedPair implements Pair {
  readonly name = 'keepalived';
  readonly synchronises = false;
  readonly vips = { vip: VIP.nat };
  readonly #lab: Lab;
  readonly #advertMs: number;
  readonly #processes = new Map<Which, LabProcess>();

  constructor(lab: Lab, advertMs: number) {
    this.#lab = lab;
    this.#advertMs = advertMs;
    for (const n of [1, 2]) {
      const space = lab.ns(`director${n}`);
      space.sysctl({
        'net.ipv4.conf.all.arp_ignore': 1,
        'net.ipv4.conf.all.arp_announce': 2,
        'net.ipv4.ip_forward': 1,
      });
      space.exec(['nft', '-f', '-'], { input: TABLE });
    }
  }

  async start(n: Which): Promise<void> {
    const lab = this.#lab;
    const space = lab.ns(`director${n}`);
    // The dead one's kernel has kept its addresses.
    space.ip(
      'addr flush dev f0',
      'addr flush dev b0',
      `addr add ${directorFront(n)}/${FRONT_PREFIX} dev f0`,
      `addr add ${directorBack(n)}/${BACK_PREFIX} dev b0`,
      `route replace default via ${ROUTER.front}`,
    );
    const file = lab.write(`director${n}/keepalived.conf`, conf(n, this.#advertMs));
    const pids = ['p', 'r', 'c'].flatMap((kind) => [`-${kind}`, this.#pidFile(n, kind)]);
    const argv = ['keepalived', '--vrrp', '-n', '-l', '-D', '-f', file, ...pids];
    this.#processes.set(n, space.spawn(argv));
  }

  #pidFile(n: Which, kind: string): string {
    return this.#lab.path(`director${n}`, `${kind}.pid`);
  }

  /** The child first: it says farewell to the others when its parent dies. */
  pids(n: Which): number[] {
    return ['r', 'p'].map((kind) => Number(readFileSync(this.#pidFile(n, kind), 'utf8')));
  }

  async bury(n: Which): Promise<void> {
    await this.#processes.get(n)?.wait();
    this.#processes.delete(n);
    // Whoever adopts a killed child may never reap it: keepalived takes it to be running still.
    for (const kind of ['p', 'r']) rmSync(this.#pidFile(n, kind), { force: true });
  }

  async isMaster(n: Which): Promise<boolean> {
    const space = this.#lab.ns(`director${n}`);
    return space.try(['ip', '-o', 'addr', 'show', 'to', SHARED.front]).stdout !== '';
  }

  async masterships(n: Which): Promise<number> {
    const said = this.#processes.get(n)?.output ?? '';
    return said.split('Entering MASTER STATE').length - 1;
  }

  async knows(n: Which): Promise<boolean> {
    return (this.#processes.get(n)?.output ?? '').includes('Entering BACKUP STATE');
  }
}
