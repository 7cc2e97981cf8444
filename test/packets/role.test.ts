/** VIPs that follow a VRRP role: a master answers and forwards, a backup does neither. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mac } from '../support/bytes.js';
import { CIP, data, LIP, R, syn, synAck, V, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { ROUTER_MAC, type ServiceWords, type Slots, world } from '../support/world.js';

const VIRTUAL_MAC = '00:00:5e:00:01:33';
const OTHER = '203.0.113.77:80';
const GATEWAY = '192.0.2.100';

class Story {
  readonly #slots: Slots = new Map();
  readonly bench: Bench;
  #generation = 1;
  #clock = 0;

  constructor(mode: ServiceWords['mode'], role: ServiceWords['role'], virtualMac?: string) {
    this.bench = new Bench(this.#world(mode, role, virtualMac));
  }

  #world(mode: ServiceWords['mode'], role: ServiceWords['role'], virtualMac?: string) {
    const locals = mode === 'fullnat' ? [LIP] : [];
    const came = [VIP, GATEWAY, ...locals].map((address) =>
      virtualMac === undefined ? { address } : { address, virtualMac },
    );
    return world(
      {
        services: [
          { listen: V, mode, role, locals, servers: [R] },
          { listen: OTHER, mode: 'nat', servers: [R] },
        ],
        roleAddresses: role === 'active' ? came : [],
      },
      this.#slots,
      this.#generation++,
    );
  }

  becomes(mode: ServiceWords['mode'], role: ServiceWords['role']): void {
    this.bench.publish(this.#world(mode, role).snapshot);
  }

  end(arriving: Arriving): string {
    this.#clock += 10;
    return this.bench.run([arriving], this.#clock)[0]?.end as string;
  }

  output(arriving: Arriving): Uint8Array {
    this.#clock += 10;
    return this.bench.run([arriving], this.#clock)[0]?.outputs[0]?.bytes as Uint8Array;
  }
}

const asked = (target: string): Arriving => ({
  port: 0,
  frame: p.arp({ op: 1, senderMac: ROUTER_MAC, sender: '192.0.2.254', target }),
});

test('a backup has no VIP: neither ARP nor new connections; what is in no instance goes on', () => {
  const story = new Story('nat', 'standby');
  assert.is(story.end(asked(VIP)), 'punted_arp');
  assert.is(story.end(asked(GATEWAY)), 'punted_arp');
  assert.is(story.end(fromFront(p.tcp(syn))), 'standby');
  assert.is(story.end(asked('203.0.113.77')), 'answered_arp');
  assert.is(story.end(fromFront(p.tcp({ ...syn, to: OTHER }))), 'forwarded_nat');
});

test('a master answers for its VIPs, and for addresses without a service', () => {
  const story = new Story('nat', 'active');
  assert.is(story.end(asked(VIP)), 'answered_arp');
  assert.is(story.end(asked(GATEWAY)), 'answered_arp');
  assert.is(story.end(fromFront(p.tcp(syn))), 'forwarded_nat');
  assert.is(story.end(fromFront(p.echo({ from: CIP, to: GATEWAY }))), 'answered_echo');
});

for (const mode of ['nat', 'dr', 'tun', 'fullnat'] as const) {
  test(`${mode}: a connection stops with the role and goes on when it comes back`, () => {
    const story = new Story(mode, 'active');
    assert.is(story.end(fromFront(p.tcp(syn))), `forwarded_${mode}`);
    assert.is(story.end(fromFront(p.tcp(data))), `forwarded_${mode}`);
    story.becomes(mode, 'standby');
    assert.is(story.end(fromFront(p.tcp(data))), 'standby');
    if (mode === 'nat') assert.is(story.end(fromBack(p.tcp(synAck))), 'standby');
    if (mode === 'fullnat') assert.is(story.end(asked(LIP)), 'punted_arp');
    story.becomes(mode, 'active');
    assert.is(story.end(fromFront(p.tcp(data))), `forwarded_${mode}`);
    if (mode === 'fullnat') assert.is(story.end(asked(LIP)), 'answered_arp');
  });
}

test('accept mode: what no service wants is a program’s, and the kernel is not asked for the VIP', () => {
  const slots: Slots = new Map();
  const accepted = (virtualMac?: string) =>
    world(
      {
        services: [{ listen: V, mode: 'nat', role: 'active', servers: [R] }],
        roleAddresses: [{ address: VIP, accepted: true, ...(virtualMac && { virtualMac }) }],
      },
      slots,
      1,
    );
  const bench = new Bench(accepted());
  const ends = (frame: Uint8Array, port = 0) => bench.run([{ port, frame }], 10)[0]?.end;
  const to = (flags: Parameters<typeof p.tcp>[0]) => fromFront(p.tcp(flags)).frame;
  const elsewhere = `${VIP}:22`;
  assert.is(ends(asked(VIP).frame), 'answered_arp');
  assert.is(ends(fromFront(p.echo({ from: CIP, to: VIP })).frame), 'answered_echo');
  assert.is(ends(to(syn)), 'forwarded_nat', 'a service wins');
  assert.is(ends(to({ ...syn, to: elsewhere })), 'punted_accepted');
  assert.is(ends(to({ ...data, to: elsewhere })), 'punted_accepted');
  assert.is(
    ends(fromFront(p.udp({ from: `${CIP}:5000`, to: `${VIP}:123` })).frame),
    'punted_accepted',
  );

  const virtual = new Bench(accepted(VIRTUAL_MAC));
  const frame = to({ ...syn, to: elsewhere });
  const own = [...frame.subarray(0, 6)];
  frame.set(mac(VIRTUAL_MAC), 0);
  const [step] = virtual.run([{ port: 0, frame }], 10);
  assert.is(step?.end, 'punted_accepted');
  const punted = step?.outputs[0]?.bytes as Uint8Array;
  assert.equal([...punted.subarray(0, 6)], own, 'the kernel knows its own MAC alone');
});

test('the virtual router’s MAC: ARP is answered with it, frames for it are ours', () => {
  const story = new Story('nat', 'active', VIRTUAL_MAC);
  const reply = story.output(asked(VIP));
  assert.equal([...reply.subarray(6, 12)], [...mac(VIRTUAL_MAC)], 'Ethernet source');
  assert.equal([...reply.subarray(22, 28)], [...mac(VIRTUAL_MAC)], 'sender');
  const toVirtual = (arriving: Arriving): Arriving => {
    arriving.frame.set(mac(VIRTUAL_MAC), 0);
    return arriving;
  };
  assert.is(story.end(toVirtual(fromFront(p.tcp(syn)))), 'forwarded_nat');
  assert.is(story.end(toVirtual(fromFront(p.tcp(data)))), 'forwarded_nat');
  assert.is(story.end(fromFront(p.tcp(data))), 'forwarded_nat');
  assert.is(story.end(toVirtual(fromBack(p.tcp(synAck)))), 'not_for_us_unicast', 'another port');
  const backup = new Story('nat', 'standby');
  assert.is(backup.end(toVirtual(fromFront(p.tcp(syn)))), 'not_for_us_unicast');
});

test.run();
