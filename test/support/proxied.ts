/**
 * A client, the director's SYN proxy and a real server, told as sentences: each segment goes in, and
 * what leaves has to be, byte for byte, what this dumb model of the proxy makes of the same fields.
 */
import * as assert from 'uvu/assert';

import { differ } from './duo.js';
import { addressOf, type FamilyWords, FOUR } from './families.js';
import type { TcpFields } from './packet.js';
import * as p from './packet.js';
import { Bench, type BenchOptions, type Step } from './replay.js';
import { fromBack, fromFront, toBack, toFront } from './table.js';
import type { ServiceWords, World, WorldWords } from './world.js';

export type ProxiedMode = 'nat' | 'fullnat';

/** What a SYN or SYN-ACK offers. */
export interface Offer {
  mss?: number;
  wscale?: number;
  sack?: boolean;
  /** Offered, but nobody takes it up. */
  timestamps?: boolean;
}

const PROMISED = 7;

export const serviceOf = (
  mode: ProxiedMode,
  more: Partial<ServiceWords> = {},
  family: FamilyWords = FOUR,
): ServiceWords => ({
  listen: family.V,
  protocol: 'tcp',
  mode,
  servers: [family.R],
  locals: mode === 'fullnat' ? [family.LIP] : [],
  synProxy: true,
  ...more,
});

export function offered({ mss, sack, timestamps, wscale }: Offer): Uint8Array[] {
  return [
    ...(mss === undefined ? [] : [p.mss(mss)]),
    ...(sack ? [p.nop, p.nop, p.sackOk] : []),
    ...(timestamps ? [p.nop, p.nop, p.timestamps(5, 0)] : []),
    ...(wscale === undefined ? [] : [p.nop, p.wscale(wscale)]),
  ];
}

/** The MSS that is told on: that of a class, rounded down. */
export function classOf({ classes, usualMss }: FamilyWords, mss = usualMss): number {
  return classes.filter((one) => one <= mss).at(-1) ?? (classes[0] as number);
}

/** An MSS is never made less than Linux takes for the least. */
const lowered = (mss: number, by: number) => (mss < 88 + by ? mss : mss - by);
const plus = (a: number, b: number) => (a + b) >>> 0;

export interface Told {
  client?: Offer;
  server?: Offer;
  clientIsn?: number;
  serverIsn?: number;
  clientWindow?: number;
  serverWindow?: number;
}

export class Proxied {
  bench: Bench;
  readonly #told: Required<Told>;
  cookie = 0;
  /** LIP:lport, or the client itself. */
  local: string;
  now = 0;
  #server: Offer | undefined;

  constructor(
    readonly mode: ProxiedMode,
    told: Told = {},
    options: BenchOptions = {},
    words: Partial<WorldWords> = {},
    bench?: Bench,
    readonly family: FamilyWords = FOUR,
  ) {
    this.local = family.C;
    this.bench = bench ?? new Bench(this.place(words), options);
    this.#told = {
      client: { mss: 1460, wscale: 9, sack: true, timestamps: true },
      server: { mss: 1460, wscale: 7, sack: true },
      clientIsn: 0x11223344,
      serverIsn: 0x55667788,
      clientWindow: 502,
      serverWindow: 65160,
      ...told,
    };
  }

  place(words: Partial<WorldWords> = {}): World {
    return this.family.world({ services: [this.service()], ...words });
  }

  service(more: Partial<ServiceWords> = {}): ServiceWords {
    return serviceOf(this.mode, more, this.family);
  }

  get toaBytes(): number {
    return this.mode === 'fullnat' ? this.family.toaBytes : 0;
  }
  /** By how much the server's numbers are ahead of what the client takes them for. */
  get lead(): number {
    return plus(this.#told.serverIsn, -this.cookie);
  }
  get localAddress(): string {
    return addressOf(this.local);
  }
  get clientNext(): number {
    return plus(this.#told.clientIsn, 1);
  }

  /** A frame in, at `now`. */
  give(frame: Uint8Array, from: 'client' | 'server'): Step {
    const [step] = this.bench.run(
      [from === 'client' ? fromFront(frame) : fromBack(frame)],
      this.now,
    );
    return step as Step;
  }

  syn(fields: Partial<TcpFields> = {}): Uint8Array {
    const { client, clientIsn } = this.#told;
    return this.family.tcp({
      ...{
        from: this.family.C,
        to: this.family.V,
        flags: 'S',
        seq: clientIsn,
        ttl: 61,
        id: 0xbeef,
        df: true,
        tos: 0x2b,
      },
      ...{ window: 29200, options: offered(client) },
      ...fields,
    });
  }

  /** SYN → SYN-ACK with a cookie, which it remembers. */
  sendSyn(fields: Partial<TcpFields> = {}): void {
    const { client, clientIsn } = this.#told;
    const step = this.give(this.syn(fields), 'client');
    assert.is(step.end, 'answered_by_cookie');
    const [out] = step.outputs;
    assert.ok(out && step.outputs.length === 1);
    this.cookie = this.family.tcpOf(out.bytes).seq;
    const { wscale } = client;
    const options = offered({
      mss: 1500 - this.family.headBytes - 20 - this.toaBytes,
      ...(client.sack ? { sack: true } : {}),
      ...(wscale === undefined ? {} : { wscale: PROMISED }),
    });
    const answer = this.family.tcp({
      ...{
        from: this.family.V,
        to: this.family.C,
        flags: 'SA',
        seq: this.cookie,
        ack: plus(clientIsn, 1),
        window: 0,
      },
      ...{ options, ttl: 64, id: 0, df: true, tos: 0x28 },
    });
    same(out.bytes, toFront(answer).bytes, 'SYN-ACK');
  }

  /** The client's ACK as it answers the cookie. */
  ack(fields: Partial<TcpFields> = {}): Uint8Array {
    const { clientWindow } = this.#told;
    return this.family.tcp({
      ...{
        from: this.family.C,
        to: this.family.V,
        flags: 'A',
        seq: this.clientNext,
        ack: plus(this.cookie, 1),
      },
      ...{ window: clientWindow, ttl: 61, id: 0x77, df: true },
      ...fields,
    });
  }

  /** ACK → SYN to the server. */
  sendAck(fields: Partial<TcpFields> = {}): void {
    const step = this.give(this.ack(fields), 'client');
    assert.is(step.end, `forwarded_${this.mode}`);
    const [connection] = this.bench.connections();
    assert.is(connection?.state, 'SYN_RECV');
    if (this.mode === 'fullnat') {
      const { local = '', localPort } = connection ?? {};
      this.local = local.includes(':') ? `[${local}]:${localPort}` : `${local}:${localPort}`;
    }
    assert.is(step.outputs.length, 1);
    same(step.outputs[0]?.bytes, this.synToServer({ ttl: 60, id: 0x77 }), 'SYN');
  }

  synToServer(fields: Partial<TcpFields>): Uint8Array {
    const { client, clientIsn, clientWindow } = this.#told;
    const { wscale, sack } = client;
    const real = Math.min(65535, clientWindow * 2 ** Math.min(wscale ?? 0, 14));
    const frame = this.family.tcp({
      ...{
        from: this.local,
        to: this.family.R,
        flags: 'S',
        seq: clientIsn,
        ack: 0,
        window: real,
        df: true,
      },
      ...fields,
      options: [
        ...this.toa(),
        ...offered({
          mss: lowered(classOf(this.family, client.mss), this.toaBytes),
          ...(sack ? { sack } : {}),
          ...(wscale === undefined ? {} : { wscale: Math.min(wscale, 14) }),
        }),
      ],
    });
    return toBack(frame).bytes;
  }

  toa(): Uint8Array[] {
    return this.mode === 'fullnat' ? [this.family.toa(this.family.C)] : [];
  }

  synAck(fields: Partial<TcpFields> = {}): Uint8Array {
    const { server, serverIsn, serverWindow } = this.#told;
    return this.family.tcp({
      ...{
        from: this.family.R,
        to: this.local,
        flags: 'SA',
        seq: serverIsn,
        ack: this.clientNext,
        df: true,
      },
      ...{ window: serverWindow, id: 0, ttl: 64, options: offered(server) },
      ...fields,
    });
  }

  /** SYN-ACK → ACK to the server, and a window for the client. */
  sendSynAck(): void {
    const { server, serverIsn, serverWindow, clientWindow } = this.#told;
    this.#server = server;
    const step = this.give(this.synAck(), 'server');
    assert.is(step.end, `forwarded_${this.mode}_reply`);
    assert.is(step.outputs.length, 2);
    const [window, ack] = step.outputs;
    const field = Math.max(1, serverWindow >> (server.wscale ?? 0));
    same(
      window?.bytes,
      toFront(
        this.family.tcp({
          ...{
            from: this.family.V,
            to: this.family.C,
            flags: 'A',
            seq: plus(this.cookie, 1),
            ack: this.clientNext,
          },
          ...{ window: this.windowForClient(serverWindow === 0 ? 0 : field) },
          ...{ ttl: 63, id: 0, df: true },
        }),
      ).bytes,
      'window update',
    );
    same(
      ack?.bytes,
      toBack(
        this.family.tcp({
          ...{ from: this.local, to: this.family.R, flags: 'A', seq: this.clientNext },
          ...{ ack: plus(serverIsn, 1), window: this.windowForServer(clientWindow) },
          ...{ ttl: 63, id: this.family.idOf(ack?.bytes), df: true, options: this.toa() },
        }),
      ).bytes,
      'ACK',
    );
    assert.is(this.bench.connections()[0]?.state, 'ESTABLISHED');
  }

  open(): this {
    this.sendSyn();
    this.sendAck();
    this.sendSynAck();
    return this;
  }

  /** Whatever the SYN-ACK says. */
  openPlainly(): this {
    this.cookie = this.family.tcpOf(this.give(this.syn(), 'client').outputs[0]?.bytes).seq;
    this.sendAck();
    this.sendSynAck();
    return this;
  }

  /** As a client that has been refused tries again: with another number. */
  sendAgain(): void {
    const isn = plus(this.#told.clientIsn, 0x1234_5678);
    const { outputs } = this.give(this.syn({ seq: isn }), 'client');
    const cookie = this.family.tcpOf(outputs[0]?.bytes).seq;
    const step = this.give(this.ack({ seq: plus(isn, 1), ack: plus(cookie, 1) }), 'client');
    assert.is(step.end, `forwarded_${this.mode}`);
    assert.equal(
      this.bench.connections().map(({ state }) => state),
      ['SYN_RECV'],
    );
  }

  /** The clock goes on to `now`: a packet that nothing comes of. */
  stir(): void {
    const frame = this.family.tcp({ from: this.family.at(99, 9), to: this.family.V, flags: 'R' });
    const [step] = this.bench.run([fromFront(frame)], this.now);
    assert.is(step?.end, 'reset_without_connection');
  }

  windowForClient(field: number): number {
    if (this.#told.client.wscale === undefined) return field;
    const real = field * 2 ** (this.#server?.wscale ?? 0);
    return Math.min(65535, Math.floor(real / 2 ** PROMISED) || (real > 0 ? 1 : 0));
  }

  windowForServer(field: number): number {
    const { wscale } = this.#told.client;
    if (wscale === undefined || this.#server?.wscale !== undefined) return field;
    return Math.min(65535, field * 2 ** Math.min(wscale, 14));
  }

  /** `ack`, and edges of SACK blocks, count from the first byte that the server sends. */
  fromClient(fields: Partial<TcpFields> & { seq: number; ack: number; sack?: number[] }): Step {
    const { seq, ack, sack, ...rest } = fields;
    const common = { flags: 'PA', window: 501, id: 9, df: true, ...rest };
    const first = plus(this.cookie, 1);
    const blocks = (base: number) =>
      sack ? [p.nop, p.nop, p.sack(...sack.map((edge) => plus(base, edge)))] : [];
    const step = this.give(
      this.family.tcp({
        ...{
          from: this.family.C,
          to: this.family.V,
          seq: plus(this.clientNext, seq),
          ack: plus(first, ack),
          ttl: 61,
        },
        ...common,
        options: [...(rest.options ?? []), ...blocks(first)],
      }),
      'client',
    );
    const own = [...(rest.options ?? []), ...blocks(0)].reduce(
      (sum, { length }) => sum + length,
      0,
    );
    // A header has 60 bytes at the most (RFC 9293 section 3.1).
    const fits = 20 + this.toaBytes + Math.ceil(own / 4) * 4 <= 60;
    const told = ack === 0 && fits && !common.flags.includes('R') ? this.toa() : [];
    const isReset = !common.flags.includes('A');
    const shifted = plus(this.#told.serverIsn, 1);
    same(
      step.outputs[0]?.bytes,
      toBack(
        this.family.tcp({
          ...{ from: this.local, to: this.family.R, seq: plus(this.clientNext, seq), ttl: 60 },
          ack: isReset ? plus(first, ack) : plus(shifted, ack),
          ...common,
          window: this.windowForServer(common.window),
          options: [...told, ...(rest.options ?? []), ...blocks(isReset ? first : shifted)],
        }),
      ).bytes,
      'client’s segment',
    );
    assert.is(step.end, `forwarded_${this.mode}`);
    return step;
  }

  /** `seq` counts from the server's first byte, `ack` from the client's. */
  fromServer(fields: Partial<TcpFields> & { seq: number; ack: number }): Step {
    const { seq, ack, ...rest } = fields;
    const common = { flags: 'PA', window: 505, id: 8, df: true, ...rest };
    const acknowledged = plus(this.clientNext, ack);
    const step = this.give(
      this.family.tcp({
        ...{
          from: this.family.R,
          to: this.local,
          seq: plus(this.#told.serverIsn, 1 + seq),
          ttl: 64,
        },
        ...common,
        ack: acknowledged,
      }),
      'server',
    );
    same(
      step.outputs[0]?.bytes,
      toFront(
        this.family.tcp({
          ...{ from: this.family.V, to: this.family.C, seq: plus(this.cookie, 1 + seq), ttl: 63 },
          ...common,
          ack: acknowledged,
          window: this.windowForClient(common.window),
        }),
      ).bytes,
      'server’s segment',
    );
    assert.is(step.end, `forwarded_${this.mode}_reply`);
    return step;
  }

  close(): void {
    this.bench.close();
  }
}

export function same(got: Uint8Array | undefined, wanted: Uint8Array, what: string): void {
  assert.ok(got, `${what}: nothing left`);
  assert.equal(differ(got, wanted), [], what);
}
