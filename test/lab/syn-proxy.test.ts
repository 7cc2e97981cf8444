// serial: a flood takes all there is
// timeout: 240
/** The SYN proxy between Linux stacks: loss, SACK and scaled windows, and a flood beside clients. */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endSuccessor, upgradeUnderLoad } from '../../bench/upgrade/course.js';
import type { DropsReport } from '../../src/api/types.js';
import type { Director } from '../../src/lab/director.js';
import { fiveModesYaml } from '../../src/lab/five-modes.js';
import { BIG_BYTES, BIG_PATH, DnsServer, HttpServer, IperfServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { bulkTransfer, httpRequests } from '../../src/lab/load.js';
import { addSix, sixIsReachable, VIP6, withSix } from '../../src/lab/six.js';
import { VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const FLOOD = fileURLToPath(new URL('flood.py', import.meta.url));
const MODES = ['nat', 'fullnat'] as const;
const WAYS = MODES.flatMap((mode) => [
  { way: mode, vip: VIP[mode], host: VIP[mode], iperf: true },
  { way: `${mode}, IPv6`, vip: VIP6[mode], host: `[${VIP6[mode]}]`, iperf: false },
]);
const PACKETS = 20_000;
const RATE = 10_000;
/** TCP connections a mode that an upgrade must not break. */
const HELD = 4;

let lab: Lab;
let director: Director;
const measured: IperfServer[] = [];
const ROLES = ['rs1', 'rs2', 'rs3'];

const drops = async () => (await director.get('/v1/drops')) as DropsReport;
const cookies = async () =>
  (await drops()).ends.find(({ name }) => name === 'answered_by_cookie')?.count ?? 0;
const created = async () => (await drops()).extra.connections_created as number;
const hashOf = (content: Buffer) => createHash('sha256').update(content).digest('hex');

/** The router before the director loses one packet in a hundred, either way, or none. */
function lose(some: boolean): void {
  const chain = 'add chain inet loss way { type filter hook forward priority 0; }';
  const rule = 'add rule inet loss way numgen random mod 100 < 1 drop';
  const words = some ? `add table inet loss; ${chain}; ${rule}` : 'delete table inet loss';
  lab.ns('router').exec(['nft', words]);
}

if (process.getuid?.() !== 0) {
  skip('the SYN proxy in the lab', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    addSix(lab);
    for (const role of ROLES) {
      await HttpServer.start(lab, role);
      await DnsServer.start(lab, role);
      measured.push(await IperfServer.start(lab, role));
    }
    const socket = lab.path('director1.sock');
    const yaml = fiveModesYaml(lab, socket, { modes: MODES, synProxy: true });
    director = lab.director({ yaml: withSix(lab, yaml, 1, { synProxy: true }), socket });
    await director.start();
    assert.ok(await sixIsReachable(lab), director.log);
  });
  test.after(async () => {
    if (director) await endSuccessor(director);
    await lab.destroy();
  });

  for (const { way, vip, host, iperf } of WAYS) {
    test(`${way}: each request is a connection that a cookie has made`, async () => {
      const before = await cookies();
      const answers = await httpRequests(lab, `http://${host}/`, 60);
      assert.is(answers.failed, 0, `${answers.trouble} ${director.log}`);
      assert.equal([...answers.servers.keys()].sort(), ROLES);
      const after = await cookies();
      assert.ok(after - before >= 60, `${after - before} cookies`);
    });

    test(`${way}: what arrives is what was sent, through loss both ways`, async () => {
      lose(true);
      const contents = ROLES.map((role) => hashOf(Buffer.alloc(BIG_BYTES, `${role} `)));
      const url = `http://${host}${BIG_PATH}`;
      const curl = lab
        .ns('client')
        .spawn(['sh', '-c', `curl -gsS -m 30 ${url} | sha256sum`], { timeout: 40 });
      await curl.wait();
      assert.ok(contents.includes(curl.stdout.slice(0, 64)), curl.output);
      const transfer = iperf ? await bulkTransfer(lab, measured, vip, 1) : undefined;
      lose(false);
      assert.is(transfer?.trouble ?? '', '');
      if (transfer) assert.ok(transfer.up > 0 && transfer.down > 0);
    });

    test(`${way}: clients go on during a flood that costs no connection`, async () => {
      const argv = ['python3', FLOOD, 'syn', vip, '80', String(PACKETS), String(RATE)];
      const flood = lab.ns('client').spawn(argv, { timeout: 30 });
      const before = await created();
      let asked = 0;
      while (flood.status === undefined) {
        const answers = await httpRequests(lab, `http://${host}/`, 20);
        assert.is(answers.failed, 0, answers.trouble);
        asked += answers.asked;
      }
      assert.is(flood.status, 0, flood.output);
      assert.ok(asked >= 20, `${asked} requests`);
      const made = (await created()) - before;
      assert.ok(made >= asked && made < asked + 20, `${made} connections for ${asked} requests`);
    });
  }

  // IPv4's are looked at with all modes: upgrade.test.ts.
  test('IPv6: an upgrade takes connections along, their numbers shifted as before', async () => {
    const options = { modes: [], more: MODES.map((mode) => VIP6[mode]), held: HELD, rate: 20 };
    const { reports, seen } = await upgradeUnderLoad(lab, director, options, 1);
    for (const one of seen) {
      const text = JSON.stringify(one);
      assert.equal([one.held, one.broken, one.failed], [HELD, 0, 0], text);
      assert.ok(one.asked >= HELD, text);
    }
    assert.ok((reports[0]?.connections ?? 0) >= HELD * MODES.length, JSON.stringify(reports));
    assert.is(reports[0]?.refused, 0);
  });
}

test.run();
