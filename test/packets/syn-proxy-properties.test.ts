/** The SYN proxy with random numbers, options and windows, and with garbage, of both families. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FAMILIES } from '../support/families.js';
import * as p from '../support/packet.js';
import { type Offer, Proxied, type ProxiedMode, type Told } from '../support/proxied.js';
import { fromBack, fromFront } from '../support/table.js';

const MODES: ProxiedMode[] = ['nat', 'fullnat'];
const WAYS = FAMILIES.flatMap((family) => MODES.map((mode) => [family, mode] as const));

const u32 = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1),
);
const u16 = fc.oneof(fc.integer({ min: 0, max: 65535 }), fc.constantFrom(0, 1, 65535));
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

const offer: fc.Arbitrary<Offer> = fc
  .record({ mss: maybe(u16), wscale: maybe(fc.nat(255)), sack: maybe(fc.constant(true)) })
  .map(({ mss, wscale, sack }) => ({
    ...(mss === undefined ? {} : { mss: Math.max(1, mss) }),
    ...(wscale === undefined ? {} : { wscale }),
    ...(sack ? { sack } : {}),
  }));

/** A server scales only if it was asked to, and by no more than RFC 7323 has. */
const told: fc.Arbitrary<Told> = fc
  .record({
    client: offer,
    scale: maybe(fc.nat(14)),
    clientIsn: u32,
    serverIsn: u32,
    clientWindow: u16,
    serverWindow: u16,
  })
  .map(({ scale, ...rest }) => ({
    ...rest,
    server: rest.client.wscale === undefined || scale === undefined ? {} : { wscale: scale },
  }));

const segment = fc
  .record({
    reply: fc.boolean(),
    seq: u32,
    ack: u32,
    window: u16,
    flags: fc.constantFrom('A', 'PA', 'PA', 'FA', 'RA', 'R'),
    length: fc.nat(200),
    sack: fc.array(u32, { maxLength: 6 }),
    padding: fc.nat(2),
  })
  // A reset of a server's has to acknowledge something, or the model would be told of none.
  .map((one) => (one.reply && one.flags === 'R' ? { ...one, flags: 'RA' } : one));

for (const [family, mode] of WAYS) {
  test(`${family.name}${mode}: whatever is said, both ends understand it`, () => {
    fc.assert(
      fc.property(told, fc.array(segment, { minLength: 1, maxLength: 12 }), (what, segments) => {
        const one = new Proxied(mode, what, {}, {}, undefined, family);
        try {
          one.open();
          for (const { reply, sack, padding, length, ...fields } of segments) {
            const options = Array.from({ length: padding }, () => p.nop);
            const said = { ...fields, options, payload: p.pattern(length) };
            const edges = sack.slice(0, sack.length & ~1);
            if (reply) one.fromServer(said);
            else one.fromClient({ ...said, ...(edges.length > 0 ? { sack: edges } : {}) });
          }
          assert.equal(one.bench.invariants(), []);
        } finally {
          one.close();
        }
      }),
      { numRuns: 40 },
    );
  });

  test(`${family.name}${mode}: garbage around a handshake and a connection`, () => {
    const bytes = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 });
    const which = fc.record({ kind: fc.nat(5), cut: maybe(fc.nat(90)), bytes });
    fc.assert(
      fc.property(fc.array(which, { maxLength: 40 }), fc.nat(2), (all, opened) => {
        const one = new Proxied(mode, {}, {}, {}, undefined, family);
        try {
          one.sendSyn();
          if (opened > 0) one.sendAck();
          if (opened > 1) one.sendSynAck();
          const { C, V, R } = family;
          const ends = { from: one.local, to: R, seq: one.clientNext };
          const stock = [
            one.syn(),
            one.ack(),
            one.synAck(),
            family.tcp({ from: C, to: V, flags: 'PA', seq: one.clientNext, payload: 'abc' }),
            family.tcp({ from: R, to: one.local, flags: 'PA', ack: one.clientNext, payload: 'x' }),
            family.tooBig(family.serverSideRouter, one.localAddress, family.tcp(ends)),
          ];
          for (const { kind, cut, bytes } of all) {
            const frame = stock[kind]!.slice(0, cut === undefined ? undefined : 14 + cut);
            // Behind the addresses of Ethernet: whom a frame is for is not what this is about.
            for (const [at, value] of bytes) frame[12 + (at % (frame.length - 12))] = value;
            const server = kind === 2 || kind >= 4;
            one.bench.run([server ? fromBack(frame) : fromFront(frame)], one.now++);
          }
          // Whatever has become of it, and fragments wait a while, nothing is left in the end.
          for (let at = 0; at < 20; at++) one.bench.advance(one.now + at * 60_000);
          assert.is(one.bench.counters().extra.connections, 0);
          assert.equal(one.bench.invariants(), []);
        } finally {
          one.close();
        }
      }),
      { numRuns: 40 },
    );
  });
}

test.run();
