/** SCTP over IPv6, from the configuration to the wire. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { differ } from '../support/duo.js';
import type { Output } from '../support/model/verdicts.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { type Arriving, Bench } from '../support/replay.js';
import { type Chunk, type Sctp6Fields, sctp6 } from '../support/sctp.js';
import { CREWS, fromBack, fromFront, nameOf, toBack, toFront } from '../support/table.js';
import { BACK6, CIP6, RIP6, VIPS, type Way, type World6, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const C = `[${CIP6}]:40000`;
const at = (address: string, port = 80) => `[${address}]:${port}`;
const R = at(RIP6, 8080);

const request = (way: Way, chunks: Chunk[], more: Partial<Sctp6Fields> = {}): Sctp6Fields => ({
  from: C,
  to: at(VIPS[way]),
  chunks,
  hops: 61,
  flow: 0xabcde,
  ...more,
});
const reply = (chunks: Chunk[], more: Partial<Sctp6Fields> = {}): Sctp6Fields => ({
  from: R,
  to: C,
  chunks,
  ...more,
});

type Maybe<T> = T | ((local: string) => T);
interface Row {
  it: string;
  given?: Maybe<Arriving>[];
  in: Maybe<Arriving>;
  out: Maybe<Output[]>;
  end: string;
  world?: World6;
  state?: string;
}

const outer = (inner: Uint8Array) =>
  q.ip6Frame({ from: BACK6, to: RIP6, hops: 60 }, 41, inner.subarray(14));
const up = (way: Way): Maybe<Arriving>[] => [
  fromFront(sctp6(request(way, ['INIT']))),
  (local) => fromBack(sctp6(reply(['INIT-ACK'], { to: local || C }))),
];
const quoted = { from: at(VIPS.nat), to: C, chunks: ['INIT-ACK'] as Chunk[] };

const rows: Row[] = [
  {
    it: 'NAT: an INIT goes to the real server, its CRC right for the other port',
    in: fromFront(sctp6(request('nat', ['INIT']))),
    out: [toBack(sctp6(request('nat', ['INIT'], { to: R, hops: 60 })))],
    end: 'forwarded_nat',
    state: 'INIT1',
  },
  {
    it: 'NAT: the INIT-ACK comes back from the VIP',
    given: up('nat').slice(0, 1),
    in: fromBack(sctp6(reply(['INIT-ACK']))),
    out: [toFront(sctp6(reply(['INIT-ACK'], { from: at(VIPS.nat), hops: 63 })))],
    end: 'forwarded_nat_reply',
    state: 'C-SENT',
  },
  {
    it: 'NAT: a COOKIE ECHO behind extension headers',
    given: up('nat'),
    in: fromFront(sctp6(request('nat', ['COOKIE-ECHO', 'DATA'], { extensions: options() }))),
    out: [
      toBack(
        sctp6(request('nat', ['COOKIE-ECHO', 'DATA'], { to: R, hops: 60, extensions: options() })),
      ),
    ],
    end: 'forwarded_nat',
    state: 'C-REPLIED',
  },
  {
    it: 'NAT: a checksum that a local kernel has left to its card is completed',
    world: { partial: true },
    in: fromFront(sctp6(request('nat', ['INIT'], { checksum: 'none' }))),
    out: [toBack(sctp6(request('nat', ['INIT'], { to: R, hops: 60 })))],
    end: 'forwarded_nat',
  },
  {
    it: 'DR: as it came, whatever its checksum',
    in: fromFront(sctp6(request('dr', ['INIT'], { checksum: 'bad' }))),
    out: [toBack(sctp6(request('dr', ['INIT'], { checksum: 'bad', hops: 60 })))],
    end: 'forwarded_dr',
    state: 'INIT1',
  },
  {
    it: 'DR: a COOKIE ECHO has to do for the handshake',
    given: [fromFront(sctp6(request('dr', ['INIT'])))],
    in: fromFront(sctp6(request('dr', ['COOKIE-ECHO']))),
    out: [toBack(sctp6(request('dr', ['COOKIE-ECHO'], { hops: 60 })))],
    end: 'forwarded_dr',
    state: 'ESTABLISHED',
  },
  {
    it: 'TUN: inside IPv6, as it came',
    in: fromFront(sctp6(request('tun', ['INIT']))),
    out: [toBack(outer(sctp6(request('tun', ['INIT'], { hops: 60 }))))],
    end: 'forwarded_tun',
    state: 'INIT1',
  },
  {
    it: 'FullNAT: from a local address and port',
    in: fromFront(sctp6(request('fullnat', ['INIT']))),
    out: (local) => [toBack(sctp6(request('fullnat', ['INIT'], { from: local, to: R, hops: 60 })))],
    end: 'forwarded_fullnat',
    state: 'INIT1',
  },
  {
    it: 'FullNAT: the reply finds its way back',
    given: up('fullnat').slice(0, 1),
    in: (local) => fromBack(sctp6(reply(['INIT-ACK'], { to: local }))),
    out: [toFront(sctp6(reply(['INIT-ACK'], { from: at(VIPS.fullnat), hops: 63 })))],
    end: 'forwarded_fullnat_reply',
    state: 'C-SENT',
  },
  {
    it: 'a chunk of no association: parameter problem, as for any unknown next header',
    in: fromFront(sctp6(request('nat', ['COOKIE-ECHO']))),
    out: [
      toFront(
        q.icmp6Error({
          ...{ from: VIPS.nat, to: CIP6, type: 4, code: 1, rest: Uint8Array.of(0, 0, 0, 6) },
          quote: sctp6(request('nat', ['COOKIE-ECHO'])),
        }),
      ),
    ],
    end: 'answered_protocol_unreachable',
  },
  {
    it: 'a header that is cut off',
    in: fromFront(q.ip6Frame({ from: CIP6, to: VIPS.nat }, 132, p.pattern(11))),
    out: [],
    end: 'bad_l4_header',
  },
  ...[56, 60, undefined].map(
    (quoteBytes): Row => ({
      it: `ICMPv6: an error quoting ${quoteBytes ?? 'all'} bytes is told the server of its own packet`,
      given: up('nat'),
      in: fromFront(error(sctp6(quoted), quoteBytes, 64)),
      out: [toBack(error(sctp6({ ...quoted, from: R }), quoteBytes, 63, RIP6))],
      end: 'forwarded_icmp_error',
    }),
  ),
];

function options() {
  return [{ kind: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 0) }];
}

function error(quote: Uint8Array, quoteBytes: number | undefined, hops: number, to?: string) {
  const fields = { from: '2001:db8:1::77', to: to ?? VIPS.nat, type: 1, code: 0, hops };
  return q.icmp6Error({ ...fields, quote, quoteBytes });
}

for (const row of rows) {
  test(row.it, () => {
    for (const crew of CREWS) {
      const bench = new Bench(yamlWorld(yaml6({ ...row.world, protocols: ['sctp'] })), crew);
      let local = '';
      const resolve = <T>(value: Maybe<T>): T =>
        typeof value === 'function' ? (value as (local: string) => T)(local) : value;
      const learn = () => {
        const found = bench.connections().find((one) => one.local !== '');
        if (found) local = at(found.local, found.localPort);
      };
      let time = 0;
      for (const before of row.given ?? []) {
        const [step] = bench.run([resolve(before)], time++);
        assert.match(step!.end, /^forwarded_/, `${nameOf(crew)}: before the row itself`);
        learn();
      }
      const [step] = bench.run([resolve(row.in)], time);
      learn();
      assert.is(step!.end, row.end, nameOf(crew));
      const wanted = resolve(row.out);
      assert.is(step!.outputs.length, wanted.length, nameOf(crew));
      const lines = wanted.flatMap((output, index) => {
        const got = step!.outputs[index]!;
        const place = got.port === output.port ? [] : ['by another port'];
        return [...place, ...differ(got.bytes, output.bytes)];
      });
      assert.equal(lines, [], nameOf(crew));
      if (row.state) {
        const [connection] = bench.connections();
        assert.equal([connection?.protocol, connection?.state], ['sctp', row.state]);
      }
      assert.equal(bench.invariants(), [], nameOf(crew));
      bench.close();
    }
  });
}

test.run();
