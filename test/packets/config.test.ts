/** From a director.yaml to packets: what the configuration says is what the wire shows. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import { Duo } from '../support/duo.js';
import { data, query, syn } from '../support/flow.js';
import * as p from '../support/packet.js';
import { fromFront } from '../support/table.js';
import { yamlWorld } from '../support/yaml.js';

const config = (modes: string[], more = '', weight = 1) => `
director: { name: d1, hugepages: false }
timeouts: { tcp: 600, tcpFin: 60, udp: 30 }
ports:
  - { name: front, mac: "02:00:00:00:01:01", addresses: [192.0.2.1/24] }
  - { name: back, mac: "02:00:00:00:01:02", addresses: [198.51.100.1/24], mtu: 1400 }
routes:
  - { to: 0.0.0.0/0, via: 192.0.2.254 }
neighbours:
  - { address: 192.0.2.254, mac: "02:00:00:00:00:fe", port: front }
  - { address: 198.51.100.11, mac: "02:00:00:00:02:01", port: back }
  - { address: 198.51.100.12, mac: "02:00:00:00:02:02", port: back }
services:
${modes
  .flatMap((mode, n) =>
    ['tcp', 'udp'].map(
      (protocol) => `
  - name: ${mode}-${protocol}
    listen: 203.0.113.${10 + n}:80
    protocol: ${protocol}
    mode: ${mode}
    scheduler: wrr
    ${mode === 'fullnat' || mode === 'enat' ? `localAddresses: [198.51.100.${200 + n}]` : ''}
    ${more}
    servers:
      - { address: 198.51.100.11:80, weight: ${weight} }
      - { address: 198.51.100.12:80, weight: 2 }`,
    ),
  )
  .join('\n')}
`;

const ALL = ['nat', 'dr', 'tun', 'fullnat', 'enat'];

test('each mode of a configuration, TCP and UDP, is forwarded as it says', () => {
  const duo = new Duo(yamlWorld(config(ALL)), { burst: 32 });
  ALL.forEach((mode, n) => {
    const to = `203.0.113.${10 + n}:80`;
    const packets = [p.tcp({ ...syn, to }), p.tcp({ ...data, to }), p.udp({ ...query, to })];
    const { steps, complaints } = duo.run(packets.map(fromFront), n);
    assert.equal(complaints, []);
    assert.equal(
      steps.map(({ end }) => end),
      Array(3).fill(`forwarded_${mode}`),
    );
  });
  assert.equal(duo.compareTables(), []);
  assert.equal(duo.bench.invariants(), []);
  duo.close();
});

test('weights and timeouts are the ones written', () => {
  const duo = new Duo(yamlWorld(config(['nat'])));
  const to = '203.0.113.10:80';
  const servers = Array.from({ length: 30 }, (_, n) => {
    const { steps } = duo.run(
      [fromFront(p.tcp({ ...syn, from: `198.18.5.5:${2000 + n}`, to }))],
      n,
    );
    return dissect(steps[0]!.outputs[0]!.bytes).ip?.dst;
  });
  assert.is(servers.filter((one) => one === '198.51.100.12').length, 20);
  duo.run([fromFront(p.udp({ ...query, to }))], 30);
  duo.run([fromFront(p.tcp({ ...data, from: '198.18.5.5:2000', to }))], 30);
  const by = (state: string) => duo.bench.connections().find((one) => one.state === state);
  assert.is(by('UDP')?.timeoutMs, 30_000);
  assert.is(by('ESTABLISHED')?.timeoutMs, 600_000);
  duo.close();
});

test('a reload keeps slots, connections and counters', () => {
  const before = yamlWorld(config(['nat']));
  const duo = new Duo(before);
  const to = '203.0.113.10:80';
  duo.run([fromFront(p.udp({ ...query, to }))], 0);
  const after = yamlWorld(config(['nat', 'dr'], '', 0), before.slots);
  duo.publish(after);
  const { steps, complaints } = duo.run([fromFront(p.udp({ ...query, to }))], 1);
  assert.equal(complaints, []);
  assert.is(steps[0]!.end, 'forwarded_nat');
  assert.equal(duo.compareTables(), []);
  duo.close();
});

test('clientAddress: none and toaKind reach the wire', () => {
  for (const [more, first] of [
    ['clientAddress: none', '020405b4'],
    ['toaKind: 200', 'c8089c40c6120002'],
  ]) {
    const duo = new Duo(yamlWorld(config(['fullnat'], more)));
    const { steps, complaints } = duo.run([fromFront(p.tcp({ ...syn, to: '203.0.113.10:80' }))], 0);
    assert.equal(complaints, []);
    assert.is(dissect(steps[0]!.outputs[0]!.bytes).ip?.tcp?.options[0], first);
    duo.close();
  }
});

test.run();
