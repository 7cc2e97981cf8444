// timeout: 300
/**
 * Two directors and real connections: the first is killed outright, the second goes on. Addresses
 * are moved by hand, as a router and a neighbour table would be by VRRP.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SyncReport } from '../../src/api/types.js';
import { startAgent } from '../../src/lab/agent.js';
import { until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { ALL_MODES, fiveModesYaml } from '../../src/lab/five-modes.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { addSix, moveSixTo, SIX_MODES, sixIsReachable, VIP6, withSix } from '../../src/lab/six.js';
import {
  directorBack,
  directorFront,
  directorMac,
  LOCAL_ADDRESSES,
  VIP,
  VIP_NETWORK,
} from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const CONNECTIONS = 20;
const HOLDING = new URL('holding.py', import.meta.url).pathname;
const DECAPSULATE = new URL('decapsulate6.py', import.meta.url).pathname;
const VIPS = [...ALL_MODES.map((mode) => VIP[mode]), ...SIX_MODES.map((mode) => VIP6[mode])];

/** Whom a director tells, by its number. */
const TOLD = {
  unicast: (n: number) => `peer: ${directorBack(3 - n)}`,
  multicast: () => 'group: 224.0.0.81',
};
type Way = keyof typeof TOLD;

function makeDirector(lab: Lab, n: number, key: string, way: Way): Director {
  const socket = lab.path(`director${n}.sock`);
  let yaml = fiveModesYaml(lab, socket, { maxConnections: 4096 });
  for (const port of ['front', 'back'] as const) {
    yaml = yaml.replaceAll(directorMac(1, port), directorMac(n, port));
  }
  yaml = yaml
    .replace(`[${directorFront(1)}/`, `[${directorFront(n)}/`)
    .replace(`[${directorBack(1)}/`, `[${directorBack(n)}/`);
  yaml += `sync: { interface: slback, ${TOLD[way](n)}, key: ${key}, share: ${n - 1} }\n`;
  return lab.director({ yaml: withSix(lab, yaml, n), socket, number: n });
}

/** Requests and replies go to director n from now on. */
function moveTo(lab: Lab, n: number): void {
  moveSixTo(lab, n);
  lab.ns('router').ip(`route replace ${VIP_NETWORK} via ${directorFront(n)}`);
  for (const { role } of lab.spaces.realServers) {
    lab.ns(role).ip(`route replace default via ${directorBack(n)} table 100`);
    for (const local of LOCAL_ADDRESSES) {
      const mac = directorMac(n, 'back');
      lab.ns(role).ip(`neigh replace ${local} lladdr ${mac} nud permanent dev b0`);
    }
  }
}

/** What the client said last, a line for each VIP. */
const lastAnswers = (output: string) =>
  output
    .trim()
    .split('\n')
    .slice(-1 - VIPS.length, -1)
    .map((line) => line.trim());
const ANSWERED = VIPS.map((vip) => `${vip} ${CONNECTIONS} ${CONNECTIONS}`);

const syncOf = async (director: Director) => (await director.get('/v1/sync')) as SyncReport;

/** Connections through the first director survive its end, and that of the second once it is back. */
async function takeTurns(lab: Lab, key: string, way: Way): Promise<void> {
  const [first, second] = [makeDirector(lab, 1, key, way), makeDirector(lab, 2, key, way)];
  await first.start();
  moveTo(lab, 1);
  assert.ok(await sixIsReachable(lab), first.log);
  const client = lab.ns('client').spawn(['python3', HOLDING, String(CONNECTIONS), ...VIPS], {
    timeout: 120,
  });
  assert.ok(await until(() => client.stdout.includes('ready'), 30_000), client.output);
  // It starts when the connections are there, and gets them all at once.
  await second.start();
  const wanted = CONNECTIONS * VIPS.length;
  let figures: SyncReport['figures'] = {};
  const has = async () => {
    figures = (await syncOf(second)).figures;
    return (figures.adopted ?? 0) >= wanted && (figures.bulks_done ?? 0) >= 1;
  };
  assert.ok(await until(has, 15_000), JSON.stringify(figures));

  await first.kill9();
  moveTo(lab, 2);
  client.signal('SIGUSR1');
  assert.ok(await until(() => client.stdout.includes('done'), 60_000), client.output);
  assert.equal(lastAnswers(client.stdout), ANSWERED);

  // The second's link goes and comes back while nobody listens: a group has to be joined again.
  lab.ns('director2').ip('link set slback down', 'link set slback up');
  // The first comes back, hears of them, and the addresses move back to it.
  await first.start();
  const back = async () => ((await syncOf(first)).figures.adopted ?? 0) >= wanted;
  assert.ok(await until(back, 15_000), JSON.stringify((await syncOf(first)).figures));
  // Its own datagrams don't come back to it.
  assert.ok(await until(async () => (await syncOf(first)).figures.peers === 1, 10_000));
  await second.kill9();
  moveTo(lab, 1);
  client.signal('SIGUSR1');
  const twice = () => client.stdout.split('done').length === 3;
  assert.ok(await until(twice, 60_000), client.output);
  assert.equal(lastAnswers(client.stdout), ANSWERED);
  await client.stop();
  await first.stop();
}

if (process.getuid?.() !== 0) {
  skip('connection sync in the lab', 'network namespaces need root');
} else {
  let lab: Lab;
  let key: string;
  test.before(async () => {
    lab = await Lab.create({ directors: 2, realServers: 2 });
    addSix(lab);
    for (const { role } of lab.spaces.realServers) {
      await startAgent(lab, role);
      await HttpServer.start(lab, role);
      const tunnel = lab.ns(role).spawn(['python3', DECAPSULATE]);
      assert.ok(await until(() => tunnel.stdout.includes('listening\n')), tunnel.output);
    }
    key = lab.write('sync.key', 'a key that both directors have\n');
  });
  test.after(() => lab.destroy());
  for (const way of ['unicast', 'multicast'] as const) {
    test(`kill -9 of a director: its connections go on through the other, in all modes of both families, told by ${way}`, () =>
      takeTurns(lab, key, way));
  }
}

test.run();
