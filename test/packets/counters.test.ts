/**
 * Counters of packets that are forwarded together: a burst of settled packets is counted for its
 * service at once where there is but one, and packet by packet where there are several.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { Duo } from '../support/duo.js';
import { LIP, RIP, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import { fromFront } from '../support/table.js';
import { world } from '../support/world.js';

const PORTS = [80, 81, 82];
const FLOWS = 24;
const BURST = 32;

const MODES: Mode[] = ['nat', 'dr', 'tun', 'fullnat'];

/** A packet of each flow, the lengths all different; `portOf` says which service it asks. */
const round = (portOf: (flow: number) => number, bytes: number) =>
  Array.from({ length: FLOWS }, (_, flow) =>
    fromFront(
      p.udp({
        from: `198.18.0.${flow + 1}:40000`,
        to: `${VIP}:${portOf(flow)}`,
        payload: p.pattern(bytes + flow),
      }),
    ),
  );

const ORDERS: Record<string, (flow: number) => number> = {
  'one service': () => 80,
  'services in turn': (flow) => PORTS[flow % PORTS.length]!,
  'the last packet is another service’s': (flow) => (flow === FLOWS - 1 ? 81 : 80),
};

for (const mode of MODES) {
  for (const [name, portOf] of Object.entries(ORDERS)) {
    test(`${mode}, ${name}: every packet and byte is its service’s and its server’s`, () => {
      const services = PORTS.map((port) => ({
        listen: `${VIP}:${port}`,
        protocol: 'udp' as const,
        mode,
        servers: [`${RIP}:${port}`],
        locals: mode === 'fullnat' ? [LIP] : [],
      }));
      const duo = new Duo(world({ services, owned: [VIP, LIP] }), { burst: BURST, seed: 1 });
      try {
        // The first rounds make the connections and tell the client's address; the rest settled.
        for (let turn = 0; turn < 6; ++turn) {
          assert.equal(duo.run(round(portOf, 10 + 40 * turn), 10 * turn).complaints, []);
        }
        const counted = duo.bench.counters().services.map(({ inPkts }) => inPkts);
        assert.is(
          counted.reduce((a, b) => a! + b!, 0),
          6 * FLOWS,
        );
        assert.equal(duo.compareTables(), []);
      } finally {
        duo.close();
      }
    });
  }
}

test.run();
