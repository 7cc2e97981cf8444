// lab
// timeout: 180
/** FullNAT TCP: accept() and getpeername() answer with the client the TOA option tells of. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sleep, until } from '../../src/lab/command.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { VIP } from '../../src/lab/topology.js';
import { CLIENT, DIP, LIPS, labOrSkip, PORT, RIP, type Service } from './support.js';

const lab = await labOrSkip('TOA on a real server', { realServers: 2 });

const service = (port: number, more: Partial<Service> = {}): Service => ({
  protocol: 6,
  listen: [VIP.fullnat, port],
  mode: 'fullnat',
  server: [RIP, PORT],
  ...more,
});

if (lab) {
  const rs1 = lab.lab.ns('rs1');
  test.after(() => lab.destroy());
  test.after.each(() => lab.stopAgents());

  test('a server sees the client, while packets and ss keep the local address', async () => {
    await lab.direct([service(80)]);
    const agent = await lab.agent([VIP.fullnat]);
    const wire = await lab.capture('director1', 'b0', 'tcp');
    const counted = await agent.counting(async () => {
      const holding = lab.client('tcp', VIP.fullnat, 80, '--hold', 1);
      await sleep(600);
      const sockets = rs1.exec(['ss', '-Htn', 'state', 'established', 'sport', '=', `:${PORT}`]);
      const { own, seen } = await holding;
      assert.is(own[0], CLIENT);
      assert.equal(seen.accept, own);
      assert.equal(seen.getpeername, own);
      const [lip, lport] = lab.flows.at(-1)!.local;
      assert.match(sockets, `${lip}:${lport}`);
    });
    assert.equal(counted, { toaLearned: 1, toaAnswered: 2 });
    const packets = await wire.end(lab.lab);
    const [lip] = lab.flows.at(-1)!.local;
    assert.ok(packets.every(({ src, dst }) => src === lip || dst === lip));
  });

  test('a dual-stack listener sees it as an IPv4-mapped address', async () => {
    await lab.direct([service(81, { server: [RIP, PORT + 1] })]);
    const _agent = await lab.agent([VIP.fullnat]);
    const { own, seen } = await lab.client('tcp', VIP.fullnat, 81);
    assert.equal(seen.accept, [`::ffff:${own[0]}`, own[1]]);
    assert.equal(seen.getpeername, [`::ffff:${own[0]}`, own[1]]);
  });

  test('nginx logs the client', async () => {
    const nginx = await HttpServer.start(lab.lab, 'rs1');
    await lab.direct([service(8080, { server: [RIP, 8080] })]);
    const _agent = await lab.agent([VIP.fullnat]);
    const body = lab.lab.ns('client').exec(['curl', '-s', `http://${VIP.fullnat}:8080/`]);
    assert.is(body, `rs1 ${CLIENT}\n`);
    assert.equal([...(await nginx.seen(1)).keys()], [CLIENT]);
    await nginx.process.stop();
  });

  test('another option kind can be agreed on', async () => {
    await lab.direct([service(80)], { toaKind: 200 });
    const other = await lab.agent([VIP.fullnat]);
    const deaf = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(deaf.seen.accept, lab.flows.at(-1)!.local);
    await other.stop();
    const _agent = await lab.agent([VIP.fullnat], ['--toa-kind', '200']);
    const { own, seen } = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(seen.accept, own);
  });

  test('a client told of on the first ACK only is known in time for accept', async () => {
    await lab.direct([service(80)], { markSyn: false });
    const _agent = await lab.agent([VIP.fullnat]);
    const { own, seen } = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(seen.accept, own);
  });

  test('an option of the client itself, behind the director’s, tells nothing', async () => {
    const forged = `fe08${(1234).toString(16).padStart(4, '0')}cb007101`;
    await lab.direct([service(80)], { clientOptions: forged });
    await lab.agent([VIP.fullnat]);
    const { own, seen } = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(seen.accept, own);
  });

  test('a local port used again without the option forgets its client of before', async () => {
    const again = { firstPort: 33_000 };
    await lab.direct([service(80)], again);
    const agent = await lab.agent([VIP.fullnat]);
    const told = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(told.seen.accept, told.own);
    await lab.direct([service(80, { clientAddress: false })], again);
    const counted = await agent.counting(async () => {
      const untold = await lab.client('tcp', VIP.fullnat, 80);
      assert.equal(untold.seen.accept, [LIPS[33_000 % LIPS.length], 33_000]);
      assert.equal(untold.seen.getpeername, untold.seen.accept);
    });
    assert.equal(counted, { unlabelled: 1 });
  });

  test('an option of somebody who is no director is not believed', async () => {
    await lab.direct([service(80)]);
    const process = lab.spawnAgent([
      ...['--interface', 'b0', '--director', DIP, '--vip', VIP.fullnat],
    ]);
    assert.ok(await until(() => process.stdout.includes('"attached"'), 15_000));
    const { seen } = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(seen.accept, lab.flows.at(-1)!.local);
    await process.stop();
    assert.match(process.stdout, /"optionRefused":[1-9]/);
    assert.match(process.stdout, /"toaAnswered":0,/);
  });

  test('sockets of another namespace are let alone, whatever their addresses', async () => {
    const other = lab.lab.ns('rs2');
    await lab.direct([service(80)]);
    const agent = await lab.agent([VIP.fullnat]);
    await lab.client('tcp', VIP.fullnat, 80);
    const [lip, lport] = lab.flows.at(-1)!.local;
    // The same four numbers once more, inside a namespace that has no agent.
    other.ip(`addr add ${RIP}/32 dev lo`, `addr add ${lip}/32 dev lo`);
    const pair = `
import socket
server = socket.socket(); server.bind(("${RIP}", ${PORT})); server.listen()
client = socket.socket(); client.bind(("${lip}", ${lport})); client.connect(("${RIP}", ${PORT}))
peer, address = server.accept()
print(address, peer.getpeername())`;
    const own = `('${lip}', ${lport})`;
    const counted = await agent.counting(() => {
      assert.is(other.exec(['python3', '-c', pair]), `${own} ${own}\n`);
    });
    assert.equal(counted, {});
  });

  test('connections that come past the director are let alone', async () => {
    const agent = await lab.agent([VIP.fullnat]);
    const counted = await agent.counting(async () => {
      const { own, seen } = await lab.client('tcp', RIP, PORT, '--give', 100_000);
      assert.equal(seen.accept, own);
    });
    assert.equal(counted, {});
  });

  test('without an agent the local address is all a server sees', async () => {
    await lab.direct([service(80)]);
    const { seen } = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(seen.accept, lab.flows.at(-1)!.local);
  });
}

test.run();
