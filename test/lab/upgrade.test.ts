// timeout: 300
/**
 * Hot upgrades under way: connections in all five modes go on, requests are answered, and a new
 * process that fails, at whatever step, leaves the old one as it was.
 */
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Clients,
  clientOf,
  endSuccessor,
  pidOf,
  upgradeUnderLoad,
} from '../../bench/upgrade/course.js';
import type {
  HistoryReport,
  ServiceReport,
  StatusReport,
  VrrpReport,
} from '../../src/api/types.js';
import { until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { ALL_MODES, startFiveModes } from '../../src/lab/five-modes.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { routeToPair, said, startKeepalived, startSluice } from '../../src/lab/pair.js';
import { native } from '../../src/native.js';
import { skip } from '../support/skip.js';

const USURPER = new URL('usurper.mjs', import.meta.url).pathname;
const HELD = 8;

/** An executable that goes so far, and no further. */
function usurper(lab: Lab, step: string): string {
  const { handOverFormat } = native();
  const script = `#!/bin/sh\nexec ${process.execPath} ${USURPER} ${step} ${handOverFormat} "$@"\n`;
  const path = lab.write(`usurper-${step}`, script);
  chmodSync(path, 0o755);
  return path;
}

const statusOf = async (director: Director) => (await director.get('/v1/status')) as StatusReport;

async function connsOf(director: Director): Promise<number> {
  const services = (await director.get('/v1/services')) as ServiceReport[];
  return services.reduce((sum, service) => sum + service.conns, 0);
}

if (process.getuid?.() !== 0) {
  skip('hot upgrade in the lab', 'network namespaces need root');
} else {
  test('an upgrade, and one of the upgraded: nothing is lost, in all modes', async () => {
    await Lab.use({ realServers: 2 }, async (lab) => {
      const kept = lab.path('edits');
      // Cookies of the one are good for the next.
      const { director } = await startFiveModes(lab, { keepEdits: kept, synProxy: true });
      try {
        // An edit that no file has goes over, and so does what was counted.
        const edited = director.cli('drain', 'fullnat-http', '198.51.100.11');
        assert.is(edited.status, 0, edited.stderr);
        const first = await pidOf(director);
        const options = { modes: ALL_MODES, held: HELD, rate: 50 };
        const { reports, seen } = await upgradeUnderLoad(lab, director, options, 2);

        for (const one of seen) {
          const text = JSON.stringify(one);
          assert.is(one.held, HELD, text);
          assert.is(one.broken, 0, text);
          assert.ok(one.asked >= HELD, text);
          assert.is(one.failed, 0, text);
          // Frames are the one's or the other's; what a queue has no room for may be missing.
          assert.ok((one.udp?.answered ?? 0) >= (one.udp?.sent ?? 0) * 0.98, text);
        }
        assert.is(reports.length, 2);
        assert.is(reports[0]?.formerPid, first);
        assert.is(reports[1]?.formerPid, reports[0]?.pid);
        for (const report of reports) {
          assert.ok(report.connections >= HELD * ALL_MODES.length, JSON.stringify(report));
          assert.is(report.refused, 0);
        }
        const status = await statusOf(director);
        assert.is(status.pid, reports[1]?.pid);
        assert.is(status.edits.length, 1, 'the drained server');
        const { edits } = JSON.parse(readFileSync(kept, 'utf8').split('\n').slice(1).join('\n'));
        assert.is(edits.length, 1);
        const history = (await director.get('/v1/history')) as HistoryReport[];
        assert.is(history.filter(({ cause }) => cause.startsWith('upgrade from')).length, 2);
        assert.is(history.at(-1)?.generation, reports[1]?.generation);
        assert.ok((await connsOf(director)) >= seen.reduce((sum, one) => sum + one.new, 0));
        // The twins are the same interfaces, with their addresses.
        const twins = director.namespace.exec(['ip', '-br', 'address', 'show', 'slfront']);
        assert.match(twins, /slfront +U\S+ +\d/);
        assert.is(director.running, false, 'the first process has ended');
        assert.match(director.log, /has taken over: \d+ connections/);
      } finally {
        await endSuccessor(director);
      }
    });
  });

  test('a VRRP master with two workers: its backup, a keepalived, hears of nothing', async () => {
    await Lab.use({ directors: 2, realServers: 2 }, async (lab) => {
      for (const { role } of lab.spaces.realServers) await HttpServer.start(lab, role);
      routeToPair(lab);
      const modes = ['fullnat'] as const;
      const options = { version: 3, advertMs: 100, workers: 2, modes } as const;
      const director = await startSluice(lab, 1, options);
      try {
        await said(director, '(VI_1) Entering MASTER STATE');
        const keepalived = startKeepalived(lab, 2, options);
        await said(keepalived, 'Entering BACKUP STATE');
        const load = { modes, held: HELD, rate: 0 };
        const { reports, seen } = await upgradeUnderLoad(lab, director, load, 1);
        const [one] = seen;
        assert.equal([one?.held, one?.broken, one?.failed], [HELD, 0, 0], JSON.stringify(one));
        assert.ok((reports[0]?.connections ?? 0) >= HELD, JSON.stringify(reports));
        const { instances } = (await director.get('/v1/vrrp')) as VrrpReport;
        assert.is(instances[0]?.state, 'MASTER');
        assert.is((await statusOf(director)).pid, reports[0]?.pid);
        assert.not.match(keepalived.output, /Entering MASTER/);
      } finally {
        await endSuccessor(director);
      }
    });
  });

  test('a new process that fails at any step leaves the old one as it was', async () => {
    await Lab.use({ realServers: 2 }, async (lab) => {
      const kept = lab.path('edits');
      const { director } = await startFiveModes(lab, { keepEdits: kept });
      assert.is(director.cli('drain', 'nat-dns', '198.51.100.21').status, 0);
      const edits = readFileSync(kept, 'utf8');
      const pid = await pidOf(director);
      const clients = await Clients.start(lab, { modes: ALL_MODES, held: HELD, rate: 0 });
      const refused = async (request: { file?: string; program?: string }, ...words: RegExp[]) => {
        const error = await clientOf(director)
          .upgrade(request)
          .then(
            () => undefined,
            (one: Error) => one,
          );
        const said = `${request.program ?? request.file}: ${error?.message}`;
        for (const word of words) assert.match(said, word, said);
        assert.is(await pidOf(director), pid);
        assert.ok(await until(() => !leaves(pid), 5_000), 'its thread of the hand-over has ended');
      };
      await refused({ program: '/nonexistent' }, /has ended/);
      const steps: [string, RegExp][] = [
        ['protocol', /speaks 99/],
        ['hello', /has ended \(status 7\)/],
        ['prepared', /has ended/],
        ['switch', /has ended/],
        ['live', /has ended/],
      ];
      for (const [step, words] of steps) await refused({ program: usurper(lab, step) }, words);
      assert.is(readFileSync(kept, 'utf8'), edits, 'kept as they were');

      const broken = lab.write('broken.yaml', 'director: { workers: none }\n');
      await refused({ file: broken }, /broken\.yaml/);

      // Two at once: the second is told so, and so is a change.
      const one = clientOf(director).upgrade({ program: usurper(lab, 'silent') });
      void one.catch(() => {});
      let busy: unknown;
      const told = async () => {
        busy = await clientOf(director)
          .reload()
          .catch((error: { code?: string }) => error.code);
        return busy === 'ERR_UPGRADE_RUNNING';
      };
      assert.ok(await until(told, 20_000), String(busy));
      await refused({}, /taking over already/);
      const [silent] = children(pid).filter((child) => commandOf(child).includes('usurper'));
      process.kill(silent as number, 'SIGKILL');
      await one.then(
        () => assert.unreachable('a silent process has taken over'),
        (error: Error) => assert.match(error.message, /has ended \(SIGKILL\)/),
      );

      for (const seen of await clients.seen()) {
        assert.is(seen.held, HELD);
        assert.is(seen.broken, 0, JSON.stringify(seen));
        assert.is(seen.failed, 0, JSON.stringify(seen));
      }
      // And changes are taken again.
      await clientOf(director).reload({ edits: 'keep' });
      assert.match(director.log, /upgrade failed \(switch\), this process goes on/);

      // The other way round: the old one dies while the new one gets ready, which then goes on alone.
      const orphaned = clientOf(director).upgrade();
      void orphaned.catch(() => {});
      let heir: number | undefined;
      const isUp = () => {
        [heir] = children(pid);
        return heir !== undefined && threads(heir).includes('sluice-slow');
      };
      assert.ok(await until(isUp, 40_000), director.log);
      // Its output stays open: the new one has it as well.
      director.process?.signal('SIGKILL');
      try {
        const answers = async () => (await pidOf(director).catch(() => 0)) === heir;
        assert.ok(await until(answers, 40_000), director.log);
        // Its line comes by another way than its answer.
        const said = async () => director.log.includes('ERR_UPGRADE_ORPHANED');
        assert.ok(await until(said, 20_000), director.log);
        const load = { modes: ALL_MODES, held: 1, rate: 0 };
        for (const seen of await (await Clients.start(lab, load)).seen()) {
          assert.is(seen.failed + seen.broken, 0, JSON.stringify(seen));
        }
      } finally {
        await endSuccessor(director);
      }
    });
  });
}

function threads(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((task) => {
    try {
      return readFileSync(`${tasks}/${task}/comm`, 'utf8').trim();
    } catch {
      return ''; // it has just ended
    }
  });
}

const leaves = (pid: number) => threads(pid).includes('sluice-leave');

function children(pid: number): number[] {
  const all = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return all.split(' ').filter(Boolean).map(Number);
}

const commandOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8');

test.run();
