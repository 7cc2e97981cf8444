/** Captures: what is written is read again, in every form; what is torn says where. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Frame } from '../../src/replay/frame.js';
import { frames, PcapWriter, readCapture } from '../../src/replay/pcap.js';

const directory = mkdtempSync(join(tmpdir(), 'sluice-pcap-'));
test.after(() => rmSync(directory, { recursive: true }));

interface Packet {
  time: bigint;
  bytes: Uint8Array;
}

const packets = fc.array(
  fc.record({
    time: fc.bigInt({ min: 0n, max: 4_294_967_295n * 1_000_000_000n + 999_999_999n }),
    bytes: fc.uint8Array({ minLength: 0, maxLength: 1600 }),
  }),
  { maxLength: 20 },
);

const read = (bytes: Uint8Array): Frame[] => [...frames(bytes, 'in.pcap')];

/** A number of the file's byte order. */
const order = (little: boolean) => ({
  u16: (value: number) => {
    const bytes = Buffer.alloc(2);
    if (little) bytes.writeUInt16LE(value);
    else bytes.writeUInt16BE(value);
    return bytes;
  },
  u32: (value: number) => {
    const bytes = Buffer.alloc(4);
    if (little) bytes.writeUInt32LE(value >>> 0);
    else bytes.writeUInt32BE(value >>> 0);
    return bytes;
  },
});

function pcap(list: Packet[], little: boolean, nano: boolean, linkType = 1): Buffer {
  const { u16, u32 } = order(little);
  const magic = u32(nano ? 0xa1b23c4d : 0xa1b2c3d4);
  const head = [magic, u16(2), u16(4), u32(0), u32(0), u32(65535), u32(linkType)];
  const records = list.flatMap(({ time, bytes }) => [
    u32(Number(time / 1_000_000_000n)),
    u32(Number(time % 1_000_000_000n) / (nano ? 1 : 1000)),
    u32(bytes.length),
    u32(bytes.length),
    bytes,
  ]);
  return Buffer.concat([...head, ...records]);
}

function same(actual: Frame[], expected: Packet[]): void {
  assert.equal(
    actual.map(({ number, time, bytes, wireLength }) => [
      number,
      time,
      Buffer.from(bytes).toString('hex'),
      wireLength,
    ]),
    expected.map(({ time, bytes }, index) => [
      index + 1,
      time,
      Buffer.from(bytes).toString('hex'),
      bytes.length,
    ]),
  );
}

test('property: what PcapWriter writes is read again', () => {
  fc.assert(
    fc.property(packets, (list) => {
      const file = join(directory, 'round.pcap');
      const writer = new PcapWriter(file);
      for (const { time, bytes } of list) writer.write(time, bytes);
      assert.is(writer.count, list.length);
      writer.close();
      same(readCapture(file), list);
      assert.equal(readFileSync(file), pcapAsWritten(list));
    }),
    { numRuns: 60, seed: 1 },
  );
});

/** Our writer's snaplen is 262144; otherwise the bytes are as above. */
function pcapAsWritten(list: Packet[]): Buffer {
  const bytes = pcap(list, true, true);
  bytes.writeUInt32LE(262_144, 16);
  return bytes;
}

test('frames larger than the writer’s buffer', () => {
  const file = join(directory, 'large.pcap');
  const big = new Uint8Array(262_144).map((_, index) => index * 7);
  const writer = new PcapWriter(file);
  writer.write(1n, big.subarray(0, 200_000));
  writer.write(2n, big);
  writer.close();
  same(readCapture(file), [
    { time: 1n, bytes: big.subarray(0, 200_000) },
    { time: 2n, bytes: big },
  ]);
});

test('property: both byte orders and both resolutions', () => {
  fc.assert(
    fc.property(packets, fc.boolean(), fc.boolean(), (list, little, nano) => {
      const coarse = list.map(({ time, bytes }) => ({
        time: nano ? time : (time / 1000n) * 1000n,
        bytes,
      }));
      same(read(pcap(coarse, little, nano)), coarse);
    }),
    { numRuns: 60, seed: 2 },
  );
});

test('property: any cut file is truncated at the byte it says, or ends between records', () => {
  const list = [
    { time: 5n, bytes: new Uint8Array(60) },
    { time: 6n, bytes: new Uint8Array(61) },
  ];
  const whole = pcap(list, true, true);
  const ends = [24, 24 + 76, 24 + 76 + 77];
  for (let length = 0; length <= whole.length; length++) {
    const cut = whole.subarray(0, length);
    if (ends.includes(length)) {
      assert.is(read(cut).length, ends.indexOf(length));
      continue;
    }
    try {
      read(cut);
      assert.unreachable(`${length} bytes were read`);
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      assert.is(code, length < 4 ? 'ERR_PCAP_FORMAT' : 'ERR_PCAP_TRUNCATED');
      const offset = Number(/byte (\d+)/.exec(message)?.[1]);
      assert.ok(offset <= length && offset >= 0, message);
    }
  }
});

const fails = (bytes: Uint8Array, code: string, message: string) => {
  assert.throws(
    () => read(bytes),
    (error: { code: string; message: string }) => {
      assert.is(error.message, message);
      return error.code === code;
    },
  );
};

test('torn files say what is missing where', () => {
  const whole = pcap([{ time: 0n, bytes: new Uint8Array(60) }], true, false);
  fails(
    whole.subarray(0, 10),
    'ERR_PCAP_TRUNCATED',
    'in.pcap: byte 0: the file header needs 24 bytes, the file has 10',
  );
  fails(
    whole.subarray(0, 30),
    'ERR_PCAP_TRUNCATED',
    'in.pcap: byte 24: the header of record 1 needs 16 bytes, 6 are left',
  );
  fails(
    whole.subarray(0, 99),
    'ERR_PCAP_TRUNCATED',
    'in.pcap: byte 40: record 1 needs 60 bytes, 59 are left',
  );
});

test('what is no capture, or none of Ethernet, or of another version', () => {
  fails(
    Buffer.from('hello world'),
    'ERR_PCAP_FORMAT',
    'in.pcap: byte 0: 0x68656c6c begins no pcap or pcapng file',
  );
  fails(
    pcap([], true, true, 101),
    'ERR_PCAP_FORMAT',
    'in.pcap: byte 20: link type 101, expected 1 (Ethernet)',
  );
  const old = pcap([], true, true);
  old.writeUInt16LE(1, 4);
  fails(old, 'ERR_PCAP_FORMAT', 'in.pcap: byte 4: version 1, expected 2');
});

test('a length no frame has is corruption, not a reason to allocate', () => {
  const bad = pcap([{ time: 0n, bytes: new Uint8Array(60) }], true, true);
  bad.writeUInt32LE(0x7fffffff, 32);
  fails(
    bad,
    'ERR_PCAP_CORRUPT',
    'in.pcap: byte 32: record 1 claims 2147483647 bytes, expected at most 262144',
  );
});

test('a frame cut by the snaplen keeps its length on the wire', () => {
  const cut = pcap([{ time: 0n, bytes: new Uint8Array(60) }], true, true);
  cut.writeUInt32LE(1500, 36);
  const [frame] = read(cut);
  assert.is(frame?.bytes.length, 60);
  assert.is(frame?.wireLength, 1500);
});

test('a frame check sequence announced in the link type is taken off', () => {
  const withFcs = pcap([{ time: 0n, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }], true, true);
  // F bit and 2 words of 16 bits (draft-ietf-opsawg-pcap section 4).
  withFcs.writeUInt32LE(((2 << 28) | 0x0400_0000 | 1) >>> 0, 20);
  assert.equal([...(read(withFcs)[0]?.bytes ?? [])], [1, 2, 3, 4]);
});

// pcapng

type Words = ReturnType<typeof order>;

function block({ u32 }: Words, type: number, body: Uint8Array): Buffer {
  const padding = Buffer.alloc((4 - (body.length % 4)) % 4);
  const length = 12 + body.length + padding.length;
  return Buffer.concat([u32(type), u32(length), body, padding, u32(length)]);
}

const section = (words: Words) =>
  block(
    words,
    0x0a0d0d0a,
    Buffer.concat([words.u32(0x1a2b3c4d), words.u16(1), words.u16(0), Buffer.alloc(8, 0xff)]),
  );

function description(words: Words, tsresol?: number, linkType = 1, snapLength = 0): Buffer {
  const { u16, u32 } = words;
  const options =
    tsresol === undefined ? [] : [u16(9), u16(1), Buffer.from([tsresol, 0, 0, 0]), u16(0), u16(0)];
  return block(words, 1, Buffer.concat([u16(linkType), u16(0), u32(snapLength), ...options]));
}

function enhanced(words: Words, index: number, units: bigint, bytes: Uint8Array): Buffer {
  const { u32 } = words;
  const high = Number(units >> 32n);
  const low = Number(units & 0xffff_ffffn);
  const lengths = [u32(bytes.length), u32(bytes.length)];
  return block(words, 6, Buffer.concat([u32(index), u32(high), u32(low), ...lengths, bytes]));
}

test('property: pcapng in both byte orders, with the default and nanosecond resolution', () => {
  fc.assert(
    fc.property(packets, fc.boolean(), fc.boolean(), (list, little, nano) => {
      const words = order(little);
      const unit = nano ? 1n : 1000n;
      const coarse = list.map(({ time, bytes }) => ({ time: (time / unit) * unit, bytes }));
      const file = Buffer.concat([
        section(words),
        description(words, nano ? 9 : undefined),
        ...coarse.map(({ time, bytes }) => enhanced(words, 0, time / unit, bytes)),
      ]);
      same(read(file), coarse);
    }),
    { numRuns: 60, seed: 3 },
  );
});

test('pcapng: binary resolution, several interfaces and sections, simple and unknown blocks', () => {
  const le = order(true);
  const be = order(false);
  const frame = Uint8Array.of(1, 2, 3, 4, 5);
  const file = Buffer.concat([
    section(le),
    description(le, undefined, 101), // not Ethernet, but no packet uses it
    description(le, 0x80 | 10), // units of 1/1024 s
    block(le, 5, Buffer.alloc(16)), // interface statistics
    enhanced(le, 1, 1024n * 3n + 512n, frame),
    section(be),
    description(be, 6, 1, 4),
    enhanced(be, 0, 7n, frame.subarray(0, 4)),
    block(be, 3, Buffer.concat([be.u32(5), frame.subarray(0, 4)])),
  ]);
  assert.equal(
    read(file).map(({ number, time, bytes, wireLength }) => [
      number,
      time,
      bytes.length,
      wireLength,
    ]),
    [
      [1, 3_500_000_000n, 5, 5],
      [2, 7_000n, 4, 4],
      // Simple packets have no time: that of the one before; and are cut at the snap length.
      [3, 7_000n, 4, 5],
    ],
  );
});

test('pcapng: torn and contradictory files say where', () => {
  const le = order(true);
  const packet = enhanced(le, 0, 0n, new Uint8Array(60));
  const head = Buffer.concat([section(le), description(le)]);
  const whole = Buffer.concat([head, packet]);
  fails(
    whole.subarray(0, whole.length - 1),
    'ERR_PCAP_TRUNCATED',
    'in.pcap: byte 48: a block of 92 bytes begins here, 91 are left',
  );
  fails(
    Buffer.concat([whole, Buffer.alloc(5)]),
    'ERR_PCAP_TRUNCATED',
    'in.pcap: byte 140: a block needs at least 12 bytes, 5 are left',
  );
  const lengths = Buffer.from(whole);
  lengths.writeUInt32LE(88, whole.length - 4);
  fails(
    lengths,
    'ERR_PCAP_CORRUPT',
    'in.pcap: byte 136: block length 88 at its end, 92 at its beginning',
  );
  const captured = Buffer.from(whole);
  captured.writeUInt32LE(61, 48 + 20);
  fails(
    captured,
    'ERR_PCAP_CORRUPT',
    'in.pcap: byte 68: record 1 claims 61 bytes, its block has 60',
  );
  fails(
    Buffer.concat([section(le), packet]),
    'ERR_PCAP_CORRUPT',
    'in.pcap: byte 36: interface 0 of this packet is not described before it',
  );
  fails(
    Buffer.concat([section(le), description(le, undefined, 113), packet]),
    'ERR_PCAP_FORMAT',
    'in.pcap: byte 36: link type 113, expected 1 (Ethernet)',
  );
});

test('property: random bytes behind a good beginning are read or refused, never worse', () => {
  const le = order(true);
  const heads = [pcap([], true, true), Buffer.concat([section(le), description(le)])];
  fc.assert(
    fc.property(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 300 }), (head, tail) => {
      try {
        read(Buffer.concat([head, tail]));
      } catch (error) {
        assert.match(String((error as { code?: string }).code), /^ERR_PCAP_/);
      }
    }),
    { numRuns: 500, seed: 4 },
  );
});

test('a file that is not there', () => {
  assert.throws(
    () => readCapture(join(directory, 'none.pcap')),
    (error: { code: string }) => error.code === 'ERR_PCAP_READ',
  );
});

test.run();
