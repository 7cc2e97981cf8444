/**
 * Where things run, the same for every contestant: the director has the last CPU for itself, the
 * client, the server and the switch share the first. Receive packet steering makes the kernel keep
 * to that: without it a frame's receiver would be served by the CPU of its sender, and a
 * director's transmit call would run the client's TCP.
 */
import { cpus } from 'node:os';
import type { Lab } from '../../src/lab/lab.js';
import type { Namespace } from '../../src/lab/namespace.js';

export interface Place {
  director: number;
  others: number;
}

export function places(): Place {
  return { director: cpus().length - 1, others: 0 };
}

/** Frames that arrive on any interface of the namespace are handled by this CPU. */
function steer(namespace: Namespace, cpu: number): void {
  const mask = (1n << BigInt(cpu)).toString(16);
  const each = `for file in /sys/class/net/*/queues/rx-*/rps_cpus; do echo ${mask} > $file; done`;
  namespace.exec(['sh', '-c', each]);
}

export function pin(lab: Lab): void {
  const { director, others } = places();
  const [balancer] = lab.spaces.directors;
  for (const namespace of lab.namespaces) {
    if (namespace === balancer) steer(namespace, director);
    else {
      namespace.cpus = String(others);
      steer(namespace, others);
    }
  }
}
