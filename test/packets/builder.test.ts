/** The packet builder and dissector against scapy: the ruler is checked before it measures. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { badChecksums, diff, dissect } from '../support/dissect.js';
import * as p from '../support/packet.js';
import { ipOf } from '../support/packet.js';
import { scapy, scapyBadChecksums, scapyMissing } from '../support/scapy.js';
import { skip } from '../support/skip.js';

const FROM = '198.18.0.2:40000';
const TO = '203.0.113.10:80';

const syn = p.tcp({
  from: FROM,
  to: TO,
  flags: 'S',
  seq: 0x01020304,
  options: [p.mss(1460), p.sackOk, p.timestamps(7, 0), p.nop, p.wscale(7)],
  ttl: 61,
  id: 0xbeef,
  df: true,
  tos: 0x28,
});
const datagram = p.udp({ from: FROM, to: '203.0.113.10:53', payload: 'query!!' });

const samples: [name: string, frame: Uint8Array][] = [
  ['SYN with options', syn],
  ['odd payload', p.tcp({ from: FROM, to: TO, flags: 'PA', payload: p.pattern(33) })],
  ['TOA', p.tcp({ from: FROM, to: TO, flags: 'S', options: [p.toa(FROM), p.mss(1452)] })],
  [
    'ENAT options',
    p.tcp({ from: FROM, to: TO, options: [p.toa(FROM), p.enatOption(TO), p.nop, p.nop] }),
  ],
  ['UDP', datagram],
  ['UDP without checksum', p.udp({ from: FROM, to: TO, payload: 'x', checksum: 'none' })],
  ['UOA', p.udp({ from: FROM, to: TO, payload: 'x', ipOptions: [p.uoa(FROM), p.enatUoa(TO)] })],
  ['echo', p.echo({ from: FROM, to: TO, identifier: 9, sequence: 3 })],
  [
    'fragmentation needed',
    p.icmpError({ from: '192.0.2.9', to: '203.0.113.10', type: 3, code: 4, mtu: 1400, quote: syn }),
  ],
  [
    'time exceeded, quote cut to 28 bytes',
    p.icmpError({
      from: '192.0.2.9',
      to: '203.0.113.10',
      type: 11,
      code: 0,
      quote: syn,
      quoteBytes: 28,
    }),
  ],
  ['IPIP', p.ip({ from: '192.0.2.1', to: '198.51.100.11' }, 4, ipOf(syn))],
  ['ARP', p.arp({ op: 1, senderMac: p.CLIENT_MAC, sender: '192.0.2.9', target: '203.0.113.10' })],
];

test('the builder writes the bytes the RFCs ask for', () => {
  assert.is(
    Buffer.from(p.tcp({ from: FROM, to: TO, flags: 'S', seq: 1, window: 512 })).toString('hex'),
    '02000000010102000000000c080045000028123400004006667dc6120002' +
      'cb00710a9c4000500000000100000000500202000f320000',
  );
});

test('the dissector reads every field back', () => {
  const got = dissect(syn);
  assert.equal(
    diff(got, {
      eth: { dst: p.DIRECTOR_MAC, src: p.CLIENT_MAC, type: 0x0800 },
      ip: {
        version: 4,
        ihl: 5,
        tos: 0x28,
        totalLength: 60,
        id: 0xbeef,
        evil: false,
        df: true,
        mf: false,
        fragmentOffset: 0,
        ttl: 61,
        protocol: 6,
        checksum: got.ip?.checksum,
        checksumOk: true,
        src: '198.18.0.2',
        dst: '203.0.113.10',
        options: [],
        tcp: {
          sport: 40000,
          dport: 80,
          seq: 0x01020304,
          ack: 0,
          doff: 10,
          reserved: 0,
          flags: 'S',
          window: 64240,
          checksum: got.ip?.tcp?.checksum,
          checksumOk: true,
          urgent: 0,
          options: ['020405b4', '0402', '080a0000000700000000', '01', '030307'],
          payload: '',
        },
      },
    }),
    [],
  );
});

test('wrong checksums, inner and quoted, are seen', () => {
  const bad = p.tcp({ from: FROM, to: TO, checksum: 'bad' });
  assert.equal(badChecksums(dissect(bad)), ['ip.tcp.checksum']);
  const quoting = p.icmpError({ from: '192.0.2.9', to: '192.0.2.8', type: 3, code: 1, quote: bad });
  assert.equal(badChecksums(dissect(quoting)), ['ip.icmp.quote.tcp.checksum']);
  const around = p.ip({ from: '192.0.2.9', to: '192.0.2.8', ipChecksum: 'bad' }, 4, ipOf(bad));
  assert.equal(badChecksums(dissect(around)), ['ip.checksum', 'ip.inner.tcp.checksum']);
});

const missing = scapyMissing();
if (missing) {
  skip('packet builder against scapy', missing);
} else {
  test('scapy agrees with builder and dissector on all samples', () => {
    const seen = scapy(samples.map(([, frame]) => frame));
    assert.equal(scapyBadChecksums(seen), []);
    samples.forEach(([name, frame], index) => {
      const ours = dissect(frame);
      const theirs = seen[index]!;
      assert.is(theirs.dst, ours.eth.dst, name);
      assert.equal(badChecksums(ours), [], name);
      if (!ours.ip) return;
      const outer = theirs.ip[0]!;
      assert.equal(
        [outer.src, outer.dst, outer.ttl, outer.id, outer.tos, outer.len, outer.ihl, outer.proto],
        [
          ours.ip.src,
          ours.ip.dst,
          ours.ip.ttl,
          ours.ip.id,
          ours.ip.tos,
          ours.ip.totalLength,
          ours.ip.ihl,
          ours.ip.protocol,
        ],
        name,
      );
      if (ours.ip.tcp && outer.tcp) {
        const { sport, dport, seq, ack, window, flags } = ours.ip.tcp;
        assert.equal(
          [outer.tcp.sport, outer.tcp.dport, outer.tcp.seq, outer.tcp.ack, outer.tcp.window],
          [sport, dport, seq, ack, window],
          name,
        );
        assert.is(outer.tcp.flags, flags, name);
      }
    });
    assert.equal(
      seen[0]?.ip[0]?.tcp?.options.map(([kind]) => kind),
      ['MSS', 'SAckOK', 'Timestamp', 'NOP', 'WScale'],
    );
    assert.equal(seen[2]?.ip[0]?.tcp?.options[0], ['254', '9c40c6120002']);
    assert.equal(
      seen[6]?.ip[0]?.options.map(({ kind }) => kind),
      [31, 94],
    );
    assert.equal(
      seen.map((packet) => packet.ip.map(({ at }) => at).join(' ')),
      [
        'ip',
        'ip',
        'ip',
        'ip',
        'ip',
        'ip',
        'ip',
        'ip',
        'ip ip.quote',
        'ip ip.quote',
        'ip ip.inner',
        '',
      ],
    );
  });
}

test.run();
