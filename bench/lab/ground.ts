/** Where it all happens: one cable to the director, one server, everything in its place. */
import { Lab } from '../../src/lab/lab.js';
import {
  CLIENT,
  directorBack,
  directorFront,
  directorMac,
  natServer,
  realServer,
} from '../../src/lab/topology.js';
import { pin } from './place.js';
import { startServer } from './server.js';

/**
 * The server is reached through the director by its own addresses as well, for contestants that
 * translate nothing; and since testpmd answers no ARP, the director's MAC addresses are given.
 */
function addressServerDirectly(lab: Lab): void {
  lab
    .ns('client')
    .ip(
      `neigh replace ${directorFront(1)} lladdr ${directorMac(1, 'front')} nud permanent dev c0`,
      ...[realServer(1), natServer(1)].map(
        (address) => `route add ${address}/32 via ${directorFront(1)} dev c0 src ${CLIENT}`,
      ),
    );
  lab
    .ns('rs1')
    .ip(`neigh replace ${directorBack(1)} lladdr ${directorMac(1, 'back')} nud permanent dev b0`);
}

export function onGround<T>(body: (lab: Lab) => Promise<T>): Promise<T> {
  return Lab.use({ shape: 'direct', realServers: 1 }, async (lab) => {
    pin(lab);
    addressServerDirectly(lab);
    await startServer(lab);
    return body(lab);
  });
}
