// timeout: 240
/** VRRP between Sluice and Debian's keepalived: each takes over from the other. */
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VrrpReport } from '../../src/api/types.js';
import { sleep, until } from '../../src/lab/command.js';
import { Lab } from '../../src/lab/lab.js';
import {
  holder,
  type PairOptions,
  SHARED,
  said,
  startKeepalived,
  startSluice,
} from '../../src/lab/pair.js';
import { directorMac } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const CASES: [string, PairOptions][] = [
  ['version 3, multicast', { version: 3, advertMs: 100 }],
  ['version 3, unicast', { version: 3, advertMs: 100, unicast: true }],
  ['version 3, virtual MAC', { version: 3, advertMs: 100, virtualMac: true }],
  ['version 2 with a password', { version: 2, advertMs: 1000, password: 's3cret' }],
];

const LEASE_MS = 500;

const answers = (lab: Lab) =>
  until(() => lab.ns('router').try(['ping', '-c', '1', '-W', '1', SHARED]).status === 0, 10_000);

if (process.getuid?.() !== 0 || !existsSync('/usr/sbin/keepalived')) {
  skip('VRRP with keepalived', 'needs root and keepalived');
} else {
  for (const [what, options] of CASES) {
    test(`${what}: each takes over from the other, and adverts are as tshark wants them`, () =>
      Lab.use({ directors: 2, realServers: 0 }, async (lab) => {
        const keepalived = startKeepalived(lab, 2, options);
        await said(keepalived, 'Entering MASTER');
        const dump = lab
          .ns('router')
          .spawn([
            'tshark',
            '-i',
            'f0',
            '-l',
            '-V',
            '-o',
            'ip.check_checksum:TRUE',
            '-f',
            'proto 112',
          ]);
        await until(() => dump.output.includes('Capturing'), 10_000);
        const director = await startSluice(lab, 1, options);
        await said(director, '(VI_1) Entering MASTER STATE');
        await said(keepalived, 'Entering BACKUP STATE', 2);
        assert.ok(await answers(lab), director.log);
        if (!options.virtualMac) assert.is(holder(lab), directorMac(1, 'front'));
        const { instances } = (await director.get('/v1/vrrp')) as VrrpReport;
        assert.is(instances[0]?.state, 'MASTER');
        assert.equal(instances[0]?.dropped, {});
        if (!options.unicast) {
          await until(() => dump.output.includes('Source Address: 192.0.2.1'), 10_000);
        }
        await director.stop();
        await said(keepalived, 'Entering MASTER STATE', 2);
        assert.ok(await answers(lab));
        await dump.stop();
        assert.not.match(dump.output, /\[incorrect|Malformed|Expert Info \((Warn|Error)/i);
      }));
  }

  test('a master that is killed is replaced, and one that hangs comes back as a backup', () =>
    Lab.use({ directors: 2, realServers: 0 }, async (lab) => {
      const options: PairOptions = { version: 3, advertMs: 100, leaseMs: LEASE_MS };
      const keepalived = startKeepalived(lab, 2, options);
      await said(keepalived, 'Entering MASTER');
      const director = await startSluice(lab, 1, options);
      await said(director, '(VI_1) Entering MASTER STATE');
      director.process?.signal('SIGSTOP');
      await said(keepalived, 'Entering MASTER STATE', 2);
      await sleep(2 * LEASE_MS);
      director.process?.signal('SIGCONT');
      await said(director, 'the VRRP lease has run out');
      // It has the higher priority: once it has listened, it is master again.
      await said(director, '(VI_1) Entering MASTER STATE', 2);
      await said(keepalived, 'Entering BACKUP STATE', 3);
      await director.kill9();
      await said(keepalived, 'Entering MASTER STATE', 3);
      assert.ok(await answers(lab));
    }));
}

test.run();
