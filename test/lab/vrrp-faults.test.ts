// timeout: 400
/**
 * The fault table on real links: two Sluice directors in one lab, one fault after the other, with
 * requests under way all the time. What fails is counted, and no more may than were in flight.
 */
import { writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { StatusReport, SyncReport, VrrpReport } from '../../src/api/types.js';
import { run, sleep, until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { httpRequests } from '../../src/lab/load.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import {
  type PairOptions,
  plugSync,
  routeToPair,
  said,
  startSluice,
  syncCable,
} from '../../src/lab/pair.js';
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
/** On a machine with too much to do a request may wait for that alone. */
const PATIENCE_S = 20;
const LONG_MS = 60_000;
/** An outage of the sync link: more than a lost datagram, less than what makes a peer another one. */
const CUT_MS = 2_000;
/** Connections that are held. */
const HELD = 20;
const HOLDING = new URL('holding.py', import.meta.url).pathname;
const CLOCK = new URL('clock.c', import.meta.url).pathname;
const HOUR_S = 3_600;

interface Pair {
  lab: Lab;
  high: Director;
  low: Director;
  /** What the second one has written into its notification pipe. */
  fifo: LabProcess;
}

const clockFile = (lab: Lab) => lab.path('clock');

/** The wall clock of both directors, by so many seconds wrong. */
function setClocks(lab: Lab, seconds: number): void {
  const ns = Buffer.alloc(8);
  ns.writeBigInt64LE(BigInt(seconds) * 1_000_000_000n);
  // In place: it is mapped.
  writeFileSync(clockFile(lab), ns, { flag: 'r+' });
}

const syncOf = async (director: Director) => (await director.get('/v1/sync')) as SyncReport;

/** HTTP connections that are kept open. */
class Held {
  readonly #client: LabProcess;
  #asked = 0;

  static async open(lab: Lab): Promise<Held> {
    const client = lab.ns('client').spawn(['python3', HOLDING, String(HELD), VIP.fullnat]);
    assert.ok(await until(() => client.stdout.includes('ready\n'), LONG_MS), client.output);
    return new Held(client);
  }

  private constructor(client: LabProcess) {
    this.#client = client;
  }

  async areAnswered(): Promise<void> {
    const client = this.#client;
    client.signal('SIGUSR1');
    this.#asked++;
    const done = () => client.stdout.split('done\n').length > this.#asked;
    assert.ok(await until(done, LONG_MS), client.output);
    const line = client.stdout.trimEnd().split('\n').at(-2) ?? '';
    assert.ok(line.startsWith(`${VIP.fullnat} ${HELD} ${HELD}`), line);
  }

  close(): Promise<unknown> {
    return this.#client.stop();
  }
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
      const { asked, failed, trouble } = await httpRequests(lab, url, BATCH, () => {}, PATIENCE_S);
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
  const last = await httpRequests(lab, url, BATCH, () => {}, PATIENCE_S);
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
    it: 'a restart of the master: the other one takes over at once, and gives way again',
    most: 2 * IN_FLIGHT,
    run: async (pair) => {
      const before = (await reportOf(pair.low)).becameMaster;
      await pair.high.restart();
      await states(pair, 'MASTER', 'BACKUP');
      assert.is((await reportOf(pair.low)).becameMaster, before + 1);
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
    it: 'the backup’s cable out and in: it is in FAULT, and never thinks that it is master',
    most: 0,
    run: async (pair) => {
      const before = (await reportOf(pair.low)).becameMaster;
      link(pair.lab, 2, 'down');
      await states(pair, 'MASTER', 'FAULT');
      link(pair.lab, 2, 'up');
      await states(pair, 'MASTER', 'BACKUP');
      assert.is((await reportOf(pair.low)).becameMaster, before);
    },
  },
  {
    it: 'the sync link lost and back: connections made meanwhile go on after a kill, and after a return',
    most: 4 * IN_FLIGHT,
    run: async ({ lab, high, low, ...rest }) => {
      const pair = { lab, high, low, ...rest };
      const { bulks_done: bulks = 0 } = (await syncOf(low)).figures;
      plugSync(lab, 'down');
      const held = await Held.open(lab);
      const { adopted: before = 0 } = (await syncOf(low)).figures;
      await sleep(CUT_MS);
      assert.is((await syncOf(low)).figures.adopted, before, 'nothing was told while it was away');
      plugSync(lab, 'up');
      const resynced = async () => ((await syncOf(low)).figures.bulks_done ?? 0) > bulks;
      assert.ok(await until(resynced, LONG_MS), JSON.stringify(await syncOf(low)));
      await high.kill9();
      await states(pair, undefined, 'MASTER');
      await held.areAnswered();
      await high.start();
      await states(pair, 'MASTER', 'BACKUP');
      await held.areAnswered();
      await held.close();
    },
  },
  {
    it: 'the wall clock of both jumps by an hour, and back: nobody notices',
    most: 0,
    run: async ({ lab, high, low, ...rest }) => {
      const pair = { lab, high, low, ...rest };
      const sum = async () =>
        (await reportOf(high)).becameMaster + (await reportOf(low)).becameMaster;
      const upOf = async (director: Director) =>
        ((await director.get('/v1/status')) as StatusReport).uptimeSeconds;
      const before = await sum();
      const up = await upOf(high);
      for (const seconds of [HOUR_S, -HOUR_S, 0]) {
        setClocks(lab, seconds);
        const off = (await upOf(high)) - up - seconds;
        assert.ok(
          off >= 0 && off < HOUR_S / 2,
          `its own wall clock is ${off} s from what it is to be`,
        );
        const { advertisementsReceived: heard } = await reportOf(low);
        const { adopted: told = 0 } = (await syncOf(low)).figures;
        const goesOn = async () =>
          (await reportOf(low)).advertisementsReceived > heard + 5 &&
          ((await syncOf(low)).figures.adopted ?? 0) > told;
        // Adverts and sync go on meanwhile.
        const held = await Held.open(lab);
        assert.ok(await until(goesOn, LONG_MS), `${seconds}: ${JSON.stringify(await syncOf(low))}`);
        await held.close();
        await states(pair, 'MASTER', 'BACKUP');
      }
      assert.is(await sum(), before);
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
    syncCable(lab);
    const shim = lab.path('clock.so');
    run(['cc', '-shared', '-fPIC', '-O1', '-o', shim, CLOCK]);
    lab.write('clock', '\0'.repeat(8));
    const env = { LD_PRELOAD: shim, SLUICE_LAB_CLOCK: clockFile(lab) };
    const options = {
      ...OPTIONS,
      env,
      syncKey: lab.write('sync.key', 'a key that both have\n'),
      // None of all these faults, clocks that are set back among them, may look like a replay.
      hmacKey: lab.write('vrrp.key', 'another one that both have\n'),
    };
    const notifyFifo = lab.path('fifo');
    run(['mkfifo', notifyFifo]);
    const fifo = lab.ns('director2').spawn(['sh', '-c', `exec cat <> ${notifyFifo}`]);
    const high = await startSluice(lab, 1, options);
    const low = await startSluice(lab, 2, { ...options, notifyFifo });
    pair = { lab, high, low, fifo };
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

  test('the pipe has been told of every change of the second director, in keepalived’s words', async () => {
    const { low, fifo } = pair;
    const entered = low.log.match(/\(VI_1\) (?:Entering (\w+) STATE|Stopping)/g) ?? [];
    const lines = () => fifo.stdout.split('\n').slice(0, -1);
    assert.ok(await until(() => lines().length >= entered.length, LONG_MS), fifo.output);
    const told = entered.map((line) => {
      const state = /Entering (\w+)/.exec(line)?.[1] ?? 'STOP';
      return `INSTANCE "VI_1" ${state} 100`;
    });
    assert.equal(lines(), told);
  });
}

test.run();
