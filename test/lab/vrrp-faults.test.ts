// timeout: 400
/**
 * The fault table on real links: two Sluice directors in one lab, one fault after the other, with
 * requests under way all the time. What fails is counted, and no more may than were in flight.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VrrpReport } from '../../src/api/types.js';
import { sleep, until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { httpRequests } from '../../src/lab/load.js';
import { type PairOptions, routeToPair, said, startSluice } from '../../src/lab/pair.js';
import { VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const LEASE_MS = 500;
const OPTIONS: PairOptions = {
  version: 3,
  advertMs: 100,
  priorities: [200, 100],
  leaseMs: LEASE_MS,
  modes: ['fullnat'],
};
/** Requests of a batch; eight of them are under way at once. */
const BATCH = 24;
const IN_FLIGHT = 8;
const LONG_MS = 60_000;

interface Pair {
  lab: Lab;
  high: Director;
  low: Director;
}

async function reportOf(director: Director) {
  const { instances } = (await director.get('/v1/vrrp')) as VrrpReport;
  return instances[0] as VrrpReport['instances'][0];
}

/** Until they are in these states; those that are `undefined` are not asked. */
async function states(pair: Pair, high: string | undefined, low: string | undefined) {
  const is = async (director: Director, state: string | undefined) =>
    state === undefined || (await reportOf(director)).state === state;
  const good = await until(async () => (await is(pair.high, high)) && is(pair.low, low), LONG_MS);
  assert.ok(good, `${high} ${low}\n${pair.high.log}\n---\n${pair.low.log}`);
}

/** Requests, batch after batch, while `action` goes on, and one more batch afterwards. */
async function underLoad(lab: Lab, action: () => Promise<void>) {
  const url = `http://${VIP.fullnat}/`;
  let busy = true;
  const sum = { asked: 0, failed: 0, trouble: '' };
  const load = (async () => {
    while (busy) {
      const { asked, failed, trouble } = await httpRequests(lab, url, BATCH);
      sum.asked += asked;
      sum.failed += failed;
      sum.trouble ||= trouble;
    }
  })();
  try {
    // The first batch is on its way.
    await until(() => sum.asked > 0, LONG_MS);
    await action();
  } finally {
    busy = false;
    await load;
  }
  const last = await httpRequests(lab, url, BATCH);
  assert.is(last.failed, 0, last.trouble);
  return sum;
}

/** Multicast towards a director, which adverts are, is lost at the switch; all else arrives. */
function deafen(lab: Lab, n: 1 | 2, deaf: boolean): void {
  const flood = deaf ? 'off' : 'on';
  lab.ns('switch').exec(['bridge', 'link', 'set', 'dev', `director${n}-f0`, 'mcast_flood', flood]);
}

const link = (lab: Lab, n: 1 | 2, state: 'up' | 'down') =>
  lab.ns('switch').ip(`link set director${n}-f0 ${state}`);

interface Row {
  it: string;
  /** Requests that may fail. */
  most: number;
  run: (pair: Pair) => Promise<void>;
}

const ROWS: Row[] = [
  {
    it: 'kill -9 of the master, and its return',
    most: 2 * IN_FLIGHT,
    run: async (pair) => {
      await pair.high.kill9();
      await states(pair, undefined, 'MASTER');
      await pair.high.start();
      await states(pair, 'MASTER', 'BACKUP');
    },
  },
  {
    it: 'a restart of the backup: nobody notices',
    most: 0,
    run: async (pair) => {
      await pair.low.restart();
      await states(pair, 'MASTER', 'BACKUP');
    },
  },
  {
    it: 'SIGSTOP and CONT of the master: it steps down before it is master again',
    most: 2 * IN_FLIGHT,
    run: async (pair) => {
      const before = (await reportOf(pair.high)).becameMaster;
      pair.high.process?.signal('SIGSTOP');
      await states(pair, undefined, 'MASTER');
      await sleep(2 * LEASE_MS);
      pair.high.process?.signal('SIGCONT');
      await said(pair.high, 'the VRRP lease has run out');
      await states(pair, 'MASTER', 'BACKUP');
      const { becameMaster, releasedMaster } = await reportOf(pair.high);
      assert.equal([becameMaster, releasedMaster], [before + 1, before]);
    },
  },
  {
    it: 'the master’s cable out and in: it is in FAULT, and comes back',
    most: 2 * IN_FLIGHT,
    run: async (pair) => {
      link(pair.lab, 1, 'down');
      await states(pair, 'FAULT', 'MASTER');
      assert.is((await reportOf(pair.high)).fault, 'port front is down');
      link(pair.lab, 1, 'up');
      await states(pair, 'MASTER', 'BACKUP');
    },
  },
  {
    it: 'the backup does not hear the master: two masters until it does, and one afterwards',
    most: 4 * IN_FLIGHT,
    run: async (pair) => {
      deafen(pair.lab, 2, true);
      await states(pair, 'MASTER', 'MASTER');
      deafen(pair.lab, 2, false);
      await states(pair, 'MASTER', 'BACKUP');
      const { becameMaster, releasedMaster } = await reportOf(pair.high);
      assert.is(becameMaster - releasedMaster, 1, 'the higher one has been master all the time');
    },
  },
  {
    it: 'the master does not hear the backup: nothing happens',
    most: 0,
    run: async (pair) => {
      const before = (await reportOf(pair.low)).advertisementsReceived;
      deafen(pair.lab, 1, true);
      await until(
        async () => (await reportOf(pair.low)).advertisementsReceived > before + 10,
        LONG_MS,
      );
      await states(pair, 'MASTER', 'BACKUP');
      deafen(pair.lab, 1, false);
    },
  },
];

if (process.getuid?.() !== 0) {
  skip('faults of a pair in the lab', 'network namespaces need root');
} else {
  let pair: Pair;
  test.before(async () => {
    const lab = await Lab.create({ directors: 2, realServers: 2 });
    for (const { role } of lab.spaces.realServers) await HttpServer.start(lab, role);
    routeToPair(lab);
    const high = await startSluice(lab, 1, OPTIONS);
    pair = { lab, high, low: await startSluice(lab, 2, OPTIONS) };
    await states(pair, 'MASTER', 'BACKUP');
  });
  test.after(() => pair.lab.destroy());

  for (const { it, most, run } of ROWS) {
    test(it, async () => {
      const { asked, failed, trouble } = await underLoad(pair.lab, () => run(pair));
      assert.ok(asked >= BATCH);
      assert.ok(failed <= most, `${failed} of ${asked} failed: ${trouble}`);
      for (const director of [pair.high, pair.low]) {
        assert.equal((await reportOf(director)).dropped, {});
      }
    });
  }
}

test.run();
