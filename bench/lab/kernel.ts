/** The kernel as the director: plain forwarding, and nftables' two ways of being one. */
import type { Lab } from '../../src/lab/lab.js';
import type { Namespace } from '../../src/lab/namespace.js';
import {
  BACK_PREFIX,
  directorBack,
  directorFront,
  FRONT_PREFIX,
  natServer,
  ROUTER,
  realServer,
} from '../../src/lab/topology.js';
import type { Contestant, Lane } from './contestant.js';

/** The address that the peers which need one serve. */
export const PEER_VIP = '203.0.113.60';

/** The director's own kernel takes part: addresses, a route to the client, forwarding. */
export function takeInterfaces(director: Namespace): void {
  director.ip(
    `addr add ${directorFront(1)}/${FRONT_PREFIX} dev f0`,
    `addr add ${directorBack(1)}/${BACK_PREFIX} dev b0`,
    `route add default via ${ROUTER.front}`,
  );
  director.sysctl({ 'net.ipv4.ip_forward': 1 });
}

export function leaveInterfaces(director: Namespace): void {
  director.sysctl({ 'net.ipv4.ip_forward': 0 });
  director.ip('addr flush dev f0', 'addr flush dev b0');
}

export class Forwarding implements Contestant {
  readonly name = 'ip-forward';
  readonly port = 'kernel';
  readonly lanes: readonly Lane[] = [
    { mode: 'forward', path: 'both', address: natServer(1) },
    { mode: 'forward', path: 'requests', address: realServer(1) },
  ];

  async start(lab: Lab): Promise<void> {
    takeInterfaces(lab.ns('director1'));
  }

  async stop(lab: Lab): Promise<void> {
    leaveInterfaces(lab.ns('director1'));
  }
}

const POSTROUTING = `  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname b0 masquerade
  }
`;

const table = (server: string, masquerade: boolean) => `table ip peer {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr ${PEER_VIP} dnat to ${server}
  }
${masquerade ? POSTROUTING : ''}}
`;

export class Nftables implements Contestant {
  readonly port = 'kernel';
  readonly name: string;
  readonly lanes: readonly Lane[];
  readonly #masquerade: boolean;

  constructor(masquerade: boolean) {
    this.#masquerade = masquerade;
    this.name = masquerade ? 'nftables-masquerade' : 'nftables-dnat';
    this.lanes = [{ mode: masquerade ? 'fullnat' : 'nat', path: 'both', address: PEER_VIP }];
  }

  async start(lab: Lab): Promise<void> {
    const director = lab.ns('director1');
    takeInterfaces(director);
    const server = this.#masquerade ? realServer(1) : natServer(1);
    director.exec(['nft', '-f', '-'], { input: table(server, this.#masquerade) });
  }

  async stop(lab: Lab): Promise<void> {
    const director = lab.ns('director1');
    director.exec(['nft', 'delete', 'table', 'ip', 'peer']);
    leaveInterfaces(director);
  }
}
